/** Generated scenes in memory: rendered once a seed, labelled for any correlation of the tasks. */
import { Random } from "../../../random.ts";
import { resizedSide } from "../../data/augment.ts";
import type { ImageSource } from "../../data/image-source.ts";
import type { Sample } from "../../data/manifest.ts";
import { describeScene, paintScene, type SceneLayout } from "../../data/synth/index.ts";

/** Scenes of each split; the training scenes of a smaller set are the first of a larger one. */
export interface SceneCounts {
  readonly train: number;
  readonly val: number;
  readonly test: number;
}

/** The pixels of a set: they depend on neither labels nor ρ. */
export interface SceneSet {
  readonly seed: number;
  readonly counts: SceneCounts;
  /** Draws a scene when it is first read, some 1 ms each, and keeps it. */
  readonly images: ImageSource;
  layoutOf(row: number): SceneLayout;
}

/** The scenes of a seed. `imageSize` is what the network sees; the scenes are 8/7 as large, for random crops. */
export function sceneSet(seed: number, counts: SceneCounts, imageSize: number): SceneSet {
  const size = resizedSide(imageSize);
  const drawn = new Map<number, ReturnType<typeof paintScene>>();
  const draw = (row: number) => {
    let scene = drawn.get(row);
    if (!scene) {
      const { factors } = describeScene({ seed }, row);
      scene = paintScene(factors, size, new Random(seed, "synth scene", row));
      drawn.set(row, scene);
    }
    return scene;
  };
  const images: ImageSource = { imageSize, decodedSize: size, read: async (row) => draw(row).pixels };
  return { seed, counts, images, layoutOf: (row) => draw(row).layout };
}

/** Which labels scenes carry: a task's, both, or the names of their layouts in the place of emotions. */
export type LabelKind = "both" | "aesthetics" | "emotion" | "layout";

/** The sixteen layouts, by name: what stands for ImageNet's objects. */
export const layoutClasses: readonly string[] = Array.from({ length: 16 }, (_, i) =>
  layoutName({ landscape: i >= 8, right: (i & 4) > 0, low: (i & 2) > 0, rising: (i & 1) > 0 }),
);

function layoutName({ landscape, right, low, rising }: SceneLayout): string {
  return [
    landscape ? "landscape" : "backdrop",
    right ? "right" : "left",
    low ? "low" : "high",
    rising ? "up" : "down",
  ].join(" ");
}

/**
 * The set's samples in order (train, val, test), with labels at correlation `rho`; row i is image i of the set. Of
 * layouts' samples only the training scenes are there, as a layout is known only when it is drawn.
 *
 * @param train So many of the training scenes, the first ones, are kept in the training split; others are in none.
 */
export function labelScenes(set: SceneSet, kind: LabelKind, rho: number, train: number = set.counts.train): Sample[] {
  const { seed, counts } = set;
  const count = kind === "layout" ? train : counts.train + counts.val + counts.test;
  return Array.from({ length: count }, (_, index) => {
    const path = `scene ${seed}/${index}`;
    const split = splitOfRow(counts, index);
    const place = { path, absolutePath: path, split };
    const none = { aesScore: null, aesLabel: null, emotion: null };
    if (split === "train" && index >= train) return { ...place, ...none }; // without a label nothing is trained on it
    if (kind === "layout") return { ...place, ...none, emotion: layoutName(set.layoutOf(index)) };
    const { aesScore, aesLabel, emotion } = describeScene({ seed, rho }, index);
    return {
      ...place,
      ...(kind === "emotion" ? { aesScore: null, aesLabel: null } : { aesScore, aesLabel }),
      emotion: kind === "aesthetics" ? null : emotion,
    };
  });
}

function splitOfRow({ train, val }: SceneCounts, row: number): Sample["split"] {
  return row < train ? "train" : row < train + val ? "val" : "test";
}
