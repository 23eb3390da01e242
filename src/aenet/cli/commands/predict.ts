import { formatCsv } from "../../data/csv.ts";
import type { Prediction } from "../../predict.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, UsageError } from "../errors.ts";
import { boolean } from "../kinds.ts";
import { type CheckpointFlags, checkpointOptions, json, withCheckpoint } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import type { Options } from "../settings.ts";
import { alignLeft, formatJson } from "../text.ts";

interface PredictFlags extends CheckpointFlags {
  json: boolean;
  jsonl: boolean;
  csv: boolean;
}

const options: Options<PredictFlags> = {
  ...checkpointOptions,
  json,
  jsonl: { kind: boolean, default: false, help: "print JSON, an object and a line an image" },
  csv: { kind: boolean, default: false, help: "print CSV, a row an image" },
};

type Backend = Pick<typeof import("../../predict.ts"), "predict">;

export function predictCommand(
  load: () => Promise<Backend> = () => import("../../predict.ts"),
): CommandSpec<PredictFlags> {
  return {
    name: "predict",
    summary: "aesthetics and emotion of photographs",
    positionals: [{ syntax: "<path...>", help: "image files, folders (with all below them), globs" }],
    options,
    examples: [
      "aenet predict --checkpoint runs/first/checkpoints/best.safetensors holiday.jpg photos/ 'more/**/*.png'",
    ],
    async run({ values }, terminal, paths) {
      if ([values.json, values.jsonl, values.csv].filter(Boolean).length > 1)
        throw new UsageError("--json, --jsonl and --csv: only one of them can be printed");
      const given = withCheckpoint(values);
      const [{ predict }, { expandPaths }] = await Promise.all([load(), import("../paths.ts")]);
      const found = await expandPaths(paths);
      const progress = new Progress(terminal);
      const { classes, predictions } = await predict({
        ...given,
        paths: found.flatMap(({ path, error }) => (error === null ? [path] : [])),
        onMessage: (line) => progress.note(line),
        onProgress: counter(progress, "predicted"),
      }).finally(() => progress.clear());
      let next = 0;
      const rows = found.map(({ path, error }) => (error === null ? predictions[next++]! : failure(path, error)));
      if (values.json) terminal.out(formatJson(rows));
      else if (values.jsonl) terminal.out(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      else if (values.csv) terminal.out(formatTable(rows, classes));
      else terminal.out(formatPredictions(rows));
      return rows.some(({ error }) => error !== null) ? exitCodes.someFailed : exitCodes.done;
    },
  };
}

function failure(path: string, error: string): Prediction {
  return { path, aes_prob: null, aes_label: null, emotions: null, top_emotion: null, error };
}

/** CSV with a column `emotion_NAME` each; numbers parse back exactly, what is null is empty. */
export function formatTable(rows: readonly Prediction[], classes: readonly string[]): string {
  const cell = (value: string | number | null | undefined) => String(value ?? "");
  return formatCsv([
    ["path", "aes_prob", "aes_label", ...classes.map((name) => `emotion_${name}`), "top_emotion", "error"],
    ...rows.map((row) => [
      row.path,
      ...[row.aes_prob, row.aes_label].map(cell),
      ...classes.map((name) => cell(row.emotions?.[name])),
      ...[row.top_emotion, row.error].map(cell),
    ]),
  ]);
}

/** A line an image: the aesthetics and the three likeliest emotions. */
export function formatPredictions(rows: readonly Prediction[]): string {
  return alignLeft(
    rows.map(({ path, aes_prob, aes_label, emotions, error }) => {
      if (error !== null) return [path, "", `failed: ${error}`];
      const likeliest = Object.entries(emotions ?? {}).sort(([, p], [, q]) => q - p);
      return [
        path,
        aes_prob === null ? "" : `${aes_label} (P(high) ${aes_prob.toFixed(3)})`,
        likeliest
          .slice(0, 3)
          .map(([name, probability]) => `${name} ${probability.toFixed(3)}`)
          .join(", "),
      ];
    }),
  );
}
