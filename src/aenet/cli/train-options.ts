/** The flags of `train`: the table of a run's configuration with its names, kinds and words. Pure. */
import { archNames } from "../architecture.ts";
import { resizeModes } from "../preprocessing.ts";
import { defaultTrainConfig, type TrainConfig } from "../training/config.ts";
import { boolean, choice, classNames, formatValue, integer, type Kind, list, number, text } from "./kinds.ts";
import { type ComputeFlags, computeOptions, json } from "./options.ts";
import { entriesOf, flagOf, type Option, type Options, type Resolved } from "./settings.ts";

export interface TrainFlags extends Omit<TrainConfig, "data" | "precision">, ComputeFlags {
  data: string | null;
  out: string | null;
  resume: string | null;
  overwrite: boolean;
  dryRun: boolean;
  json: boolean;
}

/** The options of a group; a setting's default is what `defaultTrainConfig` says. */
function describe<K extends keyof typeof defaultTrainConfig>(
  group: string,
  options: { [P in K]: [kind: Kind<NonNullable<TrainConfig[P]>>, help: string] },
): { [P in K]: Option<TrainConfig[P]> } {
  const entries = Object.entries(options) as [K, [Kind<NonNullable<TrainConfig[K]>>, string]][];
  return Object.fromEntries(
    entries.map(([key, [kind, help]]) => [key, { kind, help, group, default: defaultTrainConfig[key] }]),
  ) as { [P in K]: Option<TrainConfig[P]> };
}

export const trainOptions: Options<TrainFlags> = {
  data: {
    kind: text("manifest"),
    default: null,
    help: "the samples: a CSV with path, split and labels, or a pack of it",
  },
  out: { kind: text("folder"), default: null, help: "the run's folder, made for it" },
  resume: { kind: text("folder"), default: null, help: "go on with this run" },
  overwrite: { kind: boolean, default: false, help: "replace a run that is in --out" },
  dryRun: { kind: boolean, default: false, help: "print parameters, operations and the memory plan, allocate nothing" },
  json: { ...json, help: "print the dry run, or the run's result, as JSON" },
  ...describe("Network:", {
    arch: [
      choice(archNames, "name"),
      "aenet, aenet-fl (not joined); of one task resnet50-aes, resnet50-emo and, wider, wrn-aes, wrn-emo; " +
        "ssnet (one trunk, two heads), csnet (two streams, cross-stitched)",
    ],
    depth: [list(integer()), "blocks in layer1 to layer4"],
    baseChannels: [integer(), "channels of the stem"],
    baseWidth: [integer(), "width of the 3x3 convolutions in 64ths (default: 64, in wrn 132; wide_resnet50_2 has 128)"],
    fusionPoints: [list(integer()), "where aenet and csnet join: 0 after the stem's max pool, K after layerK"],
    fusionGranularity: [choice(["scalar", "channel"]), "aenet's fusion weights by point, or by channel too"],
    detachShared: [boolean, "aenet's fusion layers give the shared stream no gradient"],
    freeze: [list(text("part")), "a, s, e, fusion (csnet's stitch, too), heads, or parameter-name prefixes"],
    classes: [classNames, "the emotions in order (default: from the manifest)"],
  }),
  ...describe("Initialisation:", {
    init: [text("file"), "weights (safetensors, or torch's .pth) of any part, or of a ResNet50 for every stream"],
    initA: [text("file"), "weights of the aesthetics stream; these win over --init"],
    initS: [text("file"), "of the shared stream"],
    initE: [text("file"), "of the emotion stream"],
    initStrict: [boolean, "a tensor that no file has is an error"],
  }),
  ...describe("Training:", {
    epochs: [integer(), "at most so many"],
    maxSteps: [integer(), "stop after so many steps"],
    batchSize: [integer(), "samples a step"],
    microBatch: [integer(), "samples computed at a time (default: the whole batch)"],
    lr: [number(), "learning rate"],
    fusionLr: [number(), "learning rate of fusion and stitch weights"],
    momentum: [number(), "of SGD"],
    weightDecay: [number(), "on convolution and linear weights"],
    lambda: [number(), "weight of the emotion loss"],
    seed: [integer(), "of everything random"],
    checkpointEvery: [integer(), "steps between checkpoints (default: one an epoch)"],
    evalEvery: [integer(), "epochs between evaluations of the validation split"],
  }),
  ...describe("Images:", {
    imageSize: [integer(), "side of the square that the network sees, in pixels"],
    resize: [choice(resizeModes), "how an image is brought to that size"],
    augment: [boolean, "evaluate's transform in training, too: no random crop, no flip"],
    shuffle: [boolean, "keep the manifest's order"],
    strict: [boolean, "a damaged image is an error"],
  }),
  ...computeOptions,
};

/** What `--resume` leaves open; `config` and `print-config` only say what is asked for. */
const resumable: ReadonlySet<keyof TrainFlags> = new Set<keyof TrainFlags>([
  "resume",
  "epochs",
  "maxSteps",
  "adapter",
  "tune",
  "workers",
  "json",
]);

/** The environment is no order to change a run: the shell that began it may hold its settings still. */
const isOrder = (name: string) => !name.startsWith("AENET_");

/** What a resumed run is told to do otherwise than it began. */
export function changesOf({ values, given }: Resolved<TrainFlags>): Partial<Pick<TrainConfig, "epochs" | "maxSteps">> {
  const isTold = (key: keyof TrainFlags) => isOrder(given.get(key) ?? "AENET_");
  return {
    ...(isTold("epochs") && { epochs: values.epochs }),
    ...(isTold("maxSteps") && { maxSteps: values.maxSteps }),
  };
}

/** The first setting, by the name by which it was given, that says otherwise than the `run` that `--resume` goes on with. */
export function fixedByResume(
  { values, given }: Resolved<TrainFlags>,
  run: Readonly<Record<string, unknown>>,
): string | undefined {
  const isFixed = ([key, name]: [keyof TrainFlags, string]) =>
    !resumable.has(key) &&
    isOrder(name) &&
    JSON.stringify(values[key]) !== JSON.stringify(run[key] ?? trainOptions[key].default);
  return [...given].find(isFixed)?.[1];
}

/** The part of the settings that says what is computed. */
export function trainConfigOf(values: TrainFlags, data: string): TrainConfig {
  const keys = Object.keys(defaultTrainConfig) as (keyof typeof defaultTrainConfig)[];
  return { data, ...Object.fromEntries(keys.map((key) => [key, values[key]])) } as unknown as TrainConfig;
}

/**
 * Every setting that is not its default, as its flag with what the default is: `--batch-size 8 (default 64)`.
 * What has no default (the manifest) is left out.
 */
export function departures(config: TrainConfig): string[] {
  return entriesOf(trainOptions).flatMap(([key, option]) => {
    if (!(key in defaultTrainConfig && key in config)) return [];
    const value = config[key as keyof typeof defaultTrainConfig];
    if (formatValue(value) === formatValue(option.default)) return [];
    if (typeof value === "boolean") return [flagOf(key, option)];
    const usual = option.default === null ? "" : ` (default ${formatValue(option.default) || "none"})`;
    return [`${flagOf(key, option)} ${formatValue(value)}${usual}`];
  });
}
