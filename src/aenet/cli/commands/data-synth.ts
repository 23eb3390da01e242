import type { Fractions } from "../../data/split.ts";
import { aestheticFactors, type FactorName, factorNames, sharedFactors } from "../../data/synth/factors.ts";
import { defaultLabelOptions, type LabelOptions } from "../../data/synth/labels.ts";
import type { SynthReport } from "../../data/synth/synthesize.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required } from "../errors.ts";
import { boolean, integer, number, numbersByName, text } from "../kinds.ts";
import { json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import type { Option, Options } from "../settings.ts";
import { alignRight, formatJson, percent } from "../text.ts";
import { seedOption, splitOption } from "./data-import.ts";

type Weights<K extends string> = Readonly<Partial<Record<K, number>>>;
type SharedFactor = (typeof sharedFactors)[number];
type ScalarKnob = { [K in keyof LabelOptions]: LabelOptions[K] extends number ? K : never }[keyof LabelOptions];

interface SynthFlags extends Pick<LabelOptions, ScalarKnob> {
  out: string | null;
  count: number | null;
  seed: number;
  size: number;
  split: Fractions;
  fix: Weights<FactorName>;
  sharedAesthetics: Weights<SharedFactor>;
  sharedEmotion: Weights<SharedFactor>;
  aestheticWeights: Weights<(typeof aestheticFactors)[number]>;
  overwrite: boolean;
  json: boolean;
}

const group = "From factors to labels:";
const share = number(0, 1);
const deviation = number(0);

const knob = <K extends ScalarKnob>(key: K, kind: Option<number>["kind"], help: string): Option<number> => ({
  kind,
  default: defaultLabelOptions[key],
  help,
  group,
});

const options: Options<SynthFlags> = {
  out: { kind: text("folder"), default: null, help: "receives manifest.csv, factors.csv and images/" },
  count: { kind: integer(1), default: null, help: "number of images" },
  seed: seedOption,
  size: { kind: integer(8, 4096), default: 64, help: "side of the images, in pixels" },
  split: splitOption,
  overwrite: { kind: boolean, default: false, help: "replace a set that is already there" },
  json,
  fix: {
    kind: numbersByName(factorNames),
    default: {},
    help: "hold factors at a value instead of drawing them",
    group,
  },
  rho: knob("rho", share, "correlation of the two tasks' readings of the shared factors"),
  sharedAesthetics: {
    kind: numbersByName(sharedFactors),
    default: defaultLabelOptions.sharedWeights.aesthetics,
    help: "direction in which aesthetics reads the shared factors",
    group,
  },
  sharedEmotion: {
    kind: numbersByName(sharedFactors),
    default: defaultLabelOptions.sharedWeights.emotion,
    help: "direction in which emotion reads them",
    group,
  },
  aestheticWeights: {
    kind: numbersByName(aestheticFactors),
    default: defaultLabelOptions.aestheticWeights,
    help: "direction in which aesthetics reads its own factors",
    group,
  },
  aestheticShared: knob("aestheticShared", share, "share of the aesthetic variance that shared factors explain"),
  valenceShared: knob("valenceShared", share, "share of the variance of valence that shared factors explain"),
  aestheticNoise: knob("aestheticNoise", deviation, "deviation of what no factor explains, in aesthetics"),
  emotionNoise: knob("emotionNoise", deviation, "deviation of what no factor explains, in emotion"),
  raters: knob("raters", integer(1, 10), "number of raters"),
  raterBias: knob("raterBias", deviation, "deviation of a rater's severity, in points of score"),
  raterNoise: knob("raterNoise", deviation, "deviation of a single judgement, in points of score"),
  scoreMean: knob("scoreMean", number(), "score of an average image"),
  scoreDeviation: knob("scoreDeviation", deviation, "points of score a deviation of the aesthetic latent"),
};

type Backend = Pick<typeof import("../../data/synth/index.ts"), "synthesize">;

export function synthCommand(
  load: () => Promise<Backend> = () => import("../../data/synth/index.ts"),
): CommandSpec<SynthFlags> {
  return {
    name: "synth",
    summary: "make a data set of generated scenes with both labels",
    options,
    examples: ["aenet data synth --out scenes --count 2000 --seed 0"],
    async run({ values }, terminal) {
      const { out, count, split, fix, sharedAesthetics, sharedEmotion, aestheticWeights, json, ...rest } = values;
      const given = { out: required("--out", out, "the folder to make"), count: required("--count", count) };
      const { sharedWeights } = defaultLabelOptions;
      const { synthesize } = await load();
      const progress = new Progress(terminal);
      const report = await synthesize(
        {
          ...rest,
          ...given,
          splits: split,
          fixed: fix,
          sharedWeights: {
            aesthetics: { ...zero(sharedWeights.aesthetics), ...sharedAesthetics },
            emotion: { ...zero(sharedWeights.emotion), ...sharedEmotion },
          },
          aestheticWeights: { ...zero(defaultLabelOptions.aestheticWeights), ...aestheticWeights },
        },
        counter(progress, "drawn"),
      ).finally(() => progress.clear());
      terminal.out(json ? formatJson(report) : formatSynth(report));
      return exitCodes.done;
    },
  };
}

/** A weight that is not named is 0: what is given says the whole direction. */
function zero<K extends string>(weights: Record<K, number>): Record<K, number> {
  return Object.fromEntries(Object.keys(weights).map((name) => [name, 0])) as Record<K, number>;
}

export function formatSynth({ manifest, count, splits, emotions, high }: SynthReport): string {
  const { train, val, test } = splits;
  return [
    `${manifest}: ${count} images, ${train} to train, ${val} to validate, ${test} to test\n\n`,
    alignRight([
      ["emotion", "images", "of high aesthetics"],
      ...Object.entries(emotions).map(([name, of]) => [
        name,
        String(of.count),
        percent(of.count === 0 ? null : of.high / of.count),
      ]),
      ["all", String(count), percent(high / count)],
    ]),
  ].join("");
}
