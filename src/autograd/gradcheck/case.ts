/** What a case of the op table is, and how its numbers are drawn. */

import { fromHalf, toHalf } from "../../half.ts";
import { Random } from "../../random.ts";
import type { DType, Precision, Tensor } from "../index.ts";
import { type NdArray, ndarray, sizeOf } from "../reference/index.ts";
import { isFloat } from "../tensor.ts";

/** The value of the element at `index`, in logical order. */
export type Fill = (random: Random, index: number) => number;

export interface InputSpec {
  shape: readonly number[];
  fill: Fill;
  /** Default "f32". */
  dtype?: DType;
  /** "weight" where both last axes are channels. */
  layout?: "weight";
  /** Whether the op has a gradient with respect to it. Default true for f32. */
  needsGrad?: boolean;
  /** The step of central differences; default 1e-6. Right for values of order 1, and for those that vary by order 1. */
  step?: number;
  /** Where the op has a kink at the input and promises one side's slope: a point on that side, for its differences. */
  differentiateAt?: (x: NdArray) => NdArray;
}

export type Values = Record<string, NdArray>;

export interface OpCase {
  op: string;
  /** Unique in the table: the op, what is special, the shapes. */
  name: string;
  inputs: Record<string, InputSpec>;
  /** Default true. */
  training?: boolean;
  /** Of the tape; dy is then rounded to it, too. Default f32. */
  precision?: Precision;
  /** The op on the tape. */
  record(inputs: Record<string, Tensor>): Tensor;
  /**
   * The op in float64. `at` are the inputs around which differences are taken: what a detached path reads.
   */
  reference(inputs: Values, at: Values): NdArray;
  /** Default { forward: 1e-5, gradient: 1e-4 }; any other comes with its reason. */
  tolerance?: { forward?: number; gradient?: number; reason: string };
  /**
   * Compare slopes along this many random directions instead of every element's derivative, for inputs that have more
   * elements than that: where a reference call for each element takes too long.
   */
  directions?: number;
}

/** The inputs of a case: float64 copies of exactly the numbers that the GPU is given. */
export function drawInputs(opCase: OpCase, seed = 0): Values {
  const draw = ([name, { shape, fill, dtype = "f32" }]: [string, InputSpec]): [string, NdArray] => {
    const random = new Random(seed, opCase.name, name);
    const values = Float64Array.from({ length: sizeOf(shape) }, (_, index) => fill(random, index));
    if (dtype === "f16") return [name, ndarray(shape, values.map(rounded))];
    return [name, ndarray(shape, dtype === "f32" ? Float32Array.from(values) : values)];
  };
  return Object.fromEntries(Object.entries(opCase.inputs).map(draw));
}

/** The nearest f16. */
export const rounded = (value: number): number => fromHalf(toHalf(value));

export const isDifferentiated = ({ dtype = "f32", needsGrad = true }: InputSpec): boolean =>
  isFloat(dtype) && needsGrad;

export const normal: Fill = (random) => random.normal();
export const constant =
  (value: number): Fill =>
  () =>
    value;
export const uniform =
  (low: number, high: number): Fill =>
  (random) =>
    random.uniform(low, high);
export const integer =
  (below: number): Fill =>
  (random) =>
    random.integer(below);
/** Normal, of another mean and deviation. */
export const gaussian =
  (mean: number, deviation: number): Fill =>
  (random) =>
    mean + deviation * random.normal();
/** The values themselves, over and over. */
export const list =
  (...values: number[]): Fill =>
  (_, index) =>
    values[index % values.length];
