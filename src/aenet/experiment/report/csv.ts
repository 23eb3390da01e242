/** The report's tables for programs: numbers that parse back exactly, empty for what is not known. Pure. */
import { formatCsv } from "../../data/csv.ts";
import type { Interval } from "../../statistics.ts";
import { cellName } from "../results.ts";
import type { Report } from "./analysis.ts";
import type { Estimate } from "./scores.ts";

type Value = string | number | boolean | null | undefined;

const rowsOf = (rows: readonly (readonly Value[])[]) =>
  formatCsv(rows.map((row) => row.map((cell) => String(cell ?? ""))));
const estimate = (of: Estimate | null): Value[] => [of?.value, of?.deviation, of?.interval?.low, of?.interval?.high];
const estimateColumns = (name: string) => [name, `${name}_deviation`, `${name}_low`, `${name}_high`];

/** By file name. */
export function reportTables(report: Report): Record<string, string> {
  return {
    "results.csv": results(report),
    "tests.csv": tests(report),
    "differences.csv": differences(report),
    "seeds.csv": seeds(report),
    "classes.csv": classes(report),
  };
}

/** A row for each cell, method and task. */
function results({ cells }: Report): string {
  const header = [
    ...["cell", "kind", "method", "task", "seeds", "images"],
    ...estimateColumns("accuracy"),
    ...["interval", "majority"],
    ...["balanced_accuracy", "auc", "srcc", "plcc"].flatMap(estimateColumns),
    ...["aenet_gain", "aenet_relative_gain", "paper_accuracy", "paper_aenet_gain", "paper_aenet_relative_gain"],
    ...["parameters", "pretraining", "paper_protocol", "readings"],
  ];
  const rows = cells.flatMap((cell) =>
    cell.rows.flatMap((row) =>
      (["aes", "emo"] as const).flatMap((task) => {
        const found = row.tasks[task];
        if (found === null) return [];
        const { ours, gain, paper, paper_gain } = found;
        return [
          [
            ...[cell.name, cell.kind, row.method, task, ours.seeds.length, ours.images],
            ...estimate(ours.accuracy),
            ...[ours.accuracy.interval_kind, ours.majority],
            ...[ours.balanced_accuracy, ours.auc, ours.srcc, ours.plcc].flatMap(estimate),
            ...[gain?.absolute, gain?.relative, paper, paper_gain?.absolute, paper_gain?.relative],
            ...[row.parameters.join(" + "), row.pretraining.join(" | "), row.paper_protocol, row.readings],
          ],
        ];
      }),
    ),
  );
  return rowsOf([header, ...rows]);
}

const limits = (interval: { low: number | null; high: number | null } | Interval | null): Value[] => [
  interval?.low,
  interval?.high,
];

/** The primary family. */
function tests({ primary }: Report): string {
  return rowsOf([
    [
      ...["cell", "method", "against", "task", "pairs", "planned", "mean_difference", "deviation"],
      ...["low_simultaneous", "high_simultaneous", "p", "p_holm", "verdict", "pilot_deviation", "detectable"],
    ],
    ...primary.map((test) => [
      ...[cellName(test.cell), test.method, test.against, test.task, test.seeds.length, test.planned],
      ...[test.mean, test.deviation, ...limits(test.interval), test.p, test.holm, test.verdict],
      ...[test.pilot_deviation, test.detectable],
    ]),
  ]);
}

/** AENet against every other method in every cell; nothing is decided by these. */
function differences({ cells }: Report): string {
  return rowsOf([
    ["cell", "method", "against", "task", "pairs", "mean_difference", "deviation", "low", "high", "interval"],
    ...cells.flatMap((cell) =>
      cell.differences.map((of) => [
        ...[cell.name, of.method, of.against, of.task, of.seeds.length, of.mean, of.deviation],
        ...[...limits(of.interval), of.interval_kind],
      ]),
    ),
  ]);
}

/** Accuracy by seed. */
function seeds({ cells }: Report): string {
  return rowsOf([
    ["cell", "method", "task", "seed", "accuracy"],
    ...eachTask(cells, (cell, method, task, { ours }) =>
      ours.seeds.map((seed, i) => [cell, method, task, seed, ours.accuracy.by_seed[i]!]),
    ),
  ]);
}

/** Each class's accuracy, and how often its images were said to be of which class. */
function classes({ cells }: Report): string {
  return rowsOf([
    ["cell", "method", "task", "true", "said", "images", "accuracy"],
    ...eachTask(cells, (cell, method, task, { ours }) =>
      ours.per_class.flatMap(({ name, accuracy }, i) =>
        ours.per_class.map((said, j) => [
          ...[cell, method, task, name, said.name, ours.confusion[i]![j]!],
          i === j ? accuracy : null,
        ]),
      ),
    ),
  ]);
}

type TaskFound = NonNullable<Report["cells"][number]["rows"][number]["tasks"]["aes"]>;

function eachTask(
  cells: Report["cells"],
  rows: (cell: string, method: string, task: string, found: TaskFound) => Value[][],
): Value[][] {
  return cells.flatMap((cell) =>
    cell.rows.flatMap(({ method, tasks }) =>
      (["aes", "emo"] as const).flatMap((task) => (tasks[task] ? rows(cell.name, method, task, tasks[task]) : [])),
    ),
  );
}
