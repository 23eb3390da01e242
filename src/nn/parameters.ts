/**
 * The parameters of a network and their memory: one arena each for values, gradients and momentum, and one for the
 * running statistics of batch norm. Files keep PyTorch's layouts; here a weight is [streams, kh, kw, Cin, Cout].
 */

import { type Program, Tape } from "../autograd/index.ts";
import { Parameter, type Precision, pad, RunningStatistic, Storage, Tensor, unpad } from "../autograd/tensor.ts";
import type { Device } from "../kernels/device.ts";
import { scale } from "../kernels/elementwise.ts";
import { optimizerBlock } from "../kernels/sgd.ts";
import { statusWords, unknownMagnitude } from "../kernels/watch.ts";
import { Random } from "../random.ts";
import { type LossScaleState, lossScaleExponent, noLossScale } from "./loss-scale.ts";
import type { TensorData } from "./safetensors.ts";

/**
 * How a slice of a tensor is written to a file: convolutions OIHW, linear weights [out, in], the rest as it is. A plain
 * tensor of two axes has a slice a row; a matrix is one slice.
 */
type FileLayout = "convolution" | "linear" | "plain" | "matrix";

/** Drawn, or one value for all, or the values themselves. */
type Init = "xavier" | number | readonly number[];

/** One tensor of a file: a slice along the leading axis of a parameter (a stream's part, or one fusion weight). */
export interface Slice {
  readonly name: string;
  readonly tensor: Parameter | RunningStatistic;
  /** Floats from the start of the tensor, in memory. */
  readonly offset: number;
  /** Floats in memory, pads included. */
  readonly size: number;
  /** The slice's logical shape here, without the leading axis. */
  readonly shape: readonly number[];
  readonly fileShape: readonly number[];
  readonly fileLayout: FileLayout;
  /** Which of the learning rates moves it. */
  readonly group: "base" | "fusion";
  /** Whether weight decay applies. */
  readonly decay: boolean;
  readonly init: Init;
}

export interface ParameterOptions {
  /** The file's name of each slice along the leading axis; a single name means that there is no such axis. */
  readonly names: readonly string[];
  /** The whole shape; with several names the leading axis counts them. */
  readonly shape: readonly number[];
  readonly fileLayout: FileLayout;
  /** The start value, or one for each slice; of a matrix, its values. */
  readonly init: Init;
  readonly group?: "base" | "fusion";
  readonly decay?: boolean;
}

/** Tensors start at multiples of this many elements: the alignment of bindings, in f16 too. */
const alignment = 128;

/** Words of four bytes in the buffer of `status`, and where the loss scale lies in it: bindings are aligned. */
const statusBuffer = { size: 128, lossScale: 64 } as const;

class Arena {
  size = 0;
  readonly offsets = new Map<Tensor, number>();

  add(tensor: Tensor): void {
    this.offsets.set(tensor, this.size);
    this.size += alignment * Math.ceil(tensor.paddedSize / alignment);
  }
}

export class Parameters {
  readonly slices: Slice[] = [];
  /** i32 [8]: element 0 counts what was not finite since training began; see statusWords. */
  readonly status: Tensor = new Tensor({ name: "status", shape: [8], dtype: "i32", persistent: true });
  /** The gradient of the loss with which backward begins: 1, or in f16 the loss scale. */
  readonly lossScale: Tensor = new Tensor({ name: "loss scale", shape: [1], persistent: true });
  /** Weights of products, and behind them all other parameters: the gradients that their kernels watch lie together. */
  readonly #products = new Arena();
  readonly #others = new Arena();
  readonly #statistics = new Arena();
  #buffers: ArenaBuffers | null = null;
  /** Rounds the weights to f16, where there is a copy of them. */
  #round: Program | null = null;

  /** Declares a parameter; its memory comes with `allocate`. */
  parameter(options: ParameterOptions): Parameter {
    const { shape, fileLayout, names } = options;
    const parameter = new Parameter(names[0]!, shape, isPermuted(fileLayout) ? "weight" : "channels");
    (isPermuted(fileLayout) ? this.#products : this.#others).add(parameter);
    this.#declare(parameter, options);
    return parameter;
  }

  /** Declares a running statistic of a batch norm, [streams, C]. */
  statistic(names: readonly string[], shape: readonly number[], init: number): RunningStatistic {
    const statistic = new RunningStatistic(names[0]!, shape);
    this.#statistics.add(statistic);
    this.#declare(statistic, { names, shape, fileLayout: "plain", init });
    return statistic;
  }

  #declare(tensor: Parameter | RunningStatistic, options: ParameterOptions): void {
    const { names, shape, fileLayout, init, group = "base", decay = false } = options;
    const stacked = names.length > 1 || fileLayout === "convolution" || (fileLayout === "plain" && shape.length > 1);
    const sliceShape = stacked ? shape.slice(1) : shape;
    if (stacked && shape[0] !== names.length) {
      throw new RangeError(`${names[0]}: ${names.length} names for shape [${shape}]`);
    }
    const size = tensor.paddedSize / names.length;
    names.forEach((name, i) => {
      if (this.slices.some((slice) => slice.name === name)) throw new Error(`two parameters are called ${name}`);
      this.slices.push({
        name,
        tensor,
        offset: i * size,
        size,
        shape: sliceShape,
        fileShape: fileShape(sliceShape, fileLayout),
        fileLayout,
        group,
        decay,
        init: typeof init === "object" && fileLayout !== "matrix" ? init[i]! : init,
      });
    });
  }

  /** How many numbers are learnt. */
  get count(): number {
    return this.trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }

  /** The slices that the optimizer moves. */
  get trainable(): Slice[] {
    return this.slices.filter(({ tensor }) => tensor instanceof Parameter);
  }

  /** Shapes in files by name, statistics included. */
  get fileShapes(): Map<string, number[]> {
    return new Map(this.slices.map(({ name, fileShape }) => [name, [...fileShape]]));
  }

  /** Allocates the arenas; gradients and momentum only if the network is to be trained, a copy of the weights for f16. */
  async allocate(
    device: Device,
    { training, precision = "f32" }: { training: boolean; precision?: Precision },
  ): Promise<void> {
    if (this.#buffers) throw new Error("the parameters already have their memory");
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const create = (label: string, floats: number) =>
      device.createBuffer(label, 4 * Math.max(floats, alignment), STORAGE | COPY_SRC | COPY_DST);
    const isHalf = precision === "f16";
    const { weights, statistics } = this.arenaSizes;
    this.#buffers = {
      device,
      values: await create("parameters", weights),
      gradients: training ? await create("gradients", weights) : null,
      momenta: training ? await create("momentum", weights) : null,
      halves: isHalf ? await create("parameters in f16", weights / 2) : null,
      running: await create("running statistics", statistics),
      batch: training ? await create("batch statistics", statistics) : null,
      next: training ? await create("next running statistics", statistics) : null,
      status: await create("status", statusBuffer.size),
    };
    this.status.storage.external = { buffer: this.#buffers.status, offset: 0 };
    this.lossScale.storage.external = { buffer: this.#buffers.status, offset: 4 * statusBuffer.lossScale };
    this.writeLossScale(noLossScale);
    const { values, gradients, halves, running, batch } = this.#buffers;
    for (const tensor of [...this.#products.offsets.keys(), ...this.#others.offsets.keys()]) {
      const at = this.#positionOf(tensor);
      tensor.storage.external = { buffer: values, offset: 4 * at };
      if (gradients) (tensor as Parameter).grad.storage.external = { buffer: gradients, offset: 4 * at };
      if (halves) (tensor as Parameter).half.storage.external = { buffer: halves, offset: 2 * at };
    }
    for (const [tensor, at] of this.#statistics.offsets) {
      tensor.storage.external = { buffer: running, offset: 4 * at };
      if (batch) (tensor as RunningStatistic).batch.storage.external = { buffer: batch, offset: 4 * at };
    }
    if (halves) {
      const tape = new Tape(device, { precision });
      for (const { start, size } of windowsOf(weights, device.limits.maxStorageBufferBindingSize)) {
        const x = viewOf("parameters", values, start, size);
        const y = viewOf("parameters in f16", halves, start, size, "f16");
        tape.push(scale(size / 4, 1, { x, y }));
      }
      this.#round = await tape.compile([]);
    }
  }

  /** Sets the loss scale, and how far it has come. */
  writeLossScale({ lossScale, cleanSteps, skippedSteps }: LossScaleState): void {
    const { device, status } = this.buffers;
    const words = Uint32Array.of(lossScaleExponent(lossScale), cleanSteps, skippedSteps);
    device.gpu.queue.writeBuffer(status, 4 * statusWords.lossScale, words);
    device.gpu.queue.writeBuffer(status, 4 * statusBuffer.lossScale, Float32Array.of(lossScale));
  }

  get allocated(): boolean {
    return this.#buffers !== null;
  }

  get buffers(): ArenaBuffers {
    if (!this.#buffers) throw new Error("the parameters have no memory yet");
    return this.#buffers;
  }

  /** Floats of the arenas. */
  get arenaSizes(): { weights: number; statistics: number } {
    return { weights: this.#products.size + this.#others.size, statistics: this.#statistics.size };
  }

  /** Floats from the start of its arena to a slice. */
  position(slice: Slice): number {
    return this.#positionOf(slice.tensor) + slice.offset;
  }

  #positionOf(tensor: Tensor): number {
    if (tensor instanceof RunningStatistic) return this.#statistics.offsets.get(tensor)!;
    return this.#products.offsets.get(tensor) ?? this.#products.size + this.#others.offsets.get(tensor)!;
  }

  /** Frees the memory. */
  destroy(): void {
    if (!this.#buffers) return;
    const { values, gradients, momenta, halves, running, batch, next, status } = this.#buffers;
    for (const buffer of [values, gradients, momenta, halves, running, batch, next, status]) buffer?.destroy();
    this.#round?.destroy();
    this.#round = null;
    this.#buffers = null;
  }

  /**
   * The start values of a seed: Xavier uniform for convolutions and linear weights (Glorot and Bengio 2010), constants
   * for the rest. Every tensor draws from a stream of its own, named as in files.
   */
  initialValues(seed: number): Map<string, TensorData> {
    return new Map(
      this.slices.map((slice) => {
        const { name, fileShape: shape, init } = slice;
        const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
        if (init === "xavier") {
          const [outputs, inputs, ...kernel] = shape;
          const taps = kernel.reduce((a, b) => a * b, 1);
          const bound = Math.sqrt(6 / ((inputs! + outputs!) * taps));
          const random = new Random(seed, "init", name);
          for (let i = 0; i < data.length; i++) data[i] = random.uniform(-bound, bound);
        } else if (typeof init === "number") {
          data.fill(init);
        } else {
          data.set(init);
        }
        return [name, { shape: [...shape], data }];
      }),
    );
  }

  /** Writes tensors in the files' layouts; names that the network does not have are refused. */
  write(tensors: ReadonlyMap<string, TensorData>, what: "values" | "momenta" | "gradients" = "values"): void {
    const { device } = this.buffers;
    const byName = new Map(this.slices.map((slice) => [slice.name, slice]));
    if (what !== "gradients") {
      const { status } = this.buffers;
      device.gpu.queue.writeBuffer(status, 4 * statusWords.largestState, new Uint32Array([unknownMagnitude]));
    }
    for (const [name, { data, shape }] of tensors) {
      const slice = byName.get(name);
      if (!slice) throw new Error(`${name}: the network has no such tensor`);
      if (String(shape) !== String(slice.fileShape)) {
        throw new Error(`${name}: shape [${shape}] where the network has [${slice.fileShape}]`);
      }
      const size = shape.reduce((product, length) => product * length, 1);
      if (data.length !== size) throw new Error(`${name}: ${data.length} values for shape [${shape}]`);
      const memory = new Float32Array(slice.size);
      const layout = slice.tensor.layout;
      pad(permute(data, slice, "fromFile"), slice.shape, layout, memory);
      device.gpu.queue.writeBuffer(this.#bufferOf(slice, what), 4 * this.position(slice), memory);
    }
    if (what === "values") this.#round?.run();
  }

  /**
   * Reads every tensor in the files' layouts, in the order in which they were declared; "next" are the running statistics
   * that a step is about to leave.
   */
  async read(what: "values" | "momenta" | "gradients" | "next" = "values"): Promise<Map<string, TensorData>> {
    const { device } = this.buffers;
    const statistics = this.slices.filter(({ tensor }) => tensor instanceof RunningStatistic);
    const slices = what === "values" ? this.slices : what === "next" ? statistics : this.trainable;
    const memories = new Map<GPUBuffer, Float32Array>();
    for (const slice of slices) {
      const buffer = this.#bufferOf(slice, what);
      if (!memories.has(buffer)) memories.set(buffer, await readBuffer(device, buffer));
    }
    return new Map(
      slices.map((slice) => {
        const memory = memories.get(this.#bufferOf(slice, what))!;
        const at = this.position(slice);
        const values = new Float32Array(slice.shape.reduce((a, b) => a * b, 1));
        unpad(memory.subarray(at, at + slice.size), slice.shape, slice.tensor.layout, values);
        return [slice.name, { shape: [...slice.fileShape], data: permute(values, slice, "toFile") }];
      }),
    );
  }

  #bufferOf(slice: Slice, what: "values" | "momenta" | "gradients" | "next"): GPUBuffer {
    const { values, momenta, gradients, running, next } = this.buffers;
    const none = { values: null, momenta: null, gradients: null, next: null };
    const isStatistic = slice.tensor instanceof RunningStatistic;
    const buffer = { ...none, ...(isStatistic ? { values: running, next } : { values, momenta, gradients }) }[what];
    if (!buffer) throw new Error(`${slice.name} has no ${what}`);
    return buffer;
  }
}

export interface ArenaBuffers {
  readonly device: Device;
  readonly values: GPUBuffer;
  readonly gradients: GPUBuffer | null;
  readonly momenta: GPUBuffer | null;
  /** The values as f16, in the same order. */
  readonly halves: GPUBuffer | null;
  /** Running statistics, those of the last batch, and the running ones as they will be after the step. */
  readonly running: GPUBuffer;
  readonly batch: GPUBuffer | null;
  readonly next: GPUBuffer | null;
  readonly status: GPUBuffer;
}

/** A tensor over a stretch of a buffer, from an element on. */
export function viewOf(
  name: string,
  buffer: GPUBuffer,
  offset: number,
  elements: number,
  dtype: "f32" | "f16" | "i32" = "f32",
): Tensor {
  const bytes = dtype === "f16" ? 2 : 4;
  const storage = new Storage(bytes * elements, { persistent: true });
  storage.external = { buffer, offset: bytes * offset };
  return new Tensor({ name, shape: [elements], layout: "flat", dtype, storage });
}

/** An arena of `floats` floats in stretches that can be bound, which begin where a block of the optimizer does. */
export function windowsOf(floats: number, bindingLimit: number): { start: number; size: number }[] {
  const limit = Math.floor(bindingLimit / (4 * optimizerBlock)) * optimizerBlock;
  return Array.from({ length: Math.ceil(floats / limit) }, (_, i) => ({
    start: i * limit,
    size: Math.min(limit, floats - i * limit),
  }));
}

/** Most bytes of a staging buffer. */
const stagingBytes = 64 * 2 ** 20;

async function readBuffer(device: Device, source: GPUBuffer): Promise<Float32Array> {
  const result = new Float32Array(source.size / 4);
  const size = Math.min(stagingBytes, source.size);
  const staging = device.createStaging(size);
  for (let at = 0; at < source.size; at += size) {
    const bytes = Math.min(size, source.size - at);
    device.submit(`reading ${source.label}`, (encoder) => encoder.copyBufferToBuffer(source, at, staging, 0, bytes));
    result.set(new Float32Array(await device.map(staging, bytes)), at / 4);
    staging.unmap();
  }
  staging.destroy();
  return result;
}

const isPermuted = (layout: FileLayout) => layout === "convolution" || layout === "linear";

function fileShape(shape: readonly number[], layout: FileLayout): readonly number[] {
  if (layout === "convolution") {
    const [kh, kw, inChannels, outChannels] = shape;
    return [outChannels!, inChannels!, kh!, kw!];
  }
  return layout === "linear" ? [...shape].reverse() : shape;
}

/** [kh, kw, I, O] ↔ OIHW and [I, O] ↔ [O, I]: both move the output channels to the front. */
function permute(values: Float32Array, slice: Slice, direction: "toFile" | "fromFile"): Float32Array {
  if (!isPermuted(slice.fileLayout)) return values;
  const outputs = slice.shape.at(-1)!;
  const inputs = slice.shape.at(-2)!;
  const taps = values.length / (outputs * inputs);
  const result = new Float32Array(values.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) {
        const here = (tap * inputs + i) * outputs + o;
        const there = (o * inputs + i) * taps + tap;
        if (direction === "toFile") result[there] = values[here]!;
        else result[here] = values[there]!;
      }
    }
  }
  return result;
}
