/** OASIS in folds by theme: each photograph is tested once, by networks that saw no other of its theme. Pure but for reading. */

import { Random } from "../../../random.ts";
import { type OasisPhoto, oasisLabels, oasisThresholds } from "../../data/import-oasis.ts";
import type { Sample } from "../../data/manifest.ts";

/** The fold of every photograph, from 0: themes are shuffled and, the largest first, each goes to the smallest fold. */
export function foldsOf(photos: readonly OasisPhoto[], folds: number, seed: number): number[] {
  const members = new Map<string, number[]>();
  photos.forEach(({ group }, i) => {
    const list = members.get(group);
    if (list) list.push(i);
    else members.set(group, [i]);
  });
  const groups = [...members.values()];
  if (groups.length < folds) throw new RangeError(`folds: ${groups.length} themes cannot make ${folds} folds`);
  const order = Array.from(new Random(seed, "folds").permutation(groups.length), (i) => groups[i]!);
  order.sort((a, b) => b.length - a.length); // stable: equal sizes stay shuffled
  const sizes = new Array<number>(folds).fill(0);
  const foldOf = new Array<number>(photos.length).fill(0);
  for (const group of order) {
    const fold = sizes.indexOf(Math.min(...sizes));
    sizes[fold]! += group.length;
    for (const i of group) foldOf[i] = fold;
  }
  return foldOf;
}

/** The samples with fold `fold` as the test split; thresholds are medians of all other photographs. */
export function foldSamples(photos: readonly OasisPhoto[], foldOf: readonly number[], fold: number): Sample[] {
  const thresholds = oasisThresholds(photos.filter((_, i) => foldOf[i] !== fold));
  return photos.map((photo, i) => ({
    path: photo.absolutePath.split(/[\\/]/).at(-1)!,
    absolutePath: photo.absolutePath,
    split: foldOf[i] === fold ? "test" : "train",
    ...oasisLabels(photo, thresholds),
  }));
}
