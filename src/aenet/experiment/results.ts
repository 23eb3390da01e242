/**
 * What an experiment leaves behind: one file a run, written whole or not at all, from which every table, test and chart
 * follows without a device. Node only.
 *
 * A folder of results holds `experiment.json` (an `Experiment`) and `results/NAME.json` (a `RunResult` each, NAME by
 * `resultName`). Columns are arrays, so that a run of 1,000 tested images with 8 classes takes some 80 kB.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Task } from "../architecture.ts";
import { compareCodePoints } from "../data/classes.ts";
import { replaceSharedFile } from "../durable-file.ts";
import { largestIndex } from "../metrics.ts";
import { checkExperiment, checkRunResult } from "./results-check.ts";

/** What was tested on: a data set by its name (`iae`, `ava`, `artphoto`, `oasis`, …), or generated scenes. */
export type Cell = string | GeneratedCell;

export interface GeneratedCell {
  /** Correlation of the two tasks' readings of the shared factors. */
  readonly rho: number;
  /** Images trained on. */
  readonly size: number;
}

/** One run of one method: what was trained, and what it says of every image of the test split. */
export interface RunResult {
  readonly format: "aenet-run-result/1";
  /** As the experiment names it: `aenet`, `csnet`, `csnet-matched`, `logistic`, … */
  readonly method: string;
  readonly cell: Cell;
  readonly seed: number;
  /** From 0, where the test split is one fold of several. */
  readonly fold: number | null;
  /** The tasks that `predictions` answers. A method of two single-task networks may come as two results or as one. */
  readonly tasks: readonly Task[];
  /** Every network whose output counts (three for an ensemble of three), with the hashes frozen before the test. */
  readonly networks: readonly NetworkRecord[];
  /** On what the networks were trained before, in words; empty for nothing. */
  readonly pretraining: string;
  /** E's pre-training kept images that are tested on (`--paper-protocol`). */
  readonly paper_protocol: boolean;
  /** How often the test split has been read with these checkpoints: 1, more with `--again`. */
  readonly readings: number;
  /** What tuning chose and whatever else tells runs apart, for the reader. */
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  /** Names of the emotions, in the order of `predictions.emo_probs`. */
  readonly classes: readonly string[];
  readonly predictions: Predictions;
  /** One of every network that has one, in the order of `networks`. */
  readonly history: readonly NetworkHistory[];
  readonly fusion: FusionHistory | null;
}

export interface NetworkRecord {
  readonly arch: string;
  /** Trained numbers. */
  readonly parameters: number;
  readonly config_sha256: string;
  /** Of the checkpoint's bytes; null for what has none (a logistic regression, an oracle). */
  readonly checkpoint_sha256: string | null;
}

/** Columns over the N images of the test split, in the manifest's order. */
export interface Predictions {
  /** Path as in the manifest, or the row there. */
  readonly image: readonly (string | number)[];
  /** The groups (OASIS: themes) and each image's index among them; null where images are independent. */
  readonly groups: { readonly names: readonly string[]; readonly of: readonly number[] } | null;
  /** P(high) [N]; null where the method does not answer aesthetics. */
  readonly aes_prob: readonly number[] | null;
  /** 1 high, 0 low, null without a label [N]. */
  readonly aes_true: readonly (0 | 1 | null)[];
  /** Mean score, 1 to 10, or null [N]. */
  readonly aes_score: readonly (number | null)[];
  /** Probabilities [N, K], flat by image; null where the method does not answer emotion. */
  readonly emo_probs: readonly number[] | null;
  /** Index among the classes, or null without a label [N]. */
  readonly emotion_true: readonly (number | null)[];
}

/** A run as a file holds it: older ones have the history of one network, which answers all tasks, or null. */
export type StoredRunResult = Omit<RunResult, "history"> & {
  readonly history: RunResult["history"] | History | null;
};

export interface NetworkHistory extends History {
  /** What the network answers. */
  readonly tasks: readonly Task[];
}

/** How training went, from `metrics.jsonl` or a small network's epochs. */
export interface History {
  /** Means over equal stretches of steps; `step` is a stretch's last one. */
  readonly steps: {
    readonly step: readonly number[];
    readonly loss: readonly (number | null)[];
    readonly loss_aes: readonly (number | null)[];
    readonly loss_emo: readonly (number | null)[];
  } | null;
  readonly epochs: readonly EpochCurve[];
}

export interface EpochCurve {
  readonly split: "train" | "val" | "test";
  readonly epoch: readonly number[];
  readonly loss: readonly (number | null)[];
  readonly acc_aes: readonly (number | null)[];
  readonly acc_emo: readonly (number | null)[];
}

/**
 * Fusion weights by epoch and point, [epochs][points]; where a layer has them by channel, their mean. For a cross-stitch
 * ã = w_aa·a + w_ae·e, ẽ = w_ea·a + w_ee·e: α_p = w_aa, α_s = w_ae, β_p = w_ee, β_s = w_ea.
 */
export interface FusionHistory {
  readonly epoch: readonly number[];
  /** 0 after the stem, K after layerK. */
  readonly points: readonly number[];
  readonly alpha_p: readonly (readonly number[])[];
  readonly alpha_s: readonly (readonly number[])[];
  readonly beta_p: readonly (readonly number[])[];
  readonly beta_s: readonly (readonly number[])[];
}

/** What was registered before the runs: who is compared with whom, where, and how often. */
export interface Experiment {
  readonly format: "aenet-experiment/1";
  readonly title: string;
  /** Where the protocol stands, such as `docs/experiment.md`, and the commit that registered it, if any. */
  readonly protocol: string;
  /** In the order of the tables' rows. */
  readonly methods: readonly Method[];
  readonly cells: readonly PlannedCell[];
  /** The tests that decide; Holm's procedure runs over all of them. */
  readonly primary: readonly Comparison[];
  /** Family-wise error of the primary family, such as 0.05. */
  readonly alpha: number;
  /** Differences in the pilot's runs, which are not in the results; from them follows what the design can detect. */
  readonly pilot: readonly PilotDifferences[] | null;
}

export interface Method {
  readonly name: string;
  /** As the tables write it: `CSNet, matched pre-training`. */
  readonly title: string;
  /** One of the paper's six, a control of ours, or what a network has to beat or cannot beat (majority, oracle). */
  readonly role: "paper" | "control" | "reference";
  /** The row of the paper's tables that it answers to, if any. */
  readonly paper_row: PaperRow | null;
}

export const paperRows = ["resnet50", "wrn", "ssnet", "csnet", "aenet-fl", "aenet"] as const;
export type PaperRow = (typeof paperRows)[number];

export interface PlannedCell {
  readonly cell: Cell;
  readonly title: string;
  /**
   * The primary family is tested in a primary cell; in a paired one, which has one test set of independent images, AENet is
   * tested against every other method. Exploratory ones are shown, descriptive ones get intervals and no test.
   */
  readonly kind: "primary" | "paired" | "exploratory" | "descriptive";
  readonly seeds: readonly number[];
  /** Number of folds that make one seed's test set, or null. */
  readonly folds: number | null;
}

/** `method` minus `against`, in accuracy on a task, paired by seed. */
export interface Comparison {
  readonly method: string;
  readonly against: string;
  readonly task: Task;
  readonly cell: Cell;
}

export interface PilotDifferences extends Comparison {
  /** Accuracy of `method` minus that of `against`, as fractions, one a pilot seed. */
  readonly differences: readonly number[];
}

/** Whether all seeds are tested on the same images: a data set has one test split, scenes are drawn for every seed. */
export function hasOneTestSet(cell: Cell): boolean {
  return typeof cell === "string";
}

/** A cell in few characters: `iae`, `rho0.5-n2048`. */
export function cellName(cell: Cell): string {
  return typeof cell === "string" ? cell : `rho${cell.rho}-n${cell.size}`;
}

/** What tells a run's file from those of other runs: the same for a run that is done again. */
export type ResultKey = Pick<RunResult, "method" | "cell" | "seed" | "fold" | "tasks">;

/** The name of a run's file, without `.json`. */
export function resultName(run: ResultKey): string {
  const parts = [cellName(run.cell), run.method, `seed${run.seed}`, run.fold === null ? [] : `fold${run.fold}`];
  return [...parts.flat(), run.tasks.join("-")].map((part) => part.replace(/[^\w.-]/g, "_")).join("_");
}

export function resultFile(folder: string, run: ResultKey): string {
  return join(folder, "results", `${resultName(run)}.json`);
}

/**
 * The run with its numbers rounded to six digits, none of them in a way that changes what is predicted: a probability
 * keeps its side of 0.5, and the likeliest class stays the likeliest.
 */
export function roundResult(result: RunResult): RunResult {
  const { predictions, history, fusion, classes } = result;
  return {
    ...result,
    predictions: {
      ...predictions,
      aes_prob: predictions.aes_prob?.map(roundProbability) ?? null,
      aes_score: predictions.aes_score.map(roundOrNull),
      emo_probs: predictions.emo_probs && roundRows(predictions.emo_probs, classes.length),
    },
    history: history.map(({ tasks, steps, epochs }) => ({
      tasks,
      steps: steps && mapColumns(steps),
      epochs: epochs.map((curve) => ({ ...mapColumns(curve), split: curve.split })),
    })),
    fusion: fusion && {
      ...fusion,
      alpha_p: fusion.alpha_p.map((row) => row.map(round)),
      alpha_s: fusion.alpha_s.map((row) => row.map(round)),
      beta_p: fusion.beta_p.map((row) => row.map(round)),
      beta_s: fusion.beta_s.map((row) => row.map(round)),
    },
  };
}

/** Writes `folder/results/NAME.json`. @returns its path. @throws Error naming the field that breaks a rule. */
export async function writeRunResult(folder: string, result: RunResult): Promise<string> {
  const file = resultFile(folder, result);
  checkRunResult(result, file);
  await replaceSharedFile(file, `${JSON.stringify(roundResult(result))}\n`);
  return file;
}

/** @throws Error naming the file and the field that breaks a rule. */
export async function readRunResult(file: string): Promise<RunResult> {
  const result = await readJson(file);
  checkRunResult(result, file);
  const { history, tasks } = result;
  return { ...result, history: history === null ? [] : "epochs" in history ? [{ tasks, ...history }] : history };
}

/** Writes `folder/experiment.json`. @throws Error naming the field that breaks a rule. */
export async function writeExperiment(folder: string, experiment: Experiment): Promise<void> {
  const file = join(folder, "experiment.json");
  checkExperiment(experiment, file);
  await replaceSharedFile(file, `${JSON.stringify(experiment, null, 2)}\n`);
}

/** The experiment and all results that are there so far, by file name. @throws Error naming the file at fault. */
export async function readExperiment(folder: string): Promise<{ experiment: Experiment; results: RunResult[] }> {
  const file = join(folder, "experiment.json");
  const experiment = await readJson(file);
  checkExperiment(experiment, file);
  const names = await readdir(join(folder, "results")).catch(() => []);
  const results: RunResult[] = [];
  for (const name of names.filter((name) => name.endsWith(".json")).sort(compareCodePoints))
    results.push(await readRunResult(join(folder, "results", name)));
  return { experiment, results };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new Error(`results ${file}: cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}

function roundOrNull(value: number | null): number | null {
  return value === null ? null : round(value);
}

function roundProbability(value: number): number {
  const rounded = round(value);
  return rounded >= 0.5 === value >= 0.5 ? rounded : value;
}

function roundRows(values: readonly number[], width: number): number[] {
  const rows = Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
  return rows.flatMap((row) => {
    const rounded = row.map(round);
    return largestIndex(rounded) === largestIndex(row) ? rounded : row;
  });
}

/** Every column of numbers rounded; other members stay. */
function mapColumns<T extends object>(columns: T): T {
  const entries = Object.entries(columns).map(([name, column]) => [
    name,
    Array.isArray(column) ? column.map(roundOrNull) : column,
  ]);
  return Object.fromEntries(entries) as T;
}
