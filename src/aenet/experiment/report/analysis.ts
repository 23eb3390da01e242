/** The whole report as data: what the page, the tables and the JSON show, all from the same numbers. Pure. */
import type { Task } from "../../architecture.ts";
import {
  type Cell,
  cellName,
  type Experiment,
  type Method,
  type PaperRow,
  type PlannedCell,
  type RunResult,
} from "../results.ts";
import { mean } from "../statistics/summary.ts";
import { type Answers, answersOf, pairAnswers } from "./answers.ts";
import { checkDesign, type DesignCheck } from "./checks.ts";
import { compare, type Difference, type PrimaryTest, testPaired, testPrimary } from "./comparisons.ts";
import { type Curve, curvesOf, type FusionRatios, fusionRatios } from "./curves.ts";
import { paperAccuracy } from "./paper.ts";
import { accuracyOf, type Precision, scoreAnswers, type TaskScores } from "./scores.ts";
import { haveSameRates, settingsOf, settingsText, type UsedSettings } from "./settings.ts";

export interface Report {
  readonly format: "aenet-experiment-report/1";
  readonly title: string;
  readonly protocol: string;
  readonly alpha: number;
  readonly primary: readonly PrimaryTest[];
  /** The registered checks of the design, where there are any. */
  readonly checks: readonly DesignCheck[];
  readonly cells: readonly CellReport[];
  /**
   * Planned runs of the primary family that are not there, methods of it that were trained with different settings, and
   * results that the experiment does not know.
   */
  readonly remarks: readonly string[];
}

export interface CellReport {
  readonly cell: Cell;
  readonly name: string;
  readonly title: string;
  readonly kind: PlannedCell["kind"];
  readonly folds: number | null;
  /** Seeds that every row of a task has: only over these do means of rows compare. */
  readonly shared_seeds: Readonly<Record<Task, readonly number[]>>;
  /** Methods that have answers, in the experiment's order. */
  readonly rows: readonly MethodReport[];
  /**
   * AENet minus every other method but the oracle, tested in a paired cell. In a primary cell those of the primary family
   * stand among them, too.
   */
  readonly differences: readonly Difference[];
}

export interface MethodReport {
  readonly method: string;
  readonly title: string;
  readonly role: Method["role"];
  readonly paper_row: PaperRow | null;
  /** Trained numbers of each network that counts. */
  readonly parameters: readonly number[];
  /** What the runs say of their pre-training; more than one text where they differ. */
  readonly pretraining: readonly string[];
  readonly paper_protocol: boolean;
  readonly settings: readonly UsedSettings[];
  /** The most that any of its test splits was read. */
  readonly readings: number;
  readonly tasks: Readonly<Record<Task, TaskReport | null>>;
  readonly curves: readonly { readonly tasks: readonly Task[]; readonly curves: readonly Curve[] }[];
  readonly fusion: FusionRatios | null;
}

export interface TaskReport {
  readonly ours: TaskScores;
  /** The accuracy's mean over the seeds that every row has; null where they share none. */
  readonly accuracy_on_shared: number | null;
  /** AENet's accuracy over this row's, over the seeds that both have; null for AENet itself and where there are none. */
  readonly gain: Gain | null;
  /** The paper's accuracy on this very data set, and AENet's gain there. */
  readonly paper: number | null;
  readonly paper_gain: Gain | null;
}

export interface Gain {
  /** Difference of the accuracies. */
  readonly absolute: number;
  /** That, as a share of this row's accuracy. */
  readonly relative: number;
}

const tasks = ["aes", "emo"] as const;

/** The method against which gains are told. */
export const protagonist = "aenet";

/** @throws Error where results contradict each other: two for the same run, or pairs on different images. */
export function analyse(
  experiment: Experiment,
  results: readonly RunResult[],
  precision: Precision = { seed: 0, resamples: 2000 },
): Report {
  const primary = testPrimary(experiment, results);
  return {
    format: "aenet-experiment-report/1",
    title: experiment.title,
    protocol: experiment.protocol,
    alpha: experiment.alpha,
    primary,
    checks: checkDesign(experiment, results),
    cells: experiment.cells.map((cell) => analyseCell(experiment, cell, results, precision)),
    remarks: [...missing(primary), ...differentSettings(primary), ...unknown(experiment, results)],
  };
}

function analyseCell(
  experiment: Experiment,
  planned: PlannedCell,
  results: readonly RunResult[],
  precision: Precision,
): CellReport {
  const { cell } = planned;
  const name = cellName(cell);
  const own = results.filter((run) => cellName(run.cell) === name);
  const answers = (method: string, task: Task) => answersOf(own, { method, cell, task, folds: planned.folds });
  const scored = experiment.methods.map((method) => ({
    method,
    runs: own.filter((run) => run.method === method.name),
    scores: byTask((task) => {
      const found = answers(method.name, task);
      return found.length === 0 ? null : scoreAnswers(found, `${name} ${method.name} ${task}`, precision);
    }),
  }));
  const shared_seeds = byTask((task) => sharedSeeds(scored.flatMap(({ scores }) => scores[task] ?? [])));
  const gain = (method: string, task: Task): Gain | null => {
    const pairs = method === protagonist ? [] : pairAnswers(answers(protagonist, task), answers(method, task));
    if (pairs.length === 0) return null;
    const share = (side: 0 | 1) => mean(pairs.map((pair) => accuracyOf(pair[side])()));
    return gainOver(share(0), share(1));
  };
  const rows = scored
    .filter(({ scores }) => scores.aes || scores.emo)
    .map(({ method, runs, scores }): MethodReport => {
      const counted = tasks.flatMap((task) => answers(method.name, task).flatMap((of: Answers) => of.runs));
      const distinct = [...new Set(counted)];
      return {
        method: method.name,
        title: method.title,
        role: method.role,
        paper_row: method.paper_row,
        parameters: parametersOf(distinct),
        pretraining: [...new Set(distinct.map(({ pretraining }) => pretraining))],
        paper_protocol: distinct.some((run) => run.paper_protocol),
        settings: settingsOf(distinct),
        readings: Math.max(...distinct.map(({ readings }) => readings)),
        tasks: byTask((task) =>
          taskReport(method, cell, task, scores[task], shared_seeds[task], gain(method.name, task)),
        ),
        curves: groupByTasks(runs.flatMap(({ history }) => history)).map(([answered, alike]) => ({
          tasks: answered,
          curves: curvesOf(alike),
        })),
        fusion: fusionRatios(runs),
      };
    });
  const against = experiment.methods
    .map(({ name }) => name)
    .filter((name) => name !== protagonist && name !== "oracle");
  const differences = tasks.flatMap((task) => {
    const [ours, others] = [answers(protagonist, task), against.map((method) => answers(method, task))];
    const tests = planned.kind === "paired" ? testPaired(ours, others, planned.seeds) : null;
    return others.flatMap((theirs, i) => {
      const difference = compare(ours, theirs, task, precision);
      return difference === null ? [] : [{ ...difference, test: tests?.[i] ?? null }];
    });
  });
  return {
    cell,
    name,
    title: planned.title,
    kind: planned.kind,
    folds: planned.folds,
    shared_seeds,
    rows,
    differences,
  };
}

function taskReport(
  method: Method,
  cell: Cell,
  task: Task,
  ours: TaskScores | null,
  shared: readonly number[],
  gain: Gain | null,
): TaskReport | null {
  if (ours === null) return null;
  const paper = paperAccuracy(method.paper_row, cell, task);
  const paperLeader = paperAccuracy("aenet", cell, task);
  return {
    ours,
    accuracy_on_shared:
      shared.length === 0 ? null : mean(shared.map((seed) => ours.accuracy.by_seed[ours.seeds.indexOf(seed)]!)),
    gain,
    paper,
    paper_gain: paper === null || method.paper_row === "aenet" ? null : gainOver(paperLeader!, paper),
  };
}

export function gainOver(leader: number, other: number): Gain {
  return { absolute: leader - other, relative: (leader - other) / other };
}

/** Single-task networks come as one run a task, or as one run of two networks: either way both are named. */
function parametersOf(runs: readonly RunResult[]): number[] {
  return groupByTasks(runs).flatMap(([, alike]) => alike[0]!.networks.map(({ parameters }) => parameters));
}

function groupByTasks<T extends { readonly tasks: readonly Task[] }>(all: readonly T[]): [readonly Task[], T[]][] {
  const groups = new Map<string, [readonly Task[], T[]]>();
  for (const one of all) {
    const key = one.tasks.join();
    const group = groups.get(key) ?? [one.tasks, []];
    group[1].push(one);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function byTask<T>(of: (task: Task) => T): Record<Task, T> {
  return { aes: of("aes"), emo: of("emo") };
}

function missing(primary: readonly PrimaryTest[]): string[] {
  return primary
    .filter(({ seeds, planned }) => seeds.length < planned)
    .map(
      ({ method, against, task, seeds, planned }) =>
        `${method} against ${against} (${task}): ${seeds.length} of ${planned} pairs are there; the primary family is not decided`,
    );
}

/** Tuning chose for every method by itself, so a difference may be one of settings: each pair is named once. */
function differentSettings(primary: readonly PrimaryTest[]): string[] {
  const found = primary
    .filter(({ settings }) => !haveSameRates(settings.method, settings.against))
    .map(
      ({ method, against, settings }) =>
        `${method} and ${against} were tuned to different settings: ` +
        `${method} ${settingsText(settings.method)}; ${against} ${settingsText(settings.against)}`,
    );
  return [...new Set(found)];
}

/** In the order of the first row. */
function sharedSeeds(rows: readonly TaskScores[]): number[] {
  return (rows[0]?.seeds ?? []).filter((seed) => rows.every(({ seeds }) => seeds.includes(seed)));
}

function unknown({ methods, cells }: Experiment, results: readonly RunResult[]): string[] {
  const strange = results.filter(
    ({ method, cell }) =>
      !methods.some(({ name }) => name === method) ||
      !cells.some((planned) => cellName(planned.cell) === cellName(cell)),
  );
  return [...new Set(strange.map(({ method, cell }) => `${method} in ${cellName(cell)} is no part of the experiment`))];
}
