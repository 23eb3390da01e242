/** The exact test and interval of paired differences by flipping their signs. Pure. */
import type { Interval } from "../../statistics.ts";

/** Sums that differ by less than this share of Σ|d| are the same: rounding must not part what is tied. */
const tieTolerance = 1e-9;

/**
 * The two-sided p of the hypothesis that the differences are symmetric about 0: of all 2ⁿ ways to sign them, the share
 * whose |sum| is at least the observed one (Fisher 1935). Ties count as at least as extreme; the observed signs are one of
 * the ways, so p ≥ 2¹⁻ⁿ unless all differences are 0, when p = 1.
 *
 * No enumeration: the sums of the two halves are sorted and their pairs counted with two pointers.
 * @throws RangeError for no difference, one that is not finite, or more than 40 of them.
 */
export function signFlipTest(differences: readonly number[]): number {
  check(differences, 40);
  const total = differences.reduce((sum, d) => sum + Math.abs(d), 0);
  const tolerance = tieTolerance * total;
  const observed = Math.abs(differences.reduce((sum, d) => sum + d, 0));
  if (observed <= tolerance) return 1;
  const half = differences.length >> 1;
  const left = signedSums(differences.slice(0, half)).sort();
  const right = signedSums(differences.slice(half)).sort();
  // As left grows, ever more of right suffices: pairs with left + right ≥ observed.
  let [count, from] = [0, right.length];
  for (const sum of left) {
    while (from > 0 && sum + right[from - 1]! >= observed - tolerance) from--;
    count += right.length - from;
  }
  return (2 * count) / 2 ** differences.length; // by symmetry as many lie at or below −observed
}

/**
 * The θ that the sign-flip test does not reject at `alpha` when it is asked of d − θ: the exact interval of the centre of
 * symmetric differences. θ is at least as extreme as a flip of the subset A where θ ≥ mean of A, so the limits are order
 * statistics of the means of all 2ⁿ − 1 subsets (Hartigan 1969, typical values). Unbounded where 2¹⁻ⁿ > alpha: too few differences.
 * @throws RangeError for no difference, one that is not finite, or more than 22 of them.
 */
export function signFlipInterval(differences: readonly number[], alpha: number): Interval {
  check(differences, 22);
  const n = differences.length;
  const rank = Math.floor(alpha * 2 ** (n - 1) * (1 + 1e-12)); // as 0.05 · 2ⁿ⁻¹ may be a whole number
  if (rank === 0) return { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const means = subsetMeans(differences).sort();
  return { low: means[rank - 1]!, high: means[means.length - rank]! };
}

/** Σ ±d over all 2ⁿ signs; one sum, 0, for no differences. */
function signedSums(differences: readonly number[]): Float64Array {
  let sums = Float64Array.of(0);
  for (const d of differences) {
    const next = new Float64Array(2 * sums.length);
    sums.forEach((sum, i) => {
      next[i] = sum - d;
      next[sums.length + i] = sum + d;
    });
    sums = next;
  }
  return sums;
}

function subsetMeans(differences: readonly number[]): Float64Array {
  const size = 2 ** differences.length;
  const sums = new Float64Array(size);
  const counts = new Uint8Array(size);
  for (let subset = 1; subset < size; subset++) {
    const rest = subset & (subset - 1); // without its lowest member
    sums[subset] = sums[rest]! + differences[31 - Math.clz32(subset ^ rest)]!;
    counts[subset] = counts[rest]! + 1;
  }
  return sums.subarray(1).map((sum, i) => sum / counts[i + 1]!);
}

function check(differences: readonly number[], most: number): void {
  const { length } = differences;
  if (length < 1 || length > most) throw new RangeError(`sign-flip test: ${length} differences, needs 1 to ${most}`);
  for (const d of differences)
    if (!Number.isFinite(d)) throw new RangeError(`sign-flip test: a difference is ${d}, not a finite number`);
}
