/**
 * Gradients without calculus: central differences of a float64 function, and the measure by which any gradient is held
 * against them.
 */
import { Random } from "../../random.ts";
import { type NdArray, ndarray } from "./ndarray.ts";

/** How far x ± step may bend away from a straight line, against the largest slope, before it counts as a kink. */
const KINK = 1e-4;

export interface Differences {
  /** The derivatives, one an element or one a direction. */
  values: Float64Array;
  /** How many of them were taken across a kink (a ReLU's zero, a tie in a max pool) and so mean nothing. */
  kinks: number;
}

/**
 * ∂f/∂x for every element: (f(x + step) − f(x − step)) / 2 step.
 *
 * @param f a scalar function; x is changed in place between its calls and restored
 */
export function centralDifferences(f: (x: NdArray) => number, x: NdArray, step = 1e-6): Differences {
  const at = f(x);
  const slopes = Array.from(x.data, (value, i) => {
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
  return summarise(slopes);
}

/** A direction of independent random signs, x's size: E⟨e, d⟩² = ‖e‖² for any e. */
export function randomDirection(size: number, seed: number): Float64Array {
  const random = new Random(seed, "direction");
  return Float64Array.from({ length: size }, () => (random.float() < 0.5 ? -1 : 1));
}

/** ⟨∂f/∂x, d⟩ for every direction d: (f(x + step · d) − f(x − step · d)) / 2 step. */
export function directionalDifferences(
  f: (x: NdArray) => number,
  x: NdArray,
  directions: readonly Float64Array[],
  step = 1e-6,
): Differences {
  const at = f(x);
  const moved = (direction: Float64Array, by: number): number =>
    f(
      ndarray(
        x.shape,
        x.data.map((value, i) => value + by * direction[i]),
      ),
    );
  return summarise(
    directions.map((direction) => {
      const [above, below] = [moved(direction, step), moved(direction, -step)];
      return { ahead: (above - at) / step, behind: (at - below) / step, central: (above - below) / (2 * step) };
    }),
  );
}

function summarise(slopes: { ahead: number; behind: number; central: number }[]): Differences {
  const largest = slopes.reduce((maximum, { central }) => Math.max(maximum, Math.abs(central)), 0);
  return {
    values: Float64Array.from(slopes, ({ central }) => central),
    kinks: slopes.filter(({ ahead, behind }) => Math.abs(ahead - behind) > KINK * largest).length,
  };
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
 * difference: √(mean (⟨gradient, d⟩ − slope)²) / √(mean slope²), both means estimating squared norms.
 */
export function directionalError(
  gradient: ArrayLike<number>,
  directions: readonly Float64Array[],
  slopes: ArrayLike<number>,
): number {
  const projected = directions.map((direction) => direction.reduce((sum, sign, i) => sum + sign * gradient[i], 0));
  return relativeError(projected, slopes);
}
