import { join } from "node:path";
import type { Report } from "../../experiment/report/analysis.ts";
import { designFailure } from "../../experiment/report/checks.ts";
import { finePoints } from "../../experiment/report/page/format.ts";
import { seedsText } from "../../experiment/report/settings.ts";
import { cellName } from "../../experiment/results.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes } from "../errors.ts";
import { integer, text } from "../kinds.ts";
import { json } from "../options.ts";
import type { Options } from "../settings.ts";
import { alignRight, formatJson, percent } from "../text.ts";

interface ReportFlags {
  out: string | null;
  seed: number;
  resamples: number;
  json: boolean;
}

const options: Options<ReportFlags> = {
  out: {
    kind: text("folder"),
    default: null,
    help: "receives report.html, report.json and the tables as CSV (default: report/ in the experiment's folder)",
  },
  seed: { kind: integer(0), default: 0, help: "of the bootstrap's drawings" },
  resamples: { kind: integer(10), default: 2000, help: "drawings of the bootstrap" },
  json,
};

type Backend = Pick<typeof import("../../experiment/write-report.ts"), "writeReport">;

export function reportCommand(
  load: () => Promise<Backend> = () => import("../../experiment/write-report.ts"),
): CommandSpec<ReportFlags> {
  return {
    name: "report",
    summary: "make tables, tests and charts of an experiment's results, as a page, JSON and CSV",
    positionals: [{ syntax: "<folder>", help: "an experiment's --out: experiment.json and results/" }],
    options,
    examples: ["aenet experiment report experiments/generated"],
    async run({ values }, terminal, [folder]) {
      const { writeReport } = await load();
      const { seed, resamples } = values;
      const out = values.out ?? join(folder!, "report");
      const { report, files } = await writeReport({ folder: folder!, out, seed, resamples });
      terminal.out(values.json ? formatJson({ ...report, files }) : formatReport(report));
      if (!values.json) terminal.err(`${files.join("\n")}\n`);
      return exitCodes.done;
    },
  };
}

/** Accuracies by cell, then the primary tests and the checks of the design. */
export function formatReport({ cells, primary, checks, remarks }: Report): string {
  const parts = cells.map((cell) => `${cell.title}\n${alignRight(accuracyRows(cell))}`);
  const tests = alignRight([
    ["", "pairs", "difference, points", "p by Holm", "verdict"],
    ...primary.map((test) => [
      `${test.method} minus ${test.against}, ${test.task}, ${cellName(test.cell)}`,
      `${test.seeds.length}/${test.planned}`,
      test.mean === null ? "–" : finePoints(test.mean),
      test.holm === null ? "–" : test.holm.toPrecision(2),
      test.verdict,
    ]),
  ]);
  const checked = alignRight([
    ["check of the design", "seeds", "accuracy", "against", "holds"],
    ...checks.map(({ method, task, expected, against, seeds, left, right, holds }) => [
      `${method} ${expected} than ${against}, ${task}`,
      seedsText(seeds),
      finePercent(left),
      finePercent(right),
      holds === null ? "–" : holds ? "holds" : "does not hold",
    ]),
  ]);
  const failure = designFailure(checks);
  return [
    ...parts,
    ...(primary.length > 0 ? [tests] : []),
    ...(checks.length > 0 ? [checked] : []),
    ...(failure === null ? [] : [`${failure}\n`]),
    ...remarks.map((remark) => `${remark}\n`),
  ].join("\n");
}

/** Where rows have different seeds, the means over those that all have stand beside the others: only these compare. */
function accuracyRows({ rows, shared_seeds }: Report["cells"][number]): string[][] {
  const shared = (task: "aes" | "emo") => shared_seeds[task];
  const isUneven = (["aes", "emo"] as const).some((task) =>
    rows.some(({ tasks }) => (tasks[task]?.ours.seeds.length ?? 0) > shared(task).length && shared(task).length > 0),
  );
  const head = (task: "aes" | "emo", name: string) => [
    name,
    ...(isUneven ? [`seeds ${seedsText(shared(task))}`] : []),
    "majority",
  ];
  return [
    ["", ...head("aes", "aesthetics"), ...head("emo", "emotion"), "seeds"],
    ...rows.map(({ title, tasks: { aes, emo } }) => [
      title,
      ...[aes, emo].flatMap((found) => [
        percent(found?.ours.accuracy.value ?? null),
        ...(isUneven ? [percent(found?.accuracy_on_shared ?? null)] : []),
        percent(found?.ours.majority ?? null),
      ]),
      String((aes ?? emo)!.ours.seeds.length),
    ]),
  ];
}

/** Two decimals: what is checked may lie close. */
function finePercent(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(2)} %`;
}
