/** One training step on the device: forward, losses, backward, and the update of the weights. */
import {
  addScaled,
  binaryCrossEntropyWithLogits,
  type Program,
  type ProgramOptions,
  type ProgramPlan,
  preprocess,
  softmaxCrossEntropy,
  Tape,
  type Tensor,
} from "../../autograd/index.ts";
import type { Device } from "../../kernels/device.ts";
import { watchFinite } from "../../kernels/sgd.ts";
import { type LearningRates, Sgd, type Slice } from "../../nn/index.ts";
import type { Network } from "../model.ts";
import type { Preprocessing } from "../preprocessing.ts";

export interface StepOptions {
  readonly batchSize: number;
  /** Samples computed at a time; divides batchSize. */
  readonly microBatch: number;
  /** Side of the decoded images, in pixels. */
  readonly decodedSize: number;
  readonly preprocessing: Preprocessing;
  readonly lambda: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly frozen?: (slice: Slice) => boolean;
  /** How memory is planned; the default shares it. */
  readonly memory?: ProgramOptions;
}

/** The part of a loader's batch that a step needs; all arrays are batchSize long. */
export interface StepInput {
  /** uint8 RGB [B, R, R, 3]. */
  readonly images: Uint8Array;
  /** x, y, flip [B, 3]. */
  readonly crops: Int32Array;
  readonly aesTarget: Float32Array;
  readonly aesMask: Float32Array;
  /** −1 where missing. */
  readonly emoTarget: Int32Array;
}

/** Losses before the update, each the mean over the samples with that label; null where there are none. */
export interface StepLosses {
  readonly loss: number | null;
  readonly aes: number | null;
  readonly emo: number | null;
  /** Losses and blocks of gradients that were not finite so far. */
  readonly nonFinite: number;
}

/** The recorded step, before it has any memory. */
interface Recording {
  readonly tape: Tape;
  readonly inputs: Record<"images" | "crops" | "aesLabels" | "emoLabels" | "aesCount" | "emoCount" | "one", Tensor>;
  readonly losses: { total: Tensor; aes: Tensor | null; emo: Tensor | null };
}

function recordStep(device: Device, network: Network, options: StepOptions): Recording {
  const { microBatch, batchSize, decodedSize, preprocessing, lambda } = options;
  const tape = new Tape(device, { training: true, accumulateGradients: microBatch < batchSize });
  const inputs = {
    images: tape.input("images", [microBatch, decodedSize, decodedSize, 3], { dtype: "u8" }),
    crops: tape.input("crops", [microBatch, 3], { dtype: "i32" }),
    aesLabels: tape.input("aesthetics labels", [microBatch]),
    emoLabels: tape.input("emotion labels", [microBatch], { dtype: "i32" }),
    aesCount: tape.input("aesthetics label count", [1]),
    emoCount: tape.input("emotion label count", [1]),
    one: tape.input("one", [1]),
  };
  const { imageSize: size, mean, deviation } = preprocessing;
  const logits = network.forward(preprocess(inputs.images, inputs.crops, { size, mean, deviation }));
  const aes = logits.aes && binaryCrossEntropyWithLogits(logits.aes, inputs.aesLabels, inputs.aesCount);
  const emo = logits.emo && softmaxCrossEntropy(logits.emo, inputs.emoLabels, inputs.emoCount);
  const total = aes && emo ? addScaled(aes, emo, lambda) : (aes ?? emo)!; // L = L_a + λ·L_e (Eq. 1)
  tape.push(watchFinite(1, { x: aes ?? total, status: network.parameters.status }));
  tape.push(watchFinite(1, { x: emo ?? total, status: network.parameters.status }));
  tape.backward(total, inputs.one);
  return { tape, inputs, losses: { total, aes, emo } };
}

const outputsOf = ({ losses }: Recording): Tensor[] =>
  [losses.total, losses.aes, losses.emo].filter((t): t is Tensor => t !== null);

export class TrainingStep {
  readonly #network: Network;
  readonly #options: StepOptions;
  readonly #recording: Recording;
  readonly #program: Program;
  readonly #sgd: Sgd;

  private constructor(network: Network, options: StepOptions, recording: Recording, program: Program, sgd: Sgd) {
    this.#network = network;
    this.#options = options;
    this.#recording = recording;
    this.#program = program;
    this.#sgd = sgd;
  }

  /** What a step needs, without allocating anything. @throws GpuError if it does not fit the adapter. */
  static plan(device: Device, network: Network, options: StepOptions): ProgramPlan {
    const recording = recordStep(device, network, options);
    return recording.tape.plan(outputsOf(recording), options.memory);
  }

  /**
   * Plans the step, then allocates the network's parameters (if they have no memory yet) and the step's own memory.
   * @throws GpuError if it does not fit the adapter.
   */
  static async create(device: Device, network: Network, options: StepOptions): Promise<TrainingStep> {
    const recording = recordStep(device, network, options);
    recording.tape.plan(outputsOf(recording), options.memory);
    if (!network.parameters.allocated) await network.parameters.allocate(device, { training: true });
    const program = await recording.tape.compile(outputsOf(recording), options.memory);
    program.write(recording.inputs.one, [1]);
    const sgd = await Sgd.create(device, network.parameters, options);
    return new TrainingStep(network, options, recording, program, sgd);
  }

  /** Bytes of GPU memory beside the parameters. */
  get bytes(): number {
    return this.#program.bytes;
  }

  get plan(): ProgramPlan["plan"] {
    return this.#program.plan;
  }

  /** Queues a step and returns at once; the losses come when the device is done. One that failed rejects. */
  async submit(input: StepInput, rates: LearningRates): Promise<StepLosses> {
    const { batchSize, microBatch } = this.#options;
    const { inputs, losses } = this.#recording;
    const aesLabels = input.aesTarget.map((target, i) => (input.aesMask[i] ? target : -1));
    const aesCount = countOf(aesLabels);
    const emoCount = countOf(input.emoTarget);
    this.#program.write(inputs.aesCount, [aesCount]);
    this.#program.write(inputs.emoCount, [emoCount]);
    if (microBatch < batchSize) this.#sgd.clearGradients();
    const parts: Promise<(number | null)[]>[] = [];
    for (let part = 0; part * microBatch < batchSize; part++) {
      const slice = <T extends Uint8Array | Int32Array | Float32Array>(values: T): T => {
        const length = (values.length / batchSize) * microBatch;
        return values.subarray(part * length, (part + 1) * length) as T;
      };
      this.#program.write(inputs.images, slice(input.images));
      this.#program.write(inputs.crops, slice(input.crops));
      this.#program.write(inputs.aesLabels, slice(aesLabels));
      this.#program.write(inputs.emoLabels, slice(input.emoTarget));
      this.#program.run();
      this.#sgd.trackStatistics(part);
      const read = async (t: Tensor | null) => (t ? (await this.#program.read(t))[0]! : null);
      const values = Promise.all([read(losses.total), read(losses.aes), read(losses.emo)]);
      values.catch(() => {}); // awaited below, unless the next part cannot even be queued
      parts.push(values);
    }
    this.#sgd.step(rates);
    // Everything is queued before the first of these is awaited.
    const [values, nonFinite] = await Promise.all([Promise.all(parts), this.#sgd.nonFinite()]);
    const sum = (i: number) => values.reduce((total, part) => total + (part[i] ?? 0), 0);
    const aes = losses.aes !== null && aesCount > 0 ? sum(1) : null;
    const emo = losses.emo !== null && emoCount > 0 ? sum(2) : null;
    return { loss: aes === null && emo === null ? null : sum(0), aes, emo, nonFinite };
  }

  /** The name of a weight whose last gradient has a value that is not finite, or null. */
  async firstNonFiniteGradient(): Promise<string | null> {
    for (const [name, { data }] of await this.#network.parameters.read("gradients")) {
      if (!data.every(Number.isFinite)) return name;
    }
    return null;
  }

  destroy(): void {
    this.#program.destroy();
    this.#sgd.destroy();
  }
}

function countOf(labels: Iterable<number>): number {
  let count = 0;
  for (const label of labels) if (label >= 0) count++;
  return count;
}
