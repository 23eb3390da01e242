/** The options that several commands share. Pure. */
import type { Precision } from "../../autograd/index.ts";
import { type AdapterChoice, adapterChoices } from "../../node/choice.ts";
import { type ArchName, archNames } from "../architecture.ts";
import type { CheckpointOverrides } from "../load-network.ts";
import { type ResizeMode, resizeModes } from "../preprocessing.ts";
import { required } from "./errors.ts";
import { boolean, choice, classNames, integer, text } from "./kinds.ts";
import type { Option, Options } from "./settings.ts";

/** What every command that computes takes. */
export interface ComputeFlags {
  adapter: AdapterChoice;
  precision: Precision;
  tune: boolean;
  workers: number | null;
}

const group = "Computing:";

export const computeOptions: Options<ComputeFlags> = {
  adapter: {
    kind: choice(adapterChoices),
    default: "auto",
    help: "auto takes the first of gpu, lavapipe and swiftshader that opens; AENET_GPU=NAME says which of several GPUs",
    group,
  },
  precision: {
    kind: choice(["f32", "f16"]),
    default: "f32",
    help: "of activations and the weights they meet; f16 halves their memory, where the adapter has it",
    group,
  },
  tune: {
    kind: boolean,
    default: true,
    help: "take tabled kernels; an adapter without a table is else measured, once",
    group,
  },
  workers: { kind: integer(1), default: null, help: "images decoded at a time", group },
};

export const batchSize: Option<number> = { kind: integer(1), default: 16, help: "images computed at a time", group };

export const json: Option<boolean> = { kind: boolean, default: false, help: "print JSON" };

/** What every command takes that computes with a checkpoint: which, what is to hold instead of what it says, and how. */
export interface CheckpointFlags extends ComputeFlags {
  checkpoint: string | null;
  batchSize: number;
  imageSize: number | null;
  resize: ResizeMode | null;
  arch: ArchName | null;
  classes: readonly string[] | null;
}

const instead = "Instead of what the checkpoint says:";

export const checkpointOptions: Options<CheckpointFlags> = {
  checkpoint: { kind: text("file"), default: null, help: "the network, as train or others wrote it" },
  imageSize: {
    kind: integer(1),
    default: null,
    help: "side of the square that the network sees",
    group: instead,
  },
  resize: {
    kind: choice(resizeModes),
    default: null,
    help: "how an image is brought to that size",
    group: instead,
  },
  arch: { kind: choice(archNames, "name"), default: null, help: archNames.join(", "), group: instead },
  classes: { kind: classNames, default: null, help: "the emotions in order", group: instead },
  batchSize,
  ...computeOptions,
};

/** As `evaluate` and `predict` take them. @throws UsageError without a checkpoint. */
export const withCheckpoint = (values: CheckpointFlags): CheckpointUse => ({
  checkpoint: required("--checkpoint", values.checkpoint),
  batchSize: values.batchSize,
  adapter: values.adapter,
  precision: values.precision,
  tune: values.tune,
  workers: values.workers ?? undefined,
  imageSize: values.imageSize ?? undefined,
  resize: values.resize ?? undefined,
  arch: values.arch ?? undefined,
  classes: values.classes ?? undefined,
});

interface CheckpointUse extends CheckpointOverrides {
  readonly checkpoint: string;
  readonly batchSize: number;
  readonly adapter: AdapterChoice;
  readonly precision: Precision;
  readonly tune: boolean;
  readonly workers: number | undefined;
}
