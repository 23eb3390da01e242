/** Stochastic gradient descent with momentum over a network's arenas, as a program. */
import { type Parameter, type Program, Tape, type Tensor } from "../autograd/index.ts";
import type { Device } from "../kernels/device.ts";
import {
  beginUpdate,
  checkSgd,
  commitRunning,
  endUpdate,
  largestSafeMagnitude,
  optimizerBlock,
  scaledSgd,
  sgd,
  updateRunning,
} from "../kernels/sgd.ts";
import { statusWords, watchFinite, watchGradients } from "../kernels/watch.ts";
import {
  defaultLossScale,
  type LossScaleOptions,
  type LossScaleState,
  largestLossScale,
  lossScaleExponent,
} from "./loss-scale.ts";
import { type Parameters, type Slice, viewOf, windowsOf } from "./parameters.ts";

export interface SgdOptions {
  readonly momentum: number;
  readonly weightDecay: number;
  /** Slices that never move. */
  readonly frozen?: (slice: Slice) => boolean;
  /** Only where the parameters have a copy in f16; without one, gradients are not scaled. */
  readonly lossScale?: LossScaleOptions;
  /** Gradients that are watched, for what is not finite, where they are computed (`Tape.watched`). */
  readonly watched?: ReadonlySet<Tensor>;
}

/** What the device says of itself after a step. */
export interface StepStatus extends LossScaleState {
  /** How many losses, blocks of gradients and the like were not finite; anything but 0 stopped all updates. */
  readonly nonFinite: number;
}

/** Learning rates of the parameter groups. */
export interface LearningRates {
  readonly base: number;
  readonly fusion: number;
}

/** Momentum of the running statistics. */
const runningMomentum = 0.1;

/** Order of the rates in the device's buffer; behind them the largest magnitude that needs no check. */
const rateIndex = { frozen: 0, base: 1, fusion: 2 } as const;
const safeIndex = 3;

/** Steps that may be under way at once. */
export const stepsInFlight = 2;

export class Sgd {
  readonly #parameters: Parameters;
  readonly #update: Program;
  readonly #statistics: Program;
  readonly #rates: Tensor;
  readonly #options: SgdOptions;
  readonly #own: GPUBuffer[];

  private constructor(fields: {
    parameters: Parameters;
    update: Program;
    statistics: Program;
    rates: Tensor;
    options: SgdOptions;
    own: GPUBuffer[];
  }) {
    this.#parameters = fields.parameters;
    this.#update = fields.update;
    this.#statistics = fields.statistics;
    this.#rates = fields.rates;
    this.#options = fields.options;
    this.#own = fields.own;
  }

  static async create(device: Device, parameters: Parameters, options: SgdOptions): Promise<Sgd> {
    const { values, gradients, momenta, halves, running, batch, next } = parameters.buffers;
    if (!gradients || !momenta || !batch || !next) throw new Error("the parameters were not allocated for training");
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    const own: GPUBuffer[] = [];
    const upload = async (name: string, data: Uint32Array<ArrayBuffer>) => {
      const buffer = await device.createBuffer(name, data.byteLength, STORAGE | COPY_DST | COPY_SRC);
      device.gpu.queue.writeBuffer(buffer, 0, data);
      own.push(buffer);
      return viewOf(name, buffer, 0, data.length, "i32");
    };
    const { weights, statistics } = parameters.arenaSizes;
    const table = segmentTable(parameters, options);
    const segments = await upload("optimizer segments", table.segments);
    const firstSegments = await upload("optimizer first segments", table.firstSegments);
    const { status, lossScale } = parameters;
    const scaled = halves !== null;
    const { initial, growthInterval } = { ...defaultLossScale, ...options.lossScale };
    if (scaled) parameters.writeLossScale({ lossScale: initial, cleanSteps: 0, skippedSteps: 0 });

    const tape = new Tape(device);
    const rates = tape.input("learning rates", [4], { layout: "flat" });
    const windows = windowsOf(weights, device.limits.maxStorageBufferBindingSize).map(({ start, size }) => {
      const view = (name: string, buffer: GPUBuffer) => viewOf(name, buffer, start, size);
      return {
        window: { size: size / 4, firstBlock: start / optimizerBlock, momentum: options.momentum },
        halves: halves && viewOf("parameters in f16", halves, start, size, "f16"),
        tensors: {
          gradients: view("gradients", gradients),
          values: view("parameters", values),
          momenta: view("momentum", momenta),
          ...{ segments, firstSegments, rates, status },
        },
      };
    });
    for (const { start, end } of unwatched(parameters, options.watched ?? new Set())) {
      for (const window of windowsOf(end - start, device.limits.maxStorageBufferBindingSize)) {
        const x = viewOf("gradients", gradients, start + window.start, window.size);
        tape.push(watchGradients(window.size / 4, { x, status }, { scaled }));
      }
    }
    if (statistics > 0) {
      const x = viewOf("next running statistics", next, 0, statistics);
      tape.push(watchFinite(statistics / 4, { x, status }));
    }
    tape.push(
      ...windows.map(({ window, tensors }) => checkSgd(window, tensors, { scaled })),
      beginUpdate({ status }),
      ...windows.map(({ window, tensors, halves }) =>
        halves ? scaledSgd(window, { ...tensors, halves }) : sgd(window, tensors),
      ),
    );
    const tracking = new Tape(device);
    if (statistics > 0) {
      const view = (name: string, buffer: GPUBuffer) => viewOf(name, buffer, 0, statistics);
      const nextView = view("next running statistics", next);
      const batchView = view("batch statistics", batch);
      tracking.push(updateRunning(statistics / 4, runningMomentum, { batch: batchView, next: nextView, status }));
      tape.push(
        commitRunning(statistics / 4, { next: nextView, status, running: view("running statistics", running) }),
      );
    }
    const scales = { growthInterval, largestScale: lossScaleExponent(largestLossScale) };
    if (scaled) tape.push(endUpdate(scales, { status, lossScale }));
    return new Sgd({
      parameters,
      update: await tape.compile([status], { readsInFlight: stepsInFlight }),
      statistics: await tracking.compile([]),
      rates,
      options,
      own,
    });
  }

  /** Takes the batch statistics of a micro-batch into the next running ones; number 0 is the first of a step. */
  trackStatistics(microBatch: number): void {
    if (microBatch === 0) {
      const { device, running, next } = this.#parameters.buffers;
      device.submit("running statistics", (encoder) => encoder.copyBufferToBuffer(running, 0, next!, 0, running.size));
    }
    this.#statistics.run();
  }

  /** Moves the parameters by the gradients in the arena, unless something was not finite or would become so. */
  step(rates: LearningRates): void {
    const values = new Float32Array(4);
    values[rateIndex.base] = rates.base;
    values[rateIndex.fusion] = rates.fusion;
    const { momentum, weightDecay } = this.#options;
    // Of the rates as the device has them: beyond float32 they are infinite, and nothing is safe.
    const largestRate = Math.max(values[rateIndex.base]!, values[rateIndex.fusion]!);
    values[safeIndex] = largestSafeMagnitude(momentum, weightDecay, largestRate);
    this.#update.write(this.#rates, values);
    this.#update.run();
  }

  /** Sets all gradients to zero, before a sum over micro-batches. */
  clearGradients(): void {
    const { device, gradients } = this.#parameters.buffers;
    device.submit("clear gradients", (encoder) => encoder.clearBuffer(gradients!));
  }

  /**
   * The first weight whose update, by the gradients in the arena, is not finite though weight, momentum and gradient are;
   * null if there is none. Computed here, for saying why a step stopped.
   */
  async findNonFiniteUpdate(rates: LearningRates): Promise<string | null> {
    const { momentum, weightDecay, frozen = () => false } = this.#options;
    const { lossScale } = await this.status();
    const [values, momenta, gradients] = [
      await this.#parameters.read(),
      await this.#parameters.read("momenta"),
      await this.#parameters.read("gradients"),
    ];
    for (const slice of this.#parameters.trainable) {
      if (frozen(slice)) continue;
      const [w, m, g] = [values, momenta, gradients].map((tensors) => tensors.get(slice.name)!.data);
      const decay = slice.decay ? weightDecay : 0;
      const overflows = w!.some((value, i) => {
        const v = Math.fround(momentum * m![i]! + g![i]! / lossScale + decay * value);
        return !Number.isFinite(Math.fround(value - Math.fround(rates[slice.group]) * v));
      });
      if (overflows) return slice.name;
    }
    return null;
  }

  /** As the last update left it. */
  async status(): Promise<StepStatus> {
    const words = await this.#update.read(this.#parameters.status);
    return {
      nonFinite: words[statusWords.nonFinite]!,
      lossScale: 2 ** words[statusWords.lossScale]!,
      cleanSteps: words[statusWords.cleanSteps]!,
      skippedSteps: words[statusWords.skippedSteps]!,
    };
  }

  destroy(): void {
    this.#update.destroy();
    this.#statistics.destroy();
    for (const buffer of this.#own) buffer.destroy();
  }
}

/** The slices that move, in the order of their memory. */
function inMemory(parameters: Parameters): Slice[] {
  const positions = new Map(parameters.trainable.map((slice) => [slice, parameters.position(slice)]));
  return [...positions.keys()].sort((a, b) => positions.get(a)! - positions.get(b)!);
}

/** Stretches of the arena, in floats, whose gradients are not `watched` yet. */
function unwatched(parameters: Parameters, watched: ReadonlySet<Tensor>): { start: number; end: number }[] {
  const slices = inMemory(parameters);
  const stretches: { start: number; end: number }[] = [];
  slices.forEach((slice, i) => {
    if (watched.has((slice.tensor as Parameter).grad)) return;
    const start = parameters.position(slice);
    const next = slices[i + 1];
    const end = next ? parameters.position(next) : parameters.arenaSizes.weights;
    const last = stretches.at(-1);
    if (last?.end === start) stretches[stretches.length - 1] = { start: last.start, end };
    else stretches.push({ start, end });
  });
  return stretches;
}

/** The optimizer's view of the arena: where each slice ends, which rate moves it, its weight decay. */
function segmentTable(parameters: Parameters, { weightDecay, frozen = () => false }: SgdOptions) {
  const slices = inMemory(parameters);
  const total = parameters.arenaSizes.weights;
  const segments = new Uint32Array(3 * slices.length);
  const decays = new Float32Array(segments.buffer);
  const starts = slices.map((slice) => parameters.position(slice));
  slices.forEach((slice, i) => {
    segments[3 * i] = (starts[i + 1] ?? total) / 4;
    segments[3 * i + 1] = rateIndex[frozen(slice) ? "frozen" : slice.group];
    decays[3 * i + 2] = slice.decay ? weightDecay : 0;
  });
  const firstSegments = new Uint32Array(Math.ceil(total / optimizerBlock));
  let segment = 0;
  for (let block = 0; block < firstSegments.length; block++) {
    while (segments[3 * segment]! * 4 <= block * optimizerBlock) segment++;
    firstSegments[block] = segment;
  }
  return { segments, firstSegments };
}
