/** Several tests at once: what may be claimed of each while all claims together err with probability alpha at most. Pure. */
import type { Interval } from "../../statistics.ts";
import { signFlipInterval, signFlipTest } from "./sign-flip.ts";

/** Holm's (1979) adjusted p values, in the order given: a test rejects at any alpha at or above its own. */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((i, j) => pValues[i]! - pValues[j]!);
  const adjusted = new Array<number>(pValues.length);
  let largest = 0;
  order.forEach((test, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[test]!));
    adjusted[test] = largest;
  });
  return adjusted;
}

export interface FamilyTest {
  /** Exact, two-sided, of this test alone. */
  readonly p: number;
  /** After Holm's procedure over the family. */
  readonly holm: number;
  readonly rejected: boolean;
  /** All of the family's intervals hold their true differences together with probability 1 − alpha at least. */
  readonly interval: Interval;
}

/**
 * Exact sign-flip tests of a family of paired differences, decided by Holm's procedure, with simultaneous intervals.
 *
 * The intervals invert the same exact test, each at alpha/m (Bonferroni). They need nothing beyond what the test needs,
 * whatever the dependence between comparisons that share a method. Intervals by max-t would be narrower, but flipping
 * d − θ jointly is exact only if all differences are jointly symmetric; two-sided intervals that follow Holm's steps are
 * unbounded where it rejects late. The price: Holm may reject a difference (never the first) whose interval still touches
 * 0. The decision is Holm's.
 */
export function testFamily(family: readonly (readonly number[])[], alpha: number): FamilyTest[] {
  const pValues = family.map(signFlipTest);
  const adjusted = holm(pValues);
  return family.map((differences, i) => ({
    p: pValues[i]!,
    holm: adjusted[i]!,
    rejected: adjusted[i]! <= alpha,
    interval: signFlipInterval(differences, alpha / family.length),
  }));
}
