/** A training step, timed and profiled against the adapter's ceilings. Node only. */
import type { Precision } from "../../autograd/index.ts";
import { type CeilingSample, Ceilings } from "../../kernels/ceilings.ts";
import type { Device } from "../../kernels/device.ts";
import type { DispatchLabel, ProfiledDispatch } from "../../kernels/profiler.ts";
import { Random } from "../../random.ts";
import { type ArchitectureOptions, createArchitecture } from "../architecture.ts";
import { resizedSide } from "../data/augment.ts";
import { EIGHT_EMOTIONS } from "../data/classes.ts";
import { createNetwork, type Network } from "../model.ts";
import { defaultPreprocessing } from "../preprocessing.ts";
import { defaultTrainConfig } from "../training/config.ts";
import { type StepInput, TrainingStep } from "../training/step.ts";
import { idealSeconds, median, type ProfileRound } from "./profile.ts";

export interface StepWork extends ArchitectureOptions {
  readonly arch: string;
  readonly batchSize: number;
  readonly imageSize: number;
  /** Samples computed at a time. Default: the whole batch. */
  readonly microBatch?: number | undefined;
  /** Default f32. */
  readonly precision?: Precision;
}

/** Images of noise with labels: what is in them does not change the time. */
export function noise({ batchSize, imageSize }: Pick<StepWork, "batchSize" | "imageSize">): StepInput {
  const random = new Random(0, "bench");
  const side = resizedSide(imageSize);
  const many = (length: number, below: number) => Int32Array.from({ length }, () => random.integer(below));
  return {
    images: Uint8Array.from(many(batchSize * side ** 2 * 3, 256)),
    crops: many(batchSize * 3, 2),
    aesTarget: Float32Array.from(many(batchSize, 2)),
    aesMask: new Float32Array(batchSize).fill(1),
    emoTarget: many(batchSize, EIGHT_EMOTIONS.length),
  };
}

/** A step that can be run again and again, between other measurements. */
export class StepRunner {
  readonly device: Device;
  readonly work: StepWork;
  /** Milliseconds for planning, compiling and allocating. */
  readonly buildMs: number;
  /** Distinct pipelines of the step. */
  readonly pipelines: number;
  /** Bytes of GPU memory that the step holds, parameters and all. */
  readonly gpuBytes: number;
  readonly #network: Network;
  readonly #step: TrainingStep;
  readonly #input: StepInput;

  private constructor(fields: {
    device: Device;
    work: StepWork;
    buildMs: number;
    pipelines: number;
    gpuBytes: number;
    network: Network;
    step: TrainingStep;
  }) {
    this.device = fields.device;
    this.work = fields.work;
    this.buildMs = fields.buildMs;
    this.pipelines = fields.pipelines;
    this.gpuBytes = fields.gpuBytes;
    this.#network = fields.network;
    this.#step = fields.step;
    this.#input = noise(fields.work);
  }

  /** @throws GpuError if the step does not fit the adapter; Error naming the flag for what is no architecture. */
  static async create(device: Device, work: StepWork): Promise<StepRunner> {
    const { arch, batchSize, imageSize, microBatch = batchSize, precision = "f32", ...options } = work;
    if (batchSize % microBatch !== 0) {
      throw new Error(`--micro-batch ${microBatch}: does not divide --batch-size ${batchSize}`);
    }
    const network = createNetwork(createArchitecture(arch, EIGHT_EMOTIONS, options));
    const pipelinesBefore = device.pipelineCount;
    const bytesBefore = device.allocatedBytes;
    const start = performance.now();
    const { lambda, momentum, weightDecay } = defaultTrainConfig;
    const step = await TrainingStep.create(device, network, {
      batchSize,
      microBatch,
      decodedSize: resizedSide(imageSize),
      preprocessing: { ...defaultPreprocessing, imageSize },
      lambda,
      momentum,
      weightDecay,
      precision,
    });
    await device.synchronize();
    const buildMs = performance.now() - start;
    network.parameters.write(network.parameters.initialValues(0));
    await device.synchronize();
    return new StepRunner({
      device,
      work,
      network,
      step,
      buildMs,
      pipelines: device.pipelineCount - pipelinesBefore,
      gpuBytes: device.allocatedBytes - bytesBefore,
    });
  }

  /** One step to its end, its losses read. */
  async run(): Promise<{ ms: number; encodeMs: number }> {
    const start = performance.now();
    const losses = this.#submit();
    const encodeMs = performance.now() - start;
    const { nonFinite } = await losses;
    const ms = performance.now() - start;
    if (nonFinite > 0) throw new Error("the step's loss is not finite: the optimizer would do nothing");
    return { ms, encodeMs };
  }

  /** One step with the time of each dispatch. */
  profile(): Promise<ProfiledDispatch[]> {
    return this.device.profile(() => this.#submit());
  }

  #submit() {
    return this.#step.submit(this.#input, { base: defaultTrainConfig.lr, fusion: defaultTrainConfig.fusionLr });
  }

  destroy(): void {
    this.#step.destroy();
    this.#network.parameters.destroy();
  }
}

export interface StepMeasurement {
  readonly rounds: readonly {
    readonly ceilings: CeilingSample;
    readonly steps: readonly { readonly ms: number; readonly encodeMs: number }[];
    /** Where asked for. */
    readonly profile: ProfileRound | null;
  }[];
  readonly dispatches: readonly DispatchLabel[];
  readonly firstMs: number;
}

/** Rounds in which ceilings, steps and profiled steps take turns. */
const mostRounds = 5;

/**
 * Times `steps` steps (after two that warm up).
 * @param ceilings measured before and after what is held against them, so that a machine that changes its pace changes
 *   both sides of a ratio.
 */
export async function measureStep(
  runner: StepRunner,
  ceilings: Ceilings,
  { steps, profile = false }: { steps: number; profile?: boolean },
): Promise<StepMeasurement> {
  const { ms: firstMs } = await runner.run();
  const dispatches = await runner.profile();
  const count = Math.min(mostRounds, steps);
  const rounds: StepMeasurement["rounds"][number][] = [];
  let before = await ceilings.sample();
  const between = async () => {
    const after = await ceilings.sample();
    const mean = meanOf(before, after);
    before = after;
    return mean;
  };
  for (let round = 0; round < count; round++) {
    const timed: { ms: number; encodeMs: number }[] = [];
    const share = Math.round((steps * (round + 1)) / count) - Math.round((steps * round) / count);
    for (let step = 0; step < share; step++) timed.push(await runner.run());
    const stepCeilings = await between();
    const profiled = profile ? { dispatches: await runner.profile(), ceilings: await between() } : null;
    rounds.push({ ceilings: stepCeilings, steps: timed, profile: profiled });
  }
  return { rounds, dispatches, firstMs };
}

/** Both had as much time, so their work adds up: the mean of the rates. */
const meanOf = (a: CeilingSample, b: CeilingSample): CeilingSample => ({
  operationsPerSecond: (a.operationsPerSecond + b.operationsPerSecond) / 2,
  bytesPerSecond: (a.bytesPerSecond + b.bytesPerSecond) / 2,
});

/** The rounds' profiles. */
export function profileRounds({ rounds }: StepMeasurement): ProfileRound[] {
  return rounds.flatMap(({ profile }) => profile ?? []);
}

/** What a measurement says, as `aenet bench step --json` prints it. */
export interface StepSummary {
  readonly adapter: string;
  readonly arch: string;
  readonly batch_size: number;
  readonly micro_batch: number;
  readonly image_size: number;
  readonly precision: Precision;
  readonly steps: number;
  readonly ms_median: number;
  readonly ms_min: number;
  readonly ms_max: number;
  readonly images_per_s: number;
  /** JavaScript's time to encode and submit a step. */
  readonly ms_encode: number;
  /** Planning, compiling, allocating. */
  readonly ms_build: number;
  /** The first step, in which some drivers still compile. */
  readonly ms_first_step: number;
  readonly dispatches: number;
  readonly pipelines: number;
  readonly gpu_bytes: number;
  /** Multiplications and additions of convolutions and linear layers. */
  readonly operations: number;
  /** Bytes that its dispatches must move. */
  readonly bytes: number;
  readonly ceilings: { readonly gflop_per_s: number; readonly gb_per_s: number };
  /** All operations at the peak rate plus all bytes at copying's rate. */
  readonly ms_at_ceilings: number;
  /** That, over the step's time. */
  readonly share_of_ceilings: number;
}

export function summarizeStep(runner: StepRunner, { rounds, dispatches, firstMs }: StepMeasurement): StepSummary {
  const { arch, batchSize, imageSize, microBatch = batchSize, precision = "f32" } = runner.work;
  const steps = rounds.flatMap((round) => round.steps);
  const times = steps.map(({ ms }) => ms);
  const total = (of: (d: DispatchLabel) => number) => dispatches.reduce((sum, d) => sum + of(d), 0);
  const [operations, bytes] = [total((d) => d.operations), total((d) => d.bytes)];
  const ideal = (ceilings: CeilingSample) =>
    1000 * idealSeconds({ operations, bytes }, ceilings).reduce((a, b) => a + b);
  const ms = median(times);
  return {
    adapter: runner.device.platform.description,
    arch,
    batch_size: batchSize,
    micro_batch: microBatch,
    image_size: imageSize,
    precision,
    steps: steps.length,
    ms_median: ms,
    ms_min: Math.min(...times),
    ms_max: Math.max(...times),
    images_per_s: (1000 * batchSize) / ms,
    ms_encode: median(steps.map(({ encodeMs }) => encodeMs)),
    ms_build: runner.buildMs,
    ms_first_step: firstMs,
    dispatches: dispatches.length,
    pipelines: runner.pipelines,
    gpu_bytes: runner.gpuBytes,
    operations,
    bytes,
    ceilings: {
      gflop_per_s: median(rounds.map((round) => round.ceilings.operationsPerSecond)) / 1e9,
      gb_per_s: median(rounds.map((round) => round.ceilings.bytesPerSecond)) / 1e9,
    },
    ms_at_ceilings: median(rounds.map((round) => ideal(round.ceilings))),
    share_of_ceilings: median(
      rounds.map((round) => ideal(round.ceilings) / median(round.steps.map((step) => step.ms))),
    ),
  };
}

/** Measures one step on a device of its own ceilings. */
export async function benchStep(
  device: Device,
  work: StepWork,
  options: { steps: number; profile?: boolean },
): Promise<{ summary: StepSummary; measurement: StepMeasurement }> {
  // The step first: what it allocates and compiles is then its own.
  const runner = await StepRunner.create(device, work);
  try {
    const ceilings = await Ceilings.create(device);
    try {
      const measurement = await measureStep(runner, ceilings, options);
      return { summary: summarizeStep(runner, measurement), measurement };
    } finally {
      ceilings.destroy();
    }
  } finally {
    runner.destroy();
  }
}
