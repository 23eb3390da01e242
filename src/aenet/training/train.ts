/** Training: the loop around the step. Node only. */
import type { AdapterChoice } from "../../node/index.ts";
import type { TrainConfig } from "./config.ts";
import type { EpochRecord, StepRecord } from "./metrics-log.ts";

/** What only says where and how fast a run goes, not what it computes. */
export interface TrainSettings {
  readonly adapter: AdapterChoice;
  readonly workers: number | undefined;
  /** Stops after the step at hand, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** What a caller may want to show. */
export interface TrainEvents {
  /** Lines for people: what was loaded, which adapter, what departs from the defaults. */
  onMessage?(line: string): void;
  onStep?(record: StepRecord, progress: TrainProgress): void;
  onEpoch?(record: EpochRecord): void;
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
  readonly epochs: number;
  readonly skippedImages: number;
  /** "done": all epochs or steps; "early-stop"; "interrupted": by the signal, after a checkpoint. */
  readonly reason: "done" | "early-stop" | "interrupted";
}

/**
 * Starts a run in the folder `out`.
 * @throws Error for a configuration that cannot be trained; NonFiniteError where a loss or gradient is not finite.
 */
export async function train(
  _config: TrainConfig,
  _out: { path: string; overwrite: boolean },
  _settings: TrainSettings,
  _events: TrainEvents = {},
): Promise<TrainResult> {
  throw new Error("being written");
}

/** Goes on with the run in `path`; only epochs and maxSteps may change. */
export async function resumeTraining(
  _path: string,
  _changes: Partial<Pick<TrainConfig, "epochs" | "maxSteps">>,
  _settings: TrainSettings,
  _events: TrainEvents = {},
): Promise<TrainResult> {
  throw new Error("being written");
}

/** What `train --dry-run` prints. */
export interface DryRun {
  readonly arch: string;
  readonly parameters: number;
  readonly tensors: number;
  /** Multiplications and additions of one step's convolutions and linear layers. */
  readonly operations: number;
  readonly dispatches: number;
  readonly pipelines: number;
  /** Bytes. */
  readonly memory: {
    readonly parameters: number;
    readonly gradients: number;
    readonly momentum: number;
    readonly activations: number;
    readonly inputs: number;
    readonly total: number;
    readonly banks: readonly number[];
  };
  /** The adapter's limits that the plan was held against. */
  readonly adapter: string;
}

/** Plans a run without allocating anything. */
export async function dryRun(_config: TrainConfig, _settings: TrainSettings): Promise<DryRun> {
  throw new Error("being written");
}
