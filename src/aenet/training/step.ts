/** One training step on the device: forward, losses, backward, and the update of the weights. */
import {
  addScaled,
  binaryCrossEntropyWithLogits,
  type NonFinite,
  type Precision,
  type Program,
  type ProgramOptions,
  type ProgramPlan,
  preprocess,
  RunningStatistic,
  softmaxCrossEntropy,
  Tape,
  type Tensor,
} from "../../autograd/index.ts";
import type { Device } from "../../kernels/device.ts";
import { gradientSlot, watchFinite } from "../../kernels/watch.ts";
import {
  type LearningRates,
  type LossScaleOptions,
  type LossScaleState,
  Sgd,
  type Slice,
  type StepStatus,
  stepsInFlight,
  type TensorData,
} from "../../nn/index.ts";
import { streamsOf } from "../architecture.ts";
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
  /** Of activations, their gradients and the weights that convolutions read. Default f32. */
  readonly precision?: Precision;
  readonly lossScale?: LossScaleOptions;
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

/** Losses before the update, each the mean over the samples with that label, null where there are none; and the status. */
export interface StepLosses extends StepStatus {
  readonly loss: number | null;
  readonly aes: number | null;
  readonly emo: number | null;
}

/** The recorded step, before it has any memory. */
interface Recording {
  readonly tape: Tape;
  readonly inputs: Record<"images" | "crops" | "aesLabels" | "emoLabels" | "aesCount" | "emoCount", Tensor>;
  readonly losses: { total: Tensor; aes: Tensor | null; emo: Tensor | null };
}

function recordStep(device: Device, network: Network, options: StepOptions): Recording {
  const { microBatch, batchSize, decodedSize, preprocessing, lambda, precision = "f32" } = options;
  const { status, lossScale } = network.parameters;
  const accumulateGradients = microBatch < batchSize;
  // Sums over micro-batches can overflow where no part does: the optimizer watches those.
  const watch = accumulateGradients ? null : { status, slot: gradientSlot({ scaled: precision === "f16" }) };
  const tape = new Tape(device, { training: true, accumulateGradients, precision, watch });
  const inputs = {
    images: tape.input("images", [microBatch, decodedSize, decodedSize, 3], { dtype: "u8" }),
    crops: tape.input("crops", [microBatch, 3], { dtype: "i32" }),
    aesLabels: tape.input("aesthetics labels", [microBatch]),
    emoLabels: tape.input("emotion labels", [microBatch], { dtype: "i32" }),
    aesCount: tape.input("aesthetics label count", [1]),
    emoCount: tape.input("emotion label count", [1]),
  };
  const { imageSize: size, mean, deviation } = preprocessing;
  const logits = network.forward(preprocess(inputs.images, inputs.crops, { size, mean, deviation }));
  const aes = logits.aes && binaryCrossEntropyWithLogits(logits.aes, inputs.aesLabels, inputs.aesCount);
  const emo = logits.emo && softmaxCrossEntropy(logits.emo, inputs.emoLabels, inputs.emoCount);
  const total = aes && emo ? addScaled(aes, emo, lambda) : (aes ?? emo)!; // L = L_a + λ·L_e (Eq. 1)
  for (const x of [logits.aes, logits.emo, total]) {
    if (x) tape.push(watchFinite(x.paddedSize / 4, { x, status }));
  }
  tape.backward(total, lossScale);
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
    const recording = await device.tiles.settle(() => recordStep(device, network, options));
    recording.tape.plan(outputsOf(recording), options.memory);
    if (!network.parameters.allocated)
      await network.parameters.allocate(device, { training: true, precision: options.precision ?? "f32" });
    const readsInFlight = (stepsInFlight * options.batchSize) / options.microBatch;
    const program = await recording.tape.compile(outputsOf(recording), { ...options.memory, readsInFlight });
    const { watched } = recording.tape;
    const sgd = await Sgd.create(device, network.parameters, { ...options, watched });
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
    const { losses } = this.#recording;
    const parts: Promise<(number | null)[]>[] = [];
    const { aesCount, emoCount } = this.#begin(input);
    for (let part = 0; part < this.#parts; part++) {
      this.#writePart(input, part);
      this.#program.run();
      this.#sgd.trackStatistics(part);
      const read = async (t: Tensor | null) => (t ? (await this.#program.read(t))[0]! : null);
      const values = Promise.all([read(losses.total), read(losses.aes), read(losses.emo)]);
      values.catch(() => {}); // awaited below, unless the next part cannot even be queued
      parts.push(values);
    }
    this.#sgd.step(rates);
    // Everything is queued before the first of these is awaited.
    const [values, status] = await Promise.all([Promise.all(parts), this.#sgd.status()]);
    const sum = (i: number) => values.reduce((total, part) => total + (part[i] ?? 0), 0);
    const aes = losses.aes !== null && aesCount > 0 ? sum(1) : null;
    const emo = losses.emo !== null && emoCount > 0 ? sum(2) : null;
    return { loss: aes === null && emo === null ? null : sum(0), aes, emo, ...status };
  }

  /** Goes on with a loss scale from before; no step may be in flight. */
  restoreLossScale(state: LossScaleState): void {
    this.#network.parameters.writeLossScale(state);
  }

  /** Micro-batches in a step. */
  get #parts(): number {
    return this.#options.batchSize / this.#options.microBatch;
  }

  /** What a step begins with: the label counts of the whole batch, and gradients of 0 where parts are added up. */
  #begin(input: StepInput): { aesCount: number; emoCount: number } {
    const { inputs } = this.#recording;
    const aesCount = countOf(aesLabelsOf(input));
    const emoCount = countOf(input.emoTarget);
    this.#program.write(inputs.aesCount, [aesCount]);
    this.#program.write(inputs.emoCount, [emoCount]);
    if (this.#parts > 1) this.#sgd.clearGradients();
    return { aesCount, emoCount };
  }

  #writePart(input: StepInput, part: number): void {
    const { inputs } = this.#recording;
    const slice = <T extends Uint8Array | Int32Array | Float32Array>(values: T): T => {
      const length = values.length / this.#parts;
      return values.subarray(part * length, (part + 1) * length) as T;
    };
    this.#program.write(inputs.images, slice(input.images));
    this.#program.write(inputs.crops, slice(input.crops));
    this.#program.write(inputs.aesLabels, slice(aesLabelsOf(input)));
    this.#program.write(inputs.emoLabels, slice(input.emoTarget));
  }

  /**
   * Names the first tensor that was not finite in a step that `nonFinite` stopped. `input` and `rates` are that step's; no
   * step may be in flight. Nothing has been updated since, so the step gives the same bits once more.
   */
  async explainNonFinite(input: StepInput, rates: LearningRates): Promise<string> {
    const { parameters } = this.#network;
    const before =
      firstNonFinite(await parameters.read()) ?? firstNonFinite(await parameters.read("momenta"), "the momentum of ");
    if (before) return `${before} before the step began`;
    this.#begin(input);
    for (let part = 0; part < this.#parts; part++) {
      this.#writePart(input, part);
      const where = this.#parts > 1 ? `, in micro-batch ${part + 1} of ${this.#parts}` : "";
      const found = await this.#program.findNonFinite();
      if (found) return this.#describe(found) + where;
      this.#sgd.trackStatistics(part);
      const statistic = firstNonFinite(await parameters.read("next"));
      if (statistic) return `${statistic} after the step${where}`;
    }
    const updated = await this.#sgd.findNonFiniteUpdate(rates);
    return `the update of ${updated ?? "a weight"} is not finite, its gradient is`;
  }

  /** "layer1.0.conv1.conv2d backward: d(a.layer1.0.conv1.weight) is not finite: NaN at …". */
  #describe({ operation, tensor, index, count, value }: NonFinite): string {
    const { architecture, parameters } = this.#network;
    const streams = streamsOf(architecture.arch);
    // A tensor of the arenas goes by its file's names, one for each stream.
    const slices = parameters.slices.filter(({ tensor: owner }) =>
      owner instanceof RunningStatistic ? owner.batch === tensor : owner.grad === tensor,
    );
    const slice = slices.length > 1 ? slices[index?.[0] ?? 0] : slices[0];
    const isStatistic = slice?.tensor instanceof RunningStatistic;
    const name = slice ? (isStatistic ? `${slice.name} of the batch` : `d(${slice.name})`) : tensor.name;
    // Activations are [streams, batch, height, width, channels].
    const isStacked = !slice && tensor.shape.length === 5 && tensor.shape[0] === streams.length && streams.length > 1;
    const stream = isStacked && index ? ` in stream ${streams[index[0]!]}` : "";
    const where = index ? `${value} at [${index.join(", ")}] of [${tensor.shape.join(", ")}]` : "beside its values";
    const more = count > 1 ? `, the first of ${count}` : "";
    return `${operation && operation !== name ? `${operation}: ` : ""}${name} is not finite${stream}: ${where}${more}`;
  }

  destroy(): void {
    this.#program.destroy();
    this.#sgd.destroy();
  }
}

/** 1 high, 0 low, −1 none. */
const aesLabelsOf = ({ aesTarget, aesMask }: StepInput): Float32Array =>
  aesTarget.map((target, i) => (aesMask[i] ? target : -1));

function firstNonFinite(tensors: ReadonlyMap<string, TensorData>, prefix = ""): string | null {
  for (const [name, { data }] of tensors) {
    const value = data.find((x) => !Number.isFinite(x));
    if (value !== undefined) return `${prefix}${name} is not finite: it holds ${value}`;
  }
  return null;
}

function countOf(labels: Iterable<number>): number {
  let count = 0;
  for (const label of labels) if (label >= 0) count++;
  return count;
}
