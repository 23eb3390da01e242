/** Counts of values in intervals of equal width. Pure. */
import { normalCdf } from "./distributions.ts";
import type { GaussianFit } from "./gaussian.ts";
import { quantile } from "./summary.ts";

export interface Histogram {
  /** The first interval's lower end. */
  readonly from: number;
  readonly width: number;
  /** Values in [from + i·width, from + (i + 1)·width). */
  readonly counts: readonly number[];
}

/**
 * Mean scores of a few raters lie on a grid (0.3 apart for ten raters on {1, 4, 7, 10}); then each grid value gets an
 * interval around itself, since others would hold now one value, now two, and look ragged. Else the width is Freedman and
 * Diaconis's, 2·IQR/∛n, rounded to 1, 2 or 5 times a power of
 * ten.
 * @throws RangeError for no values.
 */
export function histogram(values: readonly number[]): Histogram {
  if (values.length === 0) throw new RangeError("histogram: no values");
  const sorted = Float64Array.from(values).sort();
  const [least, most] = [sorted[0]!, sorted[sorted.length - 1]!];
  const step = gridStep(sorted);
  const width = step ?? roundWidth((2 * (quantile(sorted, 0.75) - quantile(sorted, 0.25))) / Math.cbrt(values.length));
  const from = step === null ? Math.floor(least / width) * width : least - width / 2;
  const counts = new Array<number>(Math.floor((most - from) / width) + 1).fill(0);
  for (const value of sorted) counts[Math.floor((value - from) / width)]!++;
  return { from, width, counts };
}

/** What the fitted Gaussian expects in each interval. */
export function expectedCounts({ from, width, counts }: Histogram, fit: GaussianFit): number[] {
  const below = (x: number) => normalCdf((x - fit.mean) / fit.deviation);
  return counts.map((_, i) => fit.n * (below(from + (i + 1) * width) - below(from + i * width)));
}

/** Share of the counts' variance that the expected ones explain: 1 for a perfect fit. */
export function explainedVariance(counts: readonly number[], expected: readonly number[]): number {
  const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
  const residual = counts.reduce((sum, count, i) => sum + (count - expected[i]!) ** 2, 0);
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0);
  return 1 - residual / variance;
}

/** The distance of a grid on which all values lie; null where there are more than 100 of them or no common step. */
function gridStep(sorted: Float64Array): number | null {
  const distinct = [...sorted].filter((value, i) => i === 0 || value - sorted[i - 1]! > 1e-6);
  if (distinct.length < 2 || distinct.length > 100) return null;
  const gaps = distinct.slice(1).map((value, i) => value - distinct[i]!);
  const step = Math.min(...gaps);
  const isMultiple = gaps.every((gap) => Math.abs(gap / step - Math.round(gap / step)) < 1e-3);
  return isMultiple && (distinct.at(-1)! - distinct[0]!) / step <= 100 ? step : null;
}

function roundWidth(width: number): number {
  if (!(width > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(width));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= 0.75 * width)!;
}
