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
    "checks.csv": checks(report),
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
    ...["interval", "accuracy_on_shared_seeds", "shared_seeds", "majority"],
    ...["balanced_accuracy", "auc", "srcc", "plcc"].flatMap(estimateColumns),
    ...["aenet_gain", "aenet_relative_gain", "paper_accuracy", "paper_aenet_gain", "paper_aenet_relative_gain"],
    ...["parameters", "pretraining", "paper_protocol", "readings", "lr", "fusion_lr", "lambda", "halvings"],
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
            ...[ours.accuracy.interval_kind, found.accuracy_on_shared, cell.shared_seeds[task].length, ours.majority],
            ...[ours.balanced_accuracy, ours.auc, ours.srcc, ours.plcc].flatMap(estimate),
            ...[gain?.absolute, gain?.relative, paper, paper_gain?.absolute, paper_gain?.relative],
            ...[row.parameters.join(" + "), row.pretraining.join(" | "), row.paper_protocol, row.readings],
            ...(["lr", "fusion_lr", "lambda"] as const).map((name) => distinct(row.settings.map((used) => used[name]))),
            distinct(row.settings.map(({ halvings }) => halvings)),
          ],
        ];
      }),
    ),
  );
  return rowsOf([header, ...rows]);
}

/** What differs, each once; where there is one value only, a number. */
const distinct = (values: readonly (number | null)[]) => [...new Set(values)].map((value) => value ?? "").join(" | ");

const limits = (interval: { low: number | null; high: number | null } | Interval | null): Value[] => [
  interval?.low,
  interval?.high,
];

/** The primary family. */
function tests({ primary }: Report): string {
  return rowsOf([
    [
      ...["cell", "method", "against", "task", "pairs", "planned", "mean_difference", "deviation"],
      ...["low_simultaneous", "high_simultaneous", "p", "p_holm", "verdict"],
      ...["pilot_seeds", "pilot_deviation", "detectable", "pilot_deviation_limit", "detectable_at_limit"],
      ...["extreme_seed", "mean_without_extreme"],
    ],
    ...primary.map((test) => [
      ...[cellName(test.cell), test.method, test.against, test.task, test.seeds.length, test.planned],
      ...[test.mean, test.deviation, ...limits(test.interval), test.p, test.holm, test.verdict],
      ...[
        test.pilot_seeds,
        test.pilot_deviation,
        test.detectable,
        test.pilot_deviation_limit,
        test.detectable_at_limit,
      ],
      ...[test.extreme_seed, test.mean_without_extreme],
    ]),
  ]);
}

/** The registered checks of the design; what cannot be told yet is empty. */
function checks({ checks }: Report): string {
  return rowsOf([
    ["method", "task", "expected", "against", "seeds", "accuracy", "against_accuracy", "holds"],
    ...checks.map((check) => [
      ...[check.method, check.task, check.expected, check.against, check.seeds.length],
      ...[check.left, check.right, check.holds],
    ]),
  ]);
}

/** AENet against every other method but the oracle in every cell; tested in paired cells alone. */
function differences({ cells }: Report): string {
  return rowsOf([
    [
      ...["cell", "method", "against", "task", "pairs", "mean_difference", "deviation", "low", "high", "interval"],
      ...["images_better", "images_worse", "p", "p_holm"],
    ],
    ...cells.flatMap((cell) =>
      cell.differences.map((of) => [
        ...[cell.name, of.method, of.against, of.task, of.seeds.length, of.mean, of.deviation],
        ...[...limits(of.interval), of.interval_kind],
        ...[of.test?.better, of.test?.worse, of.test?.p, of.test?.holm],
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
