/** The exact paired test of two methods on the same images. Pure. */
import { logGamma } from "./distributions.ts";

/**
 * The two-sided p of the hypothesis that on every image the two methods might as well change places. Images are the units:
 * of all ways to flip the signs of their differences, the share whose |sum| is at least the observed one. For one training
 * of each (differences −1, 0, 1) that is McNemar's exact test, a binomial test of the images on which the two differ.
 *
 * Differences of one size d, n of them, sum to d·(2B − n) with B binomial of n halves, and those of different sizes are
 * independent: so the distribution is a convolution of binomials, and nothing is drawn or approximated.
 *
 * @param differences For each image, how many more of one method's trainings are right than of the other's.
 * @throws RangeError for one that is no integer.
 */
export function pairedImagesTest(differences: readonly number[]): number {
  const sizes = new Map<number, number>();
  let observed = 0;
  for (const difference of differences) {
    if (!Number.isSafeInteger(difference))
      throw new RangeError(`paired images test: a difference is ${difference}, not a whole number`);
    observed += difference;
    const size = Math.abs(difference);
    if (size > 0) sizes.set(size, (sizes.get(size) ?? 0) + 1);
  }
  if (observed === 0) return 1;
  const largest = [...sizes].reduce((sum, [size, n]) => sum + size * n, 0);
  let sums = Float64Array.of(1); // of the sum i − (length − 1)/2
  for (const [size, n] of sizes) {
    const next = new Float64Array(sums.length + 2 * size * n);
    const steps = halves(n);
    sums.forEach((p, i) => {
      if (p > 0) for (const [successes, q] of steps) next[i + 2 * size * successes]! += p * q;
    });
    sums = next;
  }
  const tail = [...sums.subarray(largest + Math.abs(observed))];
  // By symmetry as much lies at the other end. The smallest first, as they would be lost in the others.
  return Math.min(1, 2 * tail.sort((a, b) => a - b).reduce((sum, p) => sum + p, 0));
}

/** Numbers of successes in n fair trials, each with its probability, as far as that is a positive number. */
function halves(n: number): [number, number][] {
  const all = Array.from({ length: n + 1 }, (_, k): [number, number] => [
    k,
    Math.exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1) - n * Math.LN2),
  ]);
  return all.filter(([, p]) => p > 0);
}
