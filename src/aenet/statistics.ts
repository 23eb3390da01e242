/** Statistics of classification results. Pure. */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's score interval for a proportion (Wilson 1927).
 *
 * @param z Deviations of the standard normal; 1.96 gives 95 %.
 * @throws RangeError unless 0 ≤ successes ≤ n and n ≥ 1.
 */
export function wilson(successes: number, n: number, z = 1.96): Interval {
  if (!(n >= 1 && successes >= 0 && successes <= n)) {
    throw new RangeError(`wilson: ${successes} successes of ${n} trials`);
  }
  const p = successes / n;
  const centre = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2));
  return { low: centre - half, high: centre + half };
}

/** The largest class's share of the labels. @throws RangeError where there are none. */
export function majority(labels: readonly number[]): number {
  if (labels.length === 0) throw new RangeError("majority: no labels");
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Math.max(...counts.values()) / labels.length;
}
