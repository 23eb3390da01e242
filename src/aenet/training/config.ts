/** What a training run computes, as plain data: the flags of `train` with their defaults. */
import type { Precision } from "../../autograd/index.ts";
import type { ArchName, FusionGranularity } from "../architecture.ts";
import type { ResizeMode } from "../preprocessing.ts";

export interface TrainConfig {
  /** The manifest, or a pack of it. */
  readonly data: string;
  readonly arch: ArchName;
  readonly depth: readonly number[];
  readonly baseChannels: number;
  /** null: the architecture's own. */
  readonly baseWidth: number | null;
  readonly fusionPoints: readonly number[];
  readonly fusionGranularity: FusionGranularity;
  readonly detachShared: boolean;
  /** `a`, `s`, `e`, `fusion`, `heads`, or prefixes of parameter names. */
  readonly freeze: readonly string[];
  /** null: from the manifest. */
  readonly classes: readonly string[] | null;
  readonly init: string | null;
  readonly initA: string | null;
  readonly initS: string | null;
  readonly initE: string | null;
  readonly initStrict: boolean;
  readonly epochs: number;
  readonly maxSteps: number | null;
  readonly batchSize: number;
  /** Samples computed at a time; null: the whole batch. */
  readonly microBatch: number | null;
  readonly imageSize: number;
  readonly resize: ResizeMode;
  readonly lr: number;
  readonly fusionLr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly lambda: number;
  readonly seed: number;
  readonly augment: boolean;
  readonly shuffle: boolean;
  /** Damaged images are an error instead of being skipped. */
  readonly strict: boolean;
  /** Steps between checkpoints; null: one after every epoch. There is always one at the end. */
  readonly checkpointEvery: number | null;
  /** Epochs between evaluations of the validation split. */
  readonly evalEvery: number;
  /** Of activations, their gradients and the weights that convolutions read. */
  readonly precision: Precision;
}

export const defaultTrainConfig: Omit<TrainConfig, "data"> = {
  arch: "aenet",
  depth: [3, 4, 6, 3],
  baseChannels: 64,
  baseWidth: null,
  fusionPoints: [0, 1, 2, 3, 4],
  fusionGranularity: "scalar",
  detachShared: false,
  freeze: [],
  classes: null,
  init: null,
  initA: null,
  initS: null,
  initE: null,
  initStrict: false,
  epochs: 100,
  maxSteps: null,
  batchSize: 64,
  microBatch: null,
  imageSize: 224,
  resize: "squash",
  lr: 1e-4,
  fusionLr: 1e-2,
  momentum: 0.9,
  weightDecay: 1e-4,
  lambda: 0.25,
  seed: 0,
  augment: true,
  shuffle: true,
  strict: false,
  checkpointEvery: null,
  evalEvery: 1,
  precision: "f32",
};

/** @throws Error naming the flag, its value and the rule. */
export function checkTrainConfig(config: TrainConfig): void {
  const { batchSize, microBatch } = config;
  const integer = (flag: string, value: number | null, least: number) => {
    if (value !== null && (!Number.isSafeInteger(value) || value < least)) {
      throw new Error(`${flag} ${value}: needs an integer from ${least}`);
    }
  };
  integer("--epochs", config.epochs, 1);
  integer("--max-steps", config.maxSteps, 1);
  integer("--batch-size", batchSize, 1);
  integer("--micro-batch", microBatch, 1);
  integer("--image-size", config.imageSize, 1);
  integer("--checkpoint-every", config.checkpointEvery, 1);
  integer("--eval-every", config.evalEvery, 1);
  integer("--seed", config.seed, 0);
  if (microBatch !== null && batchSize % microBatch !== 0) {
    throw new Error(`--micro-batch ${microBatch}: does not divide --batch-size ${batchSize}`);
  }
  const number = (flag: string, value: number, below = Number.POSITIVE_INFINITY) => {
    if (!(value >= 0 && value < below)) {
      throw new Error(`${flag} ${value}: needs a number from 0${below < Infinity ? ` and below ${below}` : ""}`);
    }
  };
  number("--lr", config.lr);
  number("--fusion-lr", config.fusionLr);
  number("--momentum", config.momentum, 1);
  number("--weight-decay", config.weightDecay);
  number("--lambda", config.lambda);
  if (config.precision !== "f32" && config.precision !== "f16") {
    throw new Error(`--precision ${config.precision}: needs f32 or f16`);
  }
}
