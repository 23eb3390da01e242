/**
 * Models in float64, run again and again with one tensor changed: what does not depend on that tensor is not computed
 * again, and it is known exactly whether a ReLU or a max pool has switched on the way.
 */
import { conv2d } from "./conv.ts";
import { joinVectors, linear } from "./dense.ts";
import { binaryCrossEntropyWithLogits, softmaxCrossEntropy } from "./loss.ts";
import type { NdArray } from "./ndarray.ts";
import { type BatchNormOptions, type BatchNormParameters, batchNorm } from "./norm.ts";
import { addScaled, elementOf, weightedSum } from "./pointwise.ts";
import { globalAveragePool, type MaxPoolOptions, maxPool2d, maxPoolPlaces } from "./pool.ts";

/** The operations that a model's reference is written in. */
export interface Operations {
  readonly conv2d: typeof conv2d;
  batchNorm(x: NdArray, parameters: BatchNormParameters, options: Omit<BatchNormOptions, "fusion">): NdArray;
  maxPool2d(x: NdArray, options: Omit<MaxPoolOptions, "fusion">): NdArray;
  readonly globalAveragePool: typeof globalAveragePool;
  readonly weightedSum: typeof weightedSum;
  readonly elementOf: typeof elementOf;
  readonly joinVectors: typeof joinVectors;
  readonly linear: typeof linear;
  readonly binaryCrossEntropyWithLogits: typeof binaryCrossEntropyWithLogits;
  readonly softmaxCrossEntropy: typeof softmaxCrossEntropy;
  readonly addScaled: typeof addScaled;
  /** x itself, but held at the point around which differences are taken: no gradient passes. */
  detach(x: NdArray): NdArray;
}

/** Which way each switch of an operation stands; null where it has none. */
type Switches = ((...args: never[]) => ArrayLike<unknown>) | null;

interface Call {
  readonly inputs: readonly NdArray[];
  readonly output: NdArray;
  readonly switches: ArrayLike<unknown> | null;
}

/**
 * A model's calls at the point around which it is varied. The model has to make the same calls in the same order in
 * every run; nothing may be written into its tensors in between.
 */
export class Trace {
  readonly #model: (operations: Operations) => NdArray;
  readonly #calls: Call[] = [];
  readonly #operations: Operations;
  #next = 0;
  #switched = false;
  #recording = true;

  /** Runs the model once. */
  constructor(model: (operations: Operations) => NdArray) {
    this.#model = model;
    const isPositive = (_x: NdArray, _parameters: unknown, { relu }: { relu?: boolean | undefined }, y: NdArray) =>
      relu ? y.data.map((value) => (value > 0 ? 1 : 0)) : [];
    const places = (x: NdArray, options: MaxPoolOptions) => maxPoolPlaces(x, options).places;
    this.#operations = {
      conv2d: this.#watch(conv2d),
      batchNorm: this.#watch(batchNorm, isPositive),
      maxPool2d: this.#watch(maxPool2d, places),
      globalAveragePool: this.#watch(globalAveragePool),
      weightedSum: this.#watch(weightedSum),
      elementOf: this.#watch(elementOf),
      joinVectors: this.#watch(joinVectors),
      linear: this.#watch(linear),
      binaryCrossEntropyWithLogits: this.#watch(binaryCrossEntropyWithLogits),
      softmaxCrossEntropy: this.#watch(softmaxCrossEntropy),
      addScaled: this.#watch(addScaled),
      detach: (x) => {
        if (this.#recording) this.#calls.push({ inputs: [], output: x, switches: null });
        return this.#calls[this.#next++].output;
      },
    };
    this.y = model(this.#operations);
    this.#recording = false;
  }

  /** What the model gave at the point itself. */
  readonly y: NdArray;

  /** Runs the model again, and tells whether any ReLU or max pool stands another way than at the point. */
  again(): { y: NdArray; switched: boolean } {
    this.#next = 0;
    this.#switched = false;
    const y = this.#model(this.#operations);
    return { y, switched: this.#switched };
  }

  #watch<A extends unknown[]>(operation: (...args: A) => NdArray, switches: Switches = null): (...args: A) => NdArray {
    const standing = (args: A, y: NdArray) =>
      switches && (switches as (...all: unknown[]) => ArrayLike<unknown>)(...args, y);
    return (...args) => {
      const inputs = arraysIn(args);
      const index = this.#next++;
      if (this.#recording) {
        const output = operation(...args);
        this.#calls.push({ inputs, output, switches: standing(args, output) });
        return output;
      }
      const former = this.#calls[index];
      if (inputs.every((input, i) => input === former.inputs[i])) return former.output;
      const output = operation(...args);
      const now = standing(args, output);
      if (now && former.switches) {
        for (let i = 0; i < now.length && !this.#switched; i++) this.#switched = now[i] !== former.switches[i];
      }
      return output;
    };
  }
}

/** The arrays among arguments, in lists and options too. */
function arraysIn(value: unknown): NdArray[] {
  if (typeof value !== "object" || value === null) return [];
  if ("data" in value && value.data instanceof Float64Array) return [value as NdArray];
  return Object.values(value).flatMap(arraysIn);
}
