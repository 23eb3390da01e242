import { join } from "node:path";
import type { Report } from "../../experiment/report/analysis.ts";
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

/** Accuracies by cell, then the primary tests. */
export function formatReport({ cells, primary, remarks }: Report): string {
  const parts = cells.map(({ title, rows }) =>
    [
      `${title}\n`,
      alignRight([
        ["", "aesthetics", "majority", "emotion", "majority", "seeds"],
        ...rows.map(({ title, tasks: { aes, emo } }) => [
          title,
          percent(aes?.ours.accuracy.value ?? null),
          percent(aes?.ours.majority ?? null),
          percent(emo?.ours.accuracy.value ?? null),
          percent(emo?.ours.majority ?? null),
          String((aes ?? emo)!.ours.seeds.length),
        ]),
      ]),
    ].join(""),
  );
  const tests = alignRight([
    ["", "pairs", "difference", "p by Holm", "verdict"],
    ...primary.map((test) => [
      `${test.method} minus ${test.against}, ${test.task}, ${cellName(test.cell)}`,
      `${test.seeds.length}/${test.planned}`,
      percent(test.mean),
      test.holm === null ? "–" : test.holm.toPrecision(2),
      test.verdict,
    ]),
  ]);
  return [...parts, ...(primary.length > 0 ? [tests] : []), ...remarks.map((remark) => `${remark}\n`)].join("\n");
}
