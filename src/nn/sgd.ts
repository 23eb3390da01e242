/** Stochastic gradient descent with momentum over a network's arenas, as a program. */
import { type Program, Tape, type Tensor } from "../autograd/index.ts";
import type { Device } from "../kernels/device.ts";
import { commitRunning, optimizerBlock, sgd, updateRunning, watchFinite } from "../kernels/sgd.ts";
import { type Parameters, type Slice, viewOf } from "./parameters.ts";

export interface SgdOptions {
  readonly momentum: number;
  readonly weightDecay: number;
  /** Slices that never move. */
  readonly frozen?: (slice: Slice) => boolean;
}

/** Learning rates of the parameter groups. */
export interface LearningRates {
  readonly base: number;
  readonly fusion: number;
}

/** Momentum of the running statistics. */
const runningMomentum = 0.1;

/** Order of the rates in the device's buffer. */
const rateIndex = { frozen: 0, base: 1, fusion: 2 } as const;

export class Sgd {
  readonly #parameters: Parameters;
  readonly #update: Program;
  readonly #statistics: Program;
  readonly #rates: Tensor;
  readonly #own: GPUBuffer[];

  private constructor(fields: {
    parameters: Parameters;
    update: Program;
    statistics: Program;
    rates: Tensor;
    own: GPUBuffer[];
  }) {
    this.#parameters = fields.parameters;
    this.#update = fields.update;
    this.#statistics = fields.statistics;
    this.#rates = fields.rates;
    this.#own = fields.own;
  }

  static async create(device: Device, parameters: Parameters, options: SgdOptions): Promise<Sgd> {
    const { values, gradients, momenta, running, batch, next } = parameters.buffers;
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
    const { status } = parameters;

    const tape = new Tape(device);
    const rates = tape.input("learning rates", [4], { layout: "flat" });
    const limit = Math.floor(device.limits.maxStorageBufferBindingSize / (4 * optimizerBlock)) * optimizerBlock;
    const windows = Array.from({ length: Math.ceil(weights / limit) }, (_, i) => i * limit);
    for (const start of windows) {
      const floats = Math.min(limit, weights - start);
      tape.push(watchFinite(floats / 4, { x: viewOf("gradients", gradients, start, floats), status }));
    }
    for (const start of windows) {
      const floats = Math.min(limit, weights - start);
      tape.push(
        sgd(
          { size: floats / 4, firstBlock: start / optimizerBlock, momentum: options.momentum },
          {
            gradients: viewOf("gradients", gradients, start, floats),
            values: viewOf("parameters", values, start, floats),
            momenta: viewOf("momentum", momenta, start, floats),
            segments,
            firstSegments,
            rates,
            status,
          },
        ),
      );
    }
    const tracking = new Tape(device);
    if (statistics > 0) {
      const view = (name: string, buffer: GPUBuffer) => viewOf(name, buffer, 0, statistics);
      const nextView = view("next running statistics", next);
      const batchView = view("batch statistics", batch);
      tracking.push(updateRunning(statistics / 4, runningMomentum, { batch: batchView, next: nextView }));
      tape.push(
        commitRunning(statistics / 4, { next: nextView, status, running: view("running statistics", running) }),
      );
    }
    return new Sgd({
      parameters,
      update: await tape.compile([rates]),
      statistics: await tracking.compile([]),
      rates,
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

  /** Moves the parameters by the gradients in the arena, unless something was not finite. */
  step(rates: LearningRates): void {
    const values = new Float32Array(4);
    values[rateIndex.base] = rates.base;
    values[rateIndex.fusion] = rates.fusion;
    this.#update.write(this.#rates, values);
    this.#update.run();
  }

  /** Sets all gradients to zero, before a sum over micro-batches. */
  clearGradients(): void {
    const { device, gradients } = this.#parameters.buffers;
    device.submit("clear gradients", (encoder) => encoder.clearBuffer(gradients!));
  }

  /** How many losses and blocks of gradients were not finite; anything but 0 stopped all updates. */
  async nonFinite(): Promise<number> {
    const [count] = await this.#update.read(this.#parameters.status);
    return count!;
  }

  destroy(): void {
    this.#update.destroy();
    this.#statistics.destroy();
    for (const buffer of this.#own) buffer.destroy();
  }
}

/** The optimizer's view of the arena: where each slice ends, which rate moves it, its weight decay. */
function segmentTable(parameters: Parameters, { weightDecay, frozen = () => false }: SgdOptions) {
  const slices = parameters.trainable;
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
