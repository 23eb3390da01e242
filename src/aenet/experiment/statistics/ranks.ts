/** Ranks, and the two figures made of them: area under the curve and Spearman's correlation. Pure. */

/** Ranks from 1; equal values share the mean of their ranks. */
export function averageRanks(values: readonly number[]): number[] {
  const sorted = Float64Array.from(values).sort();
  return values.map((value) => (bound(sorted, value, false) + bound(sorted, value, true) + 1) / 2);
}

/**
 * P(score of a positive > score of a negative) + ½·P(equal): the area under the ROC curve (Mann and Whitney's U).
 * NaN where one of the two classes has no image.
 */
export function areaUnderCurve(scores: readonly number[], labels: readonly (0 | 1)[]): number {
  const ranks = averageRanks(scores);
  const positives = labels.reduce((sum: number, label) => sum + label, 0);
  const rankSum = ranks.reduce((sum, rank, i) => sum + rank * labels[i]!, 0);
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (labels.length - positives));
}

/** Pearson's linear correlation (PLCC). NaN where a side is constant. */
export function pearson(x: readonly number[], y: readonly number[]): number {
  const meanX = mean(x);
  const meanY = mean(y);
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i]! - meanX, y[i]! - meanY];
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Spearman's rank correlation (SRCC): Pearson's of the average ranks. NaN where a side is constant. */
export function spearman(x: readonly number[], y: readonly number[]): number {
  return pearson(averageRanks(x), averageRanks(y));
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** How many sorted values lie below `value` (or at it, with `including`). */
function bound(sorted: Float64Array, value: number, including: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const element = sorted[middle]!;
    if (element < value || (including && element === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}
