/** How well scores are described by a Gaussian distribution (section 2 of the paper). Pure. */
import { normalCdf } from "./distributions.ts";

export interface GaussianFit {
  readonly n: number;
  readonly mean: number;
  /** The likeliest, over n. */
  readonly deviation: number;
  /** Third and fourth standardised moments; 0 and 0 for a Gaussian. */
  readonly skewness: number;
  readonly excessKurtosis: number;
  /**
   * The largest distance between the share of scores at or below any x and the fitted one (Kolmogorov and Smirnov's D): 0
   * for a perfect fit. No p is given: mean scores are discrete and the parameters are fitted, and with enough images any
   * deviation is significant.
   */
  readonly distance: number;
}

/** @throws RangeError for fewer than two distinct values. */
export function fitGaussian(values: readonly number[]): GaussianFit {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const moment = (k: number) => values.reduce((sum, x) => sum + (x - mean) ** k, 0) / n;
  const variance = moment(2);
  if (!(variance > 0)) throw new RangeError(`Gaussian fit: ${n} values that are not distinct`);
  const deviation = Math.sqrt(variance);
  return {
    n,
    mean,
    deviation,
    skewness: moment(3) / deviation ** 3,
    excessKurtosis: moment(4) / variance ** 2 - 3,
    distance: distance(values, mean, deviation),
  };
}

/** Of an empirical distribution function both sides of each step count. */
function distance(values: readonly number[], mean: number, deviation: number): number {
  const sorted = Float64Array.from(values).sort();
  let largest = 0;
  sorted.forEach((x, i) => {
    const fitted = normalCdf((x - mean) / deviation);
    largest = Math.max(largest, fitted - i / sorted.length, (i + 1) / sorted.length - fitted);
  });
  return largest;
}
