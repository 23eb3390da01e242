/**
 * Ranks, and the two figures made of them: area under the curve and Spearman's correlation. Pure.
 *
 * Every function takes how often each value counts (once by default), which a bootstrap draws anew again and again; what
 * does not depend on that, the values' order, can be made beforehand.
 */

/** The values' indices in ascending order, and where in it each run of equal values ends. */
export interface Ranking {
  readonly order: Uint32Array;
  readonly ends: Uint32Array;
}

export function rankingOf(values: readonly number[]): Ranking {
  const order = Uint32Array.from(values, (_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const isLast = (at: number) => at === order.length - 1 || values[order[at]!] !== values[order[at + 1]!];
  return { order, ends: Uint32Array.from([...order.keys()].filter(isLast), (at) => at + 1) };
}

/** Ranks from 1; equal values share the mean of their ranks. */
export function averageRanks(
  values: readonly number[],
  counts?: ArrayLike<number>,
  { order, ends }: Ranking = rankingOf(values),
): Float64Array {
  const ranks = new Float64Array(values.length);
  let [start, below] = [0, 0];
  for (const end of ends) {
    let equal = 0;
    for (let at = start; at < end; at++) equal += counts ? counts[order[at]!]! : 1;
    for (let at = start; at < end; at++) ranks[order[at]!] = below + (equal + 1) / 2;
    below += equal;
    start = end;
  }
  return ranks;
}

/**
 * P(score of a positive > score of a negative) + ½·P(equal): the area under the ROC curve (Mann and Whitney's U).
 * NaN where one of the two classes has no image.
 */
export function areaUnderCurve(
  scores: readonly number[],
  labels: readonly number[],
  counts?: ArrayLike<number>,
  ranking?: Ranking,
): number {
  const ranks = averageRanks(scores, counts, ranking);
  let [positives, negatives, rankSum] = [0, 0, 0];
  for (let i = 0; i < scores.length; i++) {
    const count = counts ? counts[i]! : 1;
    if (labels[i] === 1) {
      positives += count;
      rankSum += count * ranks[i]!;
    } else negatives += count;
  }
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Pearson's linear correlation (PLCC). NaN where a side is constant. */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>, counts?: ArrayLike<number>): number {
  let [n, sumX, sumY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const count = counts ? counts[i]! : 1;
    n += count;
    sumX += count * x[i]!;
    sumY += count * y[i]!;
  }
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const count = counts ? counts[i]! : 1;
    const [dx, dy] = [x[i]! - sumX / n, y[i]! - sumY / n];
    xy += count * dx * dy;
    xx += count * dx * dx;
    yy += count * dy * dy;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : Number.NaN;
}

/** Spearman's rank correlation (SRCC): Pearson's of the average ranks. NaN where a side is constant. */
export function spearman(
  x: readonly number[],
  y: readonly number[],
  counts?: ArrayLike<number>,
  rankings?: readonly [Ranking, Ranking],
): number {
  return pearson(averageRanks(x, counts, rankings?.[0]), averageRanks(y, counts, rankings?.[1]), counts);
}
