/** Mean, deviation and the mean's interval over repetitions. Pure. */
import type { Interval } from "../../statistics.ts";
import { chiSquareQuantile, studentQuantile } from "./distributions.ts";

/** NaN for no values. */
export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The sample's deviation, over n − 1; null for fewer than two values. */
export function deviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** What the true deviation of normal values is below with probability `level`; null for fewer than two values. */
export function deviationLimit(values: readonly number[], level = 0.95): number | null {
  const spread = deviation(values);
  const freedom = values.length - 1;
  return spread === null ? null : spread * Math.sqrt(freedom / chiSquareQuantile(1 - level, freedom));
}

/** Student's interval of the mean over independent repetitions (seeds); null for fewer than two. */
export function meanInterval(values: readonly number[], level = 0.95): Interval | null {
  const spread = deviation(values);
  if (spread === null) return null;
  const half = (studentQuantile((1 + level) / 2, values.length - 1) * spread) / Math.sqrt(values.length);
  return { low: mean(values) - half, high: mean(values) + half };
}

/** The quantile of sorted values, linear between them (R's type 7, numpy's default). */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below]!;
  return low + (at - below) * ((sorted[below + 1] ?? low) - low);
}
