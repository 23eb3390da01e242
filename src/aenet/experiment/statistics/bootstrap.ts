/** Bootstrap intervals over images, or over groups of images that are not independent. Pure. */
import { Random } from "../../../random.ts";
import type { Interval } from "../../statistics.ts";
import { quantile } from "./summary.ts";

export interface BootstrapOptions {
  /** What is drawn with replacement: each unit's images. Single images, or the images of a theme. */
  readonly units: readonly (readonly number[])[];
  /** The statistic where image i counts `counts[i]` times; NaN where it is not defined (one class alone, say). */
  readonly statistic: (counts: Uint32Array) => number;
  readonly seed: number;
  /** What is estimated: intervals of other things draw other numbers. */
  readonly name: string;
  readonly level?: number;
  /** Default 2000. */
  readonly resamples?: number;
}

/**
 * The percentile bootstrap (Efron 1979): as many units as there are drawn with replacement, again and again; the interval
 * between the statistic's quantiles. Drawing whole groups (the cluster bootstrap) lets images of one theme depend on each
 * other; the interval is then about new themes, not about new photographs of the same ones.
 *
 * @returns null where the statistic is undefined in more than a tenth of the resamples.
 * @throws RangeError without units.
 */
export function bootstrapInterval(options: BootstrapOptions): Interval | null {
  const { units, statistic, seed, name, level = 0.95, resamples = 2000 } = options;
  if (units.length === 0) throw new RangeError(`bootstrap: there is nothing to draw for ${name}`);
  const random = new Random(seed, "bootstrap", name);
  const counts = new Uint32Array(1 + units.reduce((most, unit) => Math.max(most, ...unit), 0));
  const found: number[] = [];
  for (let i = 0; i < resamples; i++) {
    counts.fill(0);
    for (let j = 0; j < units.length; j++) for (const image of units[random.integer(units.length)]!) counts[image]!++;
    const value = statistic(counts);
    if (!Number.isNaN(value)) found.push(value);
  }
  if (found.length < 0.9 * resamples) return null;
  const sorted = Float64Array.from(found).sort();
  return { low: quantile(sorted, (1 - level) / 2), high: quantile(sorted, (1 + level) / 2) };
}

/** The images of each group that has any; each image by itself where there are no groups. */
export function unitsOf(groups: readonly number[] | null, images: number): number[][] {
  if (groups === null) return Array.from({ length: images }, (_, i) => [i]);
  const units = new Map<number, number[]>();
  groups.forEach((group, i) => {
    const unit = units.get(group);
    if (unit) unit.push(i);
    else units.set(group, [i]);
  });
  return [...units.values()];
}
