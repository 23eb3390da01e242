/**
 * Symbolic tensors. A tensor is a shape and a place that is found later: while a step is being recorded nothing is
 * computed and nothing is allocated.
 */
import { forEachFour } from "../kernels/panels.ts";
import type { Tape } from "./tape.ts";

export type DType = "f32" | "f16" | "i32" | "u8";

/** How activations, their gradients and the weights that products read are stored; arithmetic is f32 either way. */
export type Precision = "f32" | "f16";

/**
 * How a logical shape lies in memory:
 * - "channels": row-major, the last axis padded to a multiple of four (activations, and vectors of channels),
 * - "weight": the last two axes are padded so (input and output channels); a weight, or each stream's where there are five
 *   axes, is a matrix of taps and input channels by output channels, in panels (kernels/panels.ts),
 * - "flat": row-major, without pads (bytes and integers).
 * Pads are zero and stay zero.
 */
export type Layout = "channels" | "weight" | "flat";

export const padTo4 = (n: number): number => 4 * Math.ceil(n / 4);

/** The shape in memory of a logical shape. */
export function paddedShape(shape: readonly number[], layout: Layout): number[] {
  const padded = layout === "flat" ? 0 : layout === "weight" ? 2 : 1;
  return shape.map((size, axis) => (axis >= shape.length - padded ? padTo4(size) : size));
}

/** A stretch of memory. Planned storage gets its place from the planner of the program that it belongs to. */
export class Storage {
  readonly byteLength: number;
  /** Parameters and state exist independently of any program, in a buffer that is given later. */
  readonly persistent: boolean;
  external: { buffer: GPUBuffer; offset: number } | null = null;

  constructor(byteLength: number, { persistent = false }: { persistent?: boolean } = {}) {
    this.byteLength = byteLength;
    this.persistent = persistent;
  }
}

export class Tensor {
  readonly name: string;
  /** Logical sizes; activations are [streams, batch, height, width, channels]. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly layout: Layout;
  readonly storage: Storage;
  /** The tape that records it; null for parameters and state, which any tape may use. */
  readonly tape: Tape | null;
  readonly needsGrad: boolean;

  constructor(options: {
    name: string;
    shape: readonly number[];
    dtype?: DType;
    layout?: Layout;
    storage?: Storage;
    tape?: Tape | null;
    needsGrad?: boolean;
    /** Not planned by any program. */
    persistent?: boolean;
  }) {
    this.name = options.name;
    this.shape = options.shape;
    if (this.shape.some((size) => !Number.isInteger(size) || size < 1)) {
      throw new RangeError(`${this.name}: shape [${this.shape}] has a size that is not a positive integer`);
    }
    this.dtype = options.dtype ?? "f32";
    this.layout = options.layout ?? (isFloat(this.dtype) ? "channels" : "flat");
    const { persistent = false } = options;
    this.storage = options.storage ?? new Storage(byteLength(this.shape, this.layout, this.dtype), { persistent });
    this.tape = options.tape ?? null;
    this.needsGrad = options.needsGrad ?? false;
  }

  /** Sizes in memory, with the pads. */
  get padded(): number[] {
    return paddedShape(this.shape, this.layout);
  }

  /** Elements in memory, pads included. */
  get paddedSize(): number {
    return this.padded.reduce((a, b) => a * b, 1);
  }

  /** Elements without pads. */
  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }
}

const bytesOfElement: Readonly<Record<DType, number>> = { f32: 4, f16: 2, i32: 4, u8: 1 };

/** The precision of the products that read a tensor. */
export const precisionOf = ({ dtype }: Pick<Tensor, "dtype">): Precision => (dtype === "f16" ? "f16" : "f32");

export const isFloat = (dtype: DType): boolean => dtype === "f32" || dtype === "f16";

/** Bytes in memory; buffers are bound in words of four. */
function byteLength(shape: readonly number[], layout: Layout, dtype: DType): number {
  const elements = paddedShape(shape, layout).reduce((a, b) => a * b, 1);
  return 4 * Math.ceil((elements * bytesOfElement[dtype]) / 4);
}

/** A parameter: its values outlive programs, and its gradient and momentum have places beside them. */
export class Parameter extends Tensor {
  readonly grad: Tensor;
  /** Its values as f16, which products with f16 read; it has memory only in a network of that precision. */
  readonly half: Tensor;

  constructor(name: string, shape: readonly number[], layout: Layout) {
    super({ name, shape, layout, needsGrad: true, persistent: true });
    this.grad = new Tensor({ name: `${name}.grad`, shape, layout, persistent: true });
    this.half = new Tensor({ name, shape, layout, dtype: "f16", persistent: true });
  }
}

/** A running statistic of a batch norm [G, C]; a step in training leaves the batch's own value in `batch`. */
export class RunningStatistic extends Tensor {
  readonly batch: Tensor;

  constructor(name: string, shape: readonly number[]) {
    super({ name, shape, persistent: true });
    this.batch = new Tensor({ name: `${name} of the batch`, shape, persistent: true });
  }
}

/** Copies logical values into padded memory. */
export function pad(
  values: ArrayLike<number>,
  shape: readonly number[],
  layout: Layout,
  out: { [i: number]: number },
): void {
  forEachRun(shape, layout, (logical, memory, count) => {
    for (let i = 0; i < count; i++) out[memory + i] = values[logical + i]!;
  });
}

/** Copies padded memory into logical values. */
export function unpad(
  memory: ArrayLike<number>,
  shape: readonly number[],
  layout: Layout,
  out: { [i: number]: number },
): void {
  forEachRun(shape, layout, (logical, padded, count) => {
    for (let i = 0; i < count; i++) out[logical + i] = memory[padded + i]!;
  });
}

/** Calls `visit` for runs of elements that follow each other both logically and in memory. */
function forEachRun(
  shape: readonly number[],
  layout: Layout,
  visit: (logical: number, memory: number, count: number) => void,
): void {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  const padded = paddedShape(shape, layout);
  const [columns, columnsInMemory] = [shape.at(-1) ?? 1, padded.at(-1) ?? 1];
  if (layout !== "weight") {
    const rows = product(shape.slice(0, -1));
    for (let row = 0; row < rows; row++) visit(row * columns, row * columnsInMemory, columns);
    return;
  }
  const [inputs, inputsInMemory] = [shape.at(-2) ?? 1, padded.at(-2) ?? 1];
  const streams = shape.length === 5 ? shape[0]! : 1;
  const taps = product(shape.slice(0, -2)) / streams;
  const rowsInMemory = taps * inputsInMemory;
  for (let stream = 0; stream < streams; stream++) {
    const [logical, memory] = [stream * taps * inputs * columns, stream * rowsInMemory * columnsInMemory];
    forEachFour(rowsInMemory, columnsInMemory, (row, column, place) => {
      const tap = Math.floor(row / inputsInMemory);
      const input = row - tap * inputsInMemory;
      const inside = Math.min(4, columns - column);
      if (input < inputs) visit(logical + (tap * inputs + input) * columns + column, memory + place, inside);
    });
  }
}
