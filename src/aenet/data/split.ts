/** Dividing a data set into training, validation and test. Pure. */
import { Random } from "../../random.ts";
import { SPLITS, type Split } from "./labels.ts";

/** The shares of train, val and test; they add up to 1. */
export type Fractions = readonly [train: number, val: number, test: number];

export const DEFAULT_FRACTIONS: Fractions = [0.7, 0.1, 0.2];

/** Reads `0.7,0.1,0.2`. @throws RangeError unless it is three numbers from 0 that add up to 1, the first above 0. */
export function parseFractions(text: string): Fractions {
  const parts = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (parts.length !== 3) throw new RangeError(`split "${text}": give three shares, of train, val and test`);
  return checkFractions(parts as unknown as Fractions);
}

function checkFractions(fractions: Fractions): Fractions {
  const sum = fractions.reduce((total, share) => total + share, 0);
  if (!fractions.every((share) => share >= 0) || Math.abs(sum - 1) > 1e-6 || fractions[0] === 0) {
    throw new RangeError(
      `split ${fractions.join(",")}: shares must be from 0, add up to 1, and leave some for training`,
    );
  }
  return fractions;
}

export interface SplitOptions {
  fractions: Fractions;
  seed: number;
  /** What is to be equally frequent in each split: one label a sample. */
  strata: readonly string[];
  /** Samples of one group stay together; without groups each is by itself. */
  groups?: readonly string[] | undefined;
}

/**
 * A split for each sample: seeded, stratified, by group.
 *
 * Groups are shuffled and, the largest first, each goes where it brings the numbers (of all samples and of each stratum)
 * closest to their aims, in squares relative to the aims. A split whose share is 0 gets nothing.
 */
export function splitSamples({ fractions, seed, strata, groups }: SplitOptions): Split[] {
  checkFractions(fractions);
  const members = groupMembers(groups ?? strata.map((_, i) => String(i)));
  const order = Array.from(new Random(seed, "split").permutation(members.length), (i) => members[i]!);
  order.sort((a, b) => b.length - a.length); // stable: equal sizes stay shuffled

  const totals = countBy(strata);
  totals.set(ALL, strata.length);
  const filled = SPLITS.map(() => new Map<string, number>());
  const result = new Array<Split>(strata.length);
  for (const group of order) {
    const gains = countBy(group.map((i) => strata[i]!));
    gains.set(ALL, group.length);
    let best = 0;
    let bestCost = Number.POSITIVE_INFINITY;
    fractions.forEach((fraction, s) => {
      if (fraction === 0) return;
      let cost = 0;
      for (const [stratum, gain] of gains) {
        const aim = fraction * totals.get(stratum)!;
        const missing = aim - (filled[s]!.get(stratum) ?? 0);
        cost += ((missing - gain) ** 2 - missing ** 2) / aim;
      }
      if (cost < bestCost) [best, bestCost] = [s, cost];
    });
    for (const [stratum, gain] of gains) filled[best]!.set(stratum, (filled[best]!.get(stratum) ?? 0) + gain);
    for (const i of group) result[i] = SPLITS[best]!;
  }
  return result;
}

/** Stands for all samples beside the strata; no label can be equal to it. */
const ALL = "\u0000all";

function groupMembers(groups: readonly string[]): number[][] {
  const members = new Map<string, number[]>();
  groups.forEach((group, i) => {
    const list = members.get(group);
    if (list) list.push(i);
    else members.set(group, [i]);
  });
  return [...members.values()];
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
