/**
 * Gradients without calculus: central differences of a float64 function, and the measure by which any gradient is held
 * against them.
 */
import { Random } from "../../random.ts";
import { type NdArray, ndarray } from "./ndarray.ts";

/** How far the slopes ahead and behind may differ, relative to the slope, before what lies between counts as a kink. */
const KINK = 5e-5;

interface Slope {
  ahead: number;
  behind: number;
  central: number;
}

/**
 * ∂f/∂x for every element: (f(x + step) − f(x − step)) / 2 step.
 *
 * @param f a scalar function; x is changed in place between its calls and restored
 * @returns the derivatives, and the indices of those that were taken across a kink (a ReLU's zero, a tie in a max pool)
 * and so mean nothing
 */
export function centralDifferences(
  f: (x: NdArray) => number,
  x: NdArray,
  step = 1e-6,
): { gradient: Float64Array; kinks: number[] } {
  const at = f(x);
  const slopes = Array.from(x.data, (value, i): Slope => {
    // The step taken is the one that survives rounding.
    const [high, low] = [value + step, value - step];
    x.data[i] = high;
    const above = f(x);
    x.data[i] = low;
    const below = f(x);
    x.data[i] = value;
    return {
      ahead: (above - at) / (high - value),
      behind: (at - below) / (value - low),
      central: (above - below) / (high - low),
    };
  });
  const largest = slopes.reduce((maximum, { central }) => Math.max(maximum, Math.abs(central)), 0);
  return {
    gradient: Float64Array.from(slopes, ({ central }) => central),
    kinks: slopes.flatMap((slope, i) => (isKink(slope, largest) ? [i] : [])),
  };
}

function isKink({ ahead, behind }: Slope, scale: number): boolean {
  return Math.abs(ahead - behind) > KINK * scale;
}

export interface DirectionalDifferences {
  /** Vectors of x's size whose elements are independent random signs: E⟨e, d⟩² = ‖e‖² for any e. */
  directions: Float64Array[];
  /** ⟨∂f/∂x, d⟩ for every direction d. */
  slopes: Float64Array;
  /** How many directions crossed a kink within a step and were replaced. */
  redrawn: number;
}

/**
 * The slopes of f along seeded random directions: (f(x + step · d) − f(x − step · d)) / 2 step.
 *
 * @throws Error if more directions cross a kink than three times those asked for
 */
export function directionalDifferences(
  f: (x: NdArray) => number,
  x: NdArray,
  { count, seed = 0, step = 1e-7 }: { count: number; seed?: number; step?: number },
): DirectionalDifferences {
  const at = f(x);
  const directions: Float64Array[] = [];
  const slopes: number[] = [];
  let redrawn = 0;
  while (directions.length < count) {
    const random = new Random(seed, "direction", directions.length + redrawn);
    const direction = x.data.map(() => (random.float() < 0.5 ? -1 : 1));
    const along = (distance: number): number => {
      const moved = x.data.map((value, i) => value + distance * direction[i]);
      return f(ndarray(x.shape, moved));
    };
    const [above, below] = [along(step), along(-step)];
    const slope = { ahead: (above - at) / step, behind: (at - below) / step, central: (above - below) / (2 * step) };
    if (isKink(slope, Math.max(Math.abs(slope.ahead), Math.abs(slope.behind)))) {
      if (++redrawn > 3 * count)
        throw new Error(`differences: ${redrawn} directions cross a kink; the step is too long`);
      continue;
    }
    directions.push(direction);
    slopes.push(slope.central);
  }
  return { directions, slopes: Float64Array.from(slopes), redrawn };
}

/**
 * ‖x − r‖₂ / ‖r‖₂ of a tensor against its reference. Where the reference is all zeros, 0 for all zeros and ∞ for
 * anything else; ∞ where x has a value that is not finite and the reference's is another.
 */
export function relativeError(values: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (values.length !== reference.length) {
    throw new RangeError(`relativeError: ${values.length} values against ${reference.length}`);
  }
  // Scaled by the largest magnitude, so that squares of 1e-18 or 1e200 neither vanish nor overflow.
  let scale = 0;
  for (let i = 0; i < reference.length; i++) scale = Math.max(scale, Math.abs(reference[i]));
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < reference.length; i++) {
    const distance = values[i] === reference[i] ? 0 : values[i] - reference[i];
    difference += scale > 0 ? (distance / scale) ** 2 : Math.abs(distance);
    norm += scale > 0 ? (reference[i] / scale) ** 2 : 0;
  }
  if (!Number.isFinite(difference)) return Number.POSITIVE_INFINITY;
  if (difference === 0) return 0;
  return Math.sqrt(difference / norm);
}

/**
 * An estimate of a gradient's relative error from its slopes along random directions, without every element's
 * difference: √(mean (⟨gradient, d⟩ − slope)²) / ‖gradient‖₂, whose numerator estimates ‖gradient − reference‖₂. The
 * gradient's own length, known exactly, stands for the reference's, which few slopes would estimate badly. ∞ where
 * the gradient is zero, or not finite, and the slopes are something else.
 */
export function directionalError(
  gradient: ArrayLike<number>,
  { directions, slopes }: Pick<DirectionalDifferences, "directions" | "slopes">,
): number {
  let [difference, norm] = [0, 0];
  directions.forEach((direction, d) => {
    const projected = direction.reduce((sum, sign, i) => sum + sign * gradient[i], 0);
    difference = Math.hypot(difference, projected - slopes[d]);
  });
  for (let i = 0; i < gradient.length; i++) norm = Math.hypot(norm, gradient[i]);
  if (difference === 0) return 0;
  const error = difference / Math.sqrt(directions.length) / norm;
  return Number.isFinite(error) ? error : Number.POSITIVE_INFINITY;
}
