import { formatCsv } from "../../data/csv.ts";
import { SPLITS, type Split } from "../../data/labels.ts";
import type { EvaluationReport } from "../../evaluate.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required, UsageError } from "../errors.ts";
import { boolean, choice, text } from "../kinds.ts";
import { type CheckpointFlags, checkpointOptions, json, withCheckpoint } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import type { Options } from "../settings.ts";
import { alignRight, formatJson, percent, short } from "../text.ts";

interface EvalFlags extends CheckpointFlags {
  data: string | null;
  split: Split;
  perImage: boolean;
  json: boolean;
  csv: boolean;
}

const options: Options<EvalFlags> = {
  ...checkpointOptions,
  data: { kind: text("manifest"), default: null, help: "the samples: a CSV, or a pack of it" },
  split: { kind: choice(SPLITS), default: "test", help: "which of them" },
  perImage: { kind: boolean, default: false, help: "tell every image's outputs, too" },
  json,
  csv: { kind: boolean, default: false, help: "print CSV, a row an image" },
};

type Backend = Pick<typeof import("../../evaluate.ts"), "evaluate">;

export function evalCommand(load: () => Promise<Backend> = () => import("../../evaluate.ts")): CommandSpec<EvalFlags> {
  return {
    name: "eval",
    summary: "losses and accuracies of a checkpoint on a split, beside the largest class's share",
    options,
    examples: ["aenet eval --checkpoint runs/first/checkpoints/best.safetensors --data photos/manifest.csv"],
    async run({ values }, terminal) {
      if (values.json && values.csv) throw new UsageError("--csv: cannot go with --json");
      const given = { ...withCheckpoint(values), data: required("--data", values.data) };
      const { evaluate } = await load();
      const progress = new Progress(terminal);
      const report = await evaluate({
        ...given,
        split: values.split,
        perImage: values.perImage || values.csv,
        onMessage: (line) => progress.note(line),
        onProgress: counter(progress, "evaluated"),
      }).finally(() => progress.clear());
      if (values.json) terminal.out(formatJson(report));
      else if (values.csv) terminal.out(formatImages(report));
      else terminal.out(formatEvaluation(report));
      if (!values.json) for (const { path, error } of report.errors) progress.note(`failed: ${path}: ${error}`);
      return report.errors.length > 0 ? exitCodes.someFailed : exitCodes.done;
    },
  };
}

/** A row an image, in the manifest's order, then those that failed. */
export function formatImages({ classes, images = [], errors }: EvaluationReport): string {
  const cell = (value: string | number | null | undefined) => String(value ?? "");
  const logits = classes.map((name) => `emo_logit_${name}`);
  return formatCsv([
    ["path", "aes_logit", "aes_prob", "aes_true", ...logits, "emotion", "emotion_true", "error"],
    ...images.map((image) => [
      image.path,
      ...[image.aes_logit, image.aes_prob, image.aes_true].map(cell),
      ...classes.map((_, i) => cell(image.emo_logits?.[i])),
      ...[image.emotion, image.emotion_true, null].map(cell),
    ]),
    ...errors.map(({ path, error }) => [path, "", "", "", ...classes.map(() => ""), "", "", error]),
  ]);
}

/** Wilson's 95 % interval of a share of `samples`, as "66.6 to 75.4". */
function interval(share: number | null, samples: number): string {
  if (share === null || samples === 0) return "–";
  const z2 = 1.959963984540054 ** 2 / samples;
  const centre = share + z2 / 2;
  const reach = Math.sqrt(z2 * share * (1 - share) + z2 ** 2 / 4);
  return [centre - reach, centre + reach].map((bound) => ((100 * bound) / (1 + z2)).toFixed(1)).join(" to ");
}

export function formatEvaluation(report: EvaluationReport): string {
  const { images } = report;
  const row = (task: string, accuracy: number | null, majority: number | null, samples: number) => [
    task,
    percent(accuracy),
    interval(accuracy, samples),
    percent(majority),
    String(samples),
  ];
  const failed = report.errors.length > 0 ? `, ${report.errors.length} failed` : "";
  const summary = `${report.checkpoint} on the ${report.split} split: loss ${short(report.loss)}${failed}\n\n`;
  const table = alignRight([
    ["task", "accuracy", "95 % interval", "majority", "samples"],
    row("aesthetics", report.acc_aes, report.majority_aes, report.n_aes),
    row("emotion", report.acc_emo, report.majority_emo, report.n_emo),
  ]);
  if (!images) return summary + table;
  const score = (probability: number | null) => (probability === null ? "–" : probability.toFixed(3));
  const rows = images.map((image) => [
    image.path,
    score(image.aes_prob),
    image.aes_true ?? "–",
    image.emotion ?? "–",
    image.emotion_true ?? "–",
  ]);
  return `${summary}${table}\n${alignRight([["path", "P(high)", "in truth", "emotion", "in truth"], ...rows])}`;
}
