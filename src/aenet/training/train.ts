/** Training: the loop around the step. Node only. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ProgramPlan } from "../../autograd/index.ts";
import { type Device, GpuError } from "../../kernels/device.ts";
import { moduleSource } from "../../kernels/kernel.ts";
import { type LearningRates, type LossScaleState, stepsInFlight, type TensorData } from "../../nn/index.ts";
import { type AdapterChoice, openDevice, type TuneOptions } from "../../node/index.ts";
import { formatManifest, type Sample } from "../data/manifest.ts";
import type { TrainBatch } from "../data/train-loader.ts";
import { environmentOf } from "../environment.ts";
import { evaluateSplit } from "../evaluate.ts";
import { Inference, type InferenceOptions } from "../inference.ts";
import type { TrainConfig } from "./config.ts";
import { describeData } from "./describe-data.ts";
import type { EpochRecord, StepRecord } from "./metrics-log.ts";
import { RunFolder, type SplitName } from "./run-folder.ts";
import { advanceSchedule, bestNames, defaultSchedule, type ScheduleState, startSchedule } from "./schedule.ts";
import { metadataAt, type RunSetup, setUp, startValues, trainLoader, validationLoader } from "./setup.ts";
import type { TrainingState } from "./state.ts";
import { type StepLosses, TrainingStep } from "./step.ts";

/** What only says where and how fast a run goes, not what it computes. */
export interface TrainSettings {
  readonly adapter: AdapterChoice;
  /** As openDevice takes it. Default true. */
  readonly tune?: boolean | TuneOptions | undefined;
  readonly workers: number | undefined;
  /** Stops after the step at hand, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** What a caller may want to show. */
export interface TrainEvents {
  /** Lines for people: what was loaded, which adapter. */
  onMessage?(line: string): void;
  onStep?(record: StepRecord, progress: TrainProgress): void;
  onEpoch?(record: EpochRecord): void;
  /** All weights at the end of an epoch, before its checkpoint is written: of one that was cut off, a resumed run tells again. */
  onEpochWeights?(tensors: ReadonlyMap<string, TensorData>, epochs: number): void;
  /** A damaged image, once each. */
  onDamaged?(path: string, reason: string): void;
}

export interface TrainProgress {
  readonly stepsDone: number;
  /** Steps of the whole run as far as is known. */
  readonly stepsTotal: number;
}

export interface TrainResult {
  readonly out: string;
  readonly steps: number;
  /** Epochs that were completed. */
  readonly epochs: number;
  readonly skippedImages: number;
  /** "done": all epochs or steps; "early-stop"; "interrupted": by the signal, after a checkpoint. */
  readonly reason: "done" | "early-stop" | "interrupted";
}

/**
 * Something in a step was NaN or infinite, and the message names the first tensor that was; the weights, momenta and
 * running statistics on the device and on disk are those before that step.
 */
export class NonFiniteError extends Error {
  override name = "NonFiniteError";
}

/**
 * Starts a run in the folder `out`.
 * @throws Error for a configuration that cannot be trained; NonFiniteError where a loss or gradient is not finite.
 */
export async function train(
  config: TrainConfig,
  out: { path: string; overwrite: boolean },
  settings: TrainSettings,
  events: TrainEvents = {},
): Promise<TrainResult> {
  return closing(await setUp(config, settings.workers), async (setup) => {
    for (const line of describeData(setup.manifest, setup.architecture)) events.onMessage?.(line);
    const values = await startValues(setup, (line) => events.onMessage?.(line));
    const device = await openFor(settings, events);
    try {
      // Everything that can be refused is refused before the folder is touched.
      await settleKernels(device, setup);
      const folder = await RunFolder.create(out.path, { overwrite: out.overwrite });
      try {
        await folder.writeEnvironment({ ...environmentOf(device), folder: process.cwd() });
        await writeSplits(folder, setup);
        await folder.writeConfig({ ...config, kernels: kernelChoices(device) });
        const run = await Run.start(device, setup, folder, settings, events);
        setup.network.parameters.write(values);
        return await run.finish();
      } finally {
        folder.close();
      }
    } finally {
      device.destroy();
    }
  });
}

/** Goes on with the run in `path`; only epochs and maxSteps may change, and stay so when it is resumed once more. */
export async function resumeTraining(
  path: string,
  changes: Partial<Pick<TrainConfig, "epochs" | "maxSteps">>,
  settings: TrainSettings,
  events: TrainEvents = {},
): Promise<TrainResult> {
  const folder = await RunFolder.open(path);
  try {
    const { kernels, ...stored } = (await folder.readConfig()) as TrainConfig & { kernels: KernelChoices };
    const config = { ...stored, ...changes };
    const start = await folderOfStart(path, config.data);
    return await closing(await setUp(config, settings.workers, start), async (setup) => {
      const pair = await folder.loadCheckpoint();
      if (pair && pair.state.dataSha256 !== setup.manifest.sha256) {
        throw new Error(`--resume ${path}: the manifest ${stored.data} has changed since the run began`);
      }
      if (pair && pair.state.configSha256 !== setup.configSha256) {
        throw new Error(`--resume ${path}: config.json has changed since the run began`);
      }
      const device = await openFor(settings, events);
      try {
        const reason = restoreKernels(device, kernels);
        if (reason) events.onMessage?.(`note: ${reason}; the run goes on, but not to the same bits`);
        await settleKernels(device, setup);
        const current = kernelChoices(device);
        if (Object.keys(changes).length > 0 || JSON.stringify(current) !== JSON.stringify(kernels)) {
          await folder.writeConfig({ ...config, kernels: current });
        }
        const run = await Run.start(device, setup, folder, settings, events);
        const { parameters } = setup.network;
        if (pair) {
          parameters.write(pair.weights.tensors);
          parameters.write(pair.state.momentum, "momenta");
          run.continueFrom(pair.state);
          events.onMessage?.(`resuming after step ${pair.state.step}`);
        } else {
          await writeSplits(folder, setup); // of the manifest as it is now
          parameters.write(await startValues(setup, (line) => events.onMessage?.(line)));
          events.onMessage?.("the run was stopped before its first checkpoint; it starts anew");
        }
        return await run.finish();
      } finally {
        device.destroy();
      }
    });
  } finally {
    folder.close();
  }
}

async function writeSplits(folder: RunFolder, setup: RunSetup): Promise<void> {
  for (const split of ["train", "val", "test"] as const) {
    await folder.writeSplit(split, formatManifest(samplesOf(setup, split)));
  }
}

/** Runs `body` with a run's setup, and closes that whatever happens. */
async function closing<T>(setup: RunSetup, body: (setup: RunSetup) => Promise<T>): Promise<T> {
  try {
    return await body(setup);
  } finally {
    await setup.close();
  }
}

/** A run at work: the network on the device, the folder, and how far it has come. */
class Run {
  readonly #setup: RunSetup;
  readonly #folder: RunFolder;
  readonly #step: TrainingStep;
  readonly #inference: Inference | null;
  readonly #settings: TrainSettings;
  readonly #events: TrainEvents;
  readonly #skipped = new Set<string>();
  /** As of the last completed step. */
  #progress: Progress;

  private constructor(fields: {
    setup: RunSetup;
    folder: RunFolder;
    step: TrainingStep;
    inference: Inference | null;
    settings: TrainSettings;
    events: TrainEvents;
  }) {
    this.#setup = fields.setup;
    this.#folder = fields.folder;
    this.#step = fields.step;
    this.#inference = fields.inference;
    this.#settings = fields.settings;
    this.#events = fields.events;
    const { lr, fusionLr } = fields.setup.config;
    this.#progress = { step: 0, epoch: 0, position: 0, schedule: startSchedule(lr, fusionLr), scaling: null };
  }

  /** Allocates everything on the device. */
  static async start(
    device: Device,
    setup: RunSetup,
    folder: RunFolder,
    settings: TrainSettings,
    events: TrainEvents,
  ): Promise<Run> {
    const { network, step: options } = setup;
    events.onMessage?.(`adapter: ${device.platform.description}`);
    const step = await TrainingStep.create(device, network, options);
    const inference = validates(setup) ? await Inference.create(device, network, validationOptions(setup)) : null;
    return new Run({ setup, folder, step, inference, settings, events });
  }

  continueFrom({ step, epoch, position, schedule, lossScale, counters }: TrainingState): void {
    const { cleanSteps = 0, skippedSteps = 0 } = counters;
    const scaling = this.#isHalf ? { lossScale, cleanSteps, skippedSteps } : null;
    this.#progress = { step, epoch, position, schedule, scaling };
    if (scaling) this.#step.restoreLossScale(scaling);
  }

  get #isHalf(): boolean {
    return this.#setup.config.precision === "f16";
  }

  /** Trains until the end, an early stop, or the signal. */
  async finish(): Promise<TrainResult> {
    const { config } = this.#setup;
    const loader = trainLoader(this.#setup, this.#settings.workers, (path, reason) =>
      this.#reportDamaged(path, reason),
    );
    try {
      while (this.#progress.epoch < config.epochs) {
        if (this.#progress.schedule.evaluationsSinceBest >= defaultSchedule.stopAfter)
          return this.#result("early-stop");
        if (this.#isComplete) break;
        const ended = await this.#trainEpoch(loader);
        if (!ended) {
          await this.#save();
          return this.#result(this.#isComplete ? "done" : "interrupted");
        }
        await this.#endEpoch();
      }
      return this.#result("done");
    } finally {
      loader.close();
    }
  }

  get #isComplete(): boolean {
    const { maxSteps } = this.#setup.config;
    return maxSteps !== null && this.#progress.step >= maxSteps;
  }

  /** The rest of the current epoch; false if it was left before its end. */
  async #trainEpoch(loader: ReturnType<typeof trainLoader>): Promise<boolean> {
    const { config } = this.#setup;
    const { epoch, schedule } = this.#progress;
    const rates = { base: schedule.lr, fusion: schedule.fusionLr };
    const queued: { batch: TrainBatch; losses: Promise<StepLosses> }[] = [];
    let submitted = this.#progress.step;
    let since = performance.now();

    const settle = async (count: number) => {
      while (queued.length > count) {
        const { batch, losses } = queued.shift()!;
        const values = await losses;
        if (values.nonFinite > 0) {
          await Promise.allSettled(queued.map((later) => later.losses));
          await this.#stopAtNonFinite(batch, rates);
        }
        loader.recycle(batch);
        const now = performance.now();
        this.#completeStep(batch, values, (1000 * batch.size) / (now - since), loader.batchesPerEpoch);
        since = now;
      }
    };
    for await (const batch of loader.epoch(epoch, this.#progress.position)) {
      // Checked with the batch in hand, so that an epoch that ends here counts as ended.
      if (this.#settings.signal?.aborted || submitted === config.maxSteps) {
        await settle(0);
        return false;
      }
      const losses = this.#step.submit(batch, rates);
      losses.catch(() => {}); // awaited below, unless an earlier step or the loader fails first
      queued.push({ batch, losses });
      submitted++;
      await settle(stepsInFlight - 1);
      if (config.checkpointEvery !== null && submitted % config.checkpointEvery === 0) {
        await settle(0);
        await this.#save();
        since = performance.now();
      }
    }
    await settle(0);
    return true;
  }

  #completeStep(batch: TrainBatch, losses: StepLosses, imagesPerSecond: number, stepsPerEpoch: number): void {
    const { config } = this.#setup;
    const { step: before, schedule } = this.#progress;
    const step = before + 1;
    const { lossScale, cleanSteps, skippedSteps } = losses;
    const scaling = this.#isHalf ? { lossScale, cleanSteps, skippedSteps } : null;
    if (skippedSteps > (this.#progress.scaling?.skippedSteps ?? 0)) {
      const rest = `its update is left out, the loss scale is now ${lossScale}`;
      this.#events.onMessage?.(`step ${step}: gradients overflow f16; ${rest}`);
    }
    this.#progress = { ...this.#progress, step, position: batch.position, scaling };
    const record: StepRecord = {
      type: "step",
      step,
      epoch: batch.epoch,
      loss: losses.loss,
      loss_aes: losses.aes,
      loss_emo: losses.emo,
      lr: schedule.lr,
      images_per_s: imagesPerSecond,
      ...(scaling && { loss_scale: lossScale, skipped_steps: skippedSteps }),
    };
    this.#folder.log(record);
    const stepsTotal = Math.min(config.epochs * stepsPerEpoch, config.maxSteps ?? Number.POSITIVE_INFINITY);
    this.#events.onStep?.(record, { stepsDone: step, stepsTotal });
  }

  /** Validation, schedule, checkpoint. */
  async #endEpoch(): Promise<void> {
    const { config, architecture } = this.#setup;
    const { epoch, step, schedule, scaling } = this.#progress;
    let next = schedule;
    let bests: readonly (typeof bestNames)[number][] = this.#inference ? [] : bestNames;
    const evaluates = this.#inference && ((epoch + 1) % config.evalEvery === 0 || epoch + 1 === config.epochs);
    const report = (path: string, reason: string) => this.#reportDamaged(path, reason);
    const loader = evaluates ? validationLoader(this.#setup, this.#settings.workers, report) : null;
    if (loader) {
      const metrics = await evaluateSplit(this.#inference!, loader, architecture.classes.length, {
        lambda: config.lambda,
      });
      const record: EpochRecord = {
        type: "epoch",
        epoch,
        split: "val",
        loss: metrics.loss,
        acc_aes: metrics.accAes,
        acc_emo: metrics.accEmo,
        majority_aes: metrics.majorityAes,
        majority_emo: metrics.majorityEmo,
      };
      this.#folder.log(record);
      this.#events.onEpoch?.(record);
      const { loss, accAes, accEmo } = metrics;
      const verdict = advanceSchedule(schedule, { epoch, step, loss, accAes, accEmo });
      next = verdict.state;
      bests = verdict.improved;
      if (verdict.reduced) this.#events.onMessage?.(`plateau: the learning rate is now ${next.lr}`);
    }
    this.#progress = { step, epoch: epoch + 1, position: 0, schedule: next, scaling };
    const isStopped = next.evaluationsSinceBest >= defaultSchedule.stopAfter;
    const isLast = epoch + 1 === config.epochs || isStopped || this.#isComplete;
    if (config.checkpointEvery === null || evaluates || isLast) await this.#save(bests);
  }

  async #save(bests: readonly (typeof bestNames)[number][] = this.#inference ? [] : bestNames): Promise<void> {
    const { network, manifest, configSha256 } = this.#setup;
    const tensors: Map<string, TensorData> = await network.parameters.read();
    const { epoch, position } = this.#progress;
    if (position === 0 && epoch > 0) this.#events.onEpochWeights?.(tensors, epoch);
    const momentum = await network.parameters.read("momenta");
    const { scaling, ...progress } = this.#progress;
    const { lossScale = 1, ...counters } = scaling ?? {};
    await this.#folder.saveCheckpoint({
      tensors,
      metadata: metadataAt(this.#setup, this.#progress.step),
      state: {
        ...progress,
        lossScale,
        counters,
        configSha256,
        dataSha256: manifest.sha256,
        momentum,
      },
      bests,
    });
  }

  async #stopAtNonFinite(batch: TrainBatch, rates: LearningRates): Promise<never> {
    const step = this.#progress.step + 1;
    await this.#save();
    const reason = await this.#step.explainNonFinite(batch, rates);
    throw new NonFiniteError(
      `step ${step}: ${reason}; the weights in ${this.#folder.path} are those before that step. A smaller --lr helps`,
    );
  }

  #reportDamaged(path: string, reason: string): void {
    if (this.#skipped.has(path)) return;
    this.#skipped.add(path);
    this.#events.onDamaged?.(path, reason);
  }

  #result(reason: TrainResult["reason"]): TrainResult {
    const { step, epoch } = this.#progress;
    return { out: this.#folder.path, steps: step, epochs: epoch, skippedImages: this.#skipped.size, reason };
  }
}

/** How far a run has come; a resumed one goes on exactly from here. */
interface Progress {
  readonly step: number;
  readonly epoch: number;
  /** Entries of the epoch's order that lie behind. */
  readonly position: number;
  readonly schedule: ScheduleState;
  /** null where losses are not scaled, and before the first step. */
  readonly scaling: LossScaleState | null;
}

const samplesOf = ({ manifest }: RunSetup, split: SplitName): Sample[] =>
  manifest.samples.filter((sample) => sample.split === split);

function openFor({ adapter, tune }: TrainSettings, events: TrainEvents): Promise<Device> {
  return openDevice({ adapter, robustness: false, tune, note: (line) => events.onMessage?.(line) });
}

const validates = ({ manifest }: RunSetup): boolean => manifest.samples.some(({ split }) => split === "val");

const validationOptions = ({ step }: RunSetup): InferenceOptions => ({
  batchSize: step.microBatch,
  decodedSize: step.decodedSize,
  preprocessing: step.preprocessing,
  precision: step.precision ?? "f32",
});

/** What the adapter's kernels are chosen by, and the choices; the same give the same bits. */
interface KernelChoices {
  readonly platform: string;
  /** The adapter and its driver in words; absent in runs that were begun before it was recorded. */
  readonly adapter?: string;
  readonly subgroupSize: number | null;
  /** The tile of each matrix product; absent in runs that were begun before tiles were recorded. */
  readonly tiles?: Readonly<Record<string, string>>;
  /** The algorithm of each convolution that has a choice; absent likewise. */
  readonly algorithms?: Readonly<Record<string, string>>;
}

function kernelChoices(device: Device): KernelChoices {
  const { platform, subgroupSize, tiles, algorithms } = device;
  const { kind, description: adapter } = platform;
  return { platform: kind, adapter, subgroupSize, tiles: tiles.made, algorithms: algorithms.made };
}

/** Makes a run's choices those of the device. Returns why that is not possible to the letter, or null. */
function restoreKernels(device: Device, choices: KernelChoices): string | null {
  const { platform, adapter, subgroupSize, tiles = {}, algorithms = {} } = choices;
  if (platform !== device.platform.kind || subgroupSize !== device.subgroupSize) return "another adapter than before";
  const unknown = [...device.tiles.fix(tiles), ...device.algorithms.fix(algorithms)];
  if (unknown.length > 0) return `the kernel ${unknown.join(", the kernel ")} is not there any more`;
  // The same kernels, but compiled by another driver, or for another card.
  const current = device.platform.description;
  return adapter === undefined || adapter === current
    ? null
    : `another adapter or driver than before (${adapter}; now ${current})`;
}

/** Plans a run's step. @throws GpuError if it does not fit the adapter, with the largest micro-batch that does. */
function planStep(device: Device, { network, step }: Pick<RunSetup, "network" | "step">): ProgramPlan {
  try {
    return TrainingStep.plan(device, network, step);
  } catch (error) {
    if (!(error instanceof GpuError)) throw error;
    const fits = (microBatch: number) => {
      try {
        TrainingStep.plan(device, network, { ...step, microBatch });
        return true;
      } catch {
        return false;
      }
    };
    const smaller = Array.from({ length: step.microBatch - 1 }, (_, i) => step.microBatch - 1 - i);
    const fitting = smaller.find((size) => step.batchSize % size === 0 && fits(size));
    throw fitting === undefined ? error : new GpuError(`${error.message}: --micro-batch ${fitting} fits`);
  }
}

/** Plans all that a run computes, so that every kernel is chosen. @throws GpuError if it does not fit the adapter. */
async function settleKernels(device: Device, setup: RunSetup): Promise<void> {
  await device.tiles.settle(() => {
    planStep(device, setup);
    if (validates(setup)) Inference.plan(device, setup.network, validationOptions(setup));
  });
}

/** The folder that the run was started in, which its paths are relative to; the current one where its data are there now. */
async function folderOfStart(path: string, data: string): Promise<string> {
  const { folder } = JSON.parse(await readFile(join(path, "env.json"), "utf8")) as { folder?: string };
  const start = resolve(folder ?? ".");
  return existsSync(resolve(start, data)) || !existsSync(resolve(data)) ? start : resolve(".");
}

/** What `train --dry-run` prints. Sizes in bytes. */
export interface DryRun {
  readonly arch: string;
  readonly parameters: number;
  readonly tensors: number;
  /** Multiplications and additions of one step's convolutions and linear layers. */
  readonly operations: number;
  readonly dispatches: number;
  readonly pipelines: number;
  readonly memory: {
    readonly parameters: number;
    readonly gradients: number;
    readonly momentum: number;
    /** The parameters' copy in f16; 0 without one. */
    readonly halves: number;
    readonly activations: number;
    /** Textures with copies of what is being read; 0 where the adapter reads buffers alone. */
    readonly copies: number;
    readonly inputs: number;
    /** Activations and inputs of the network that evaluates the validation split; 0 where there is none. */
    readonly validation: number;
    readonly total: number;
    /** The buffers that hold the activations. */
    readonly banks: readonly number[];
  };
  /** The adapter whose limits the plan was held against. */
  readonly adapter: string;
}

/** Plans a run without allocating anything. @throws GpuError if it does not fit the adapter. */
export async function dryRun(config: TrainConfig, settings: TrainSettings): Promise<DryRun> {
  const setup = await setUp(config, settings.workers);
  await setup.close(); // nothing more is read
  const device = await openDevice({ adapter: settings.adapter, robustness: false, tune: false });
  try {
    const { network, architecture, step } = setup;
    const { dispatches, plan, texels, inputBytes } = planStep(device, setup);
    const inference = validates(setup) ? Inference.plan(device, network, validationOptions(setup)) : null;
    const parameters = 4 * network.parameters.arenaSizes.weights;
    const halves = config.precision === "f16" ? parameters / 2 : 0;
    const sum = (sizes: readonly number[]) => sizes.reduce((a, b) => a + b, 0);
    const activations = sum(plan.banks);
    const copies = sum(texels.textures);
    // Beside the step's own: both stay allocated for the whole run.
    const validation = inference
      ? sum(inference.plan.banks) + sum(inference.texels.textures) + inference.inputBytes
      : 0;
    const micro = step.batchSize / step.microBatch;
    return {
      arch: architecture.arch,
      parameters: network.parameters.count,
      tensors: network.parameters.slices.length,
      operations: micro * dispatches.reduce((sum, { operations }) => sum + operations, 0),
      dispatches: micro * dispatches.length,
      pipelines: new Set(dispatches.map(({ kernel }) => moduleSource(kernel))).size,
      memory: {
        parameters,
        gradients: parameters,
        momentum: parameters,
        halves,
        activations,
        copies,
        inputs: inputBytes,
        validation,
        total: 3 * parameters + halves + activations + copies + inputBytes + validation,
        banks: plan.banks,
      },
      adapter: device.platform.description,
    };
  } finally {
    device.destroy();
  }
}
