/** From runs to what a method says of a cell: folds joined, tasks told apart. Pure. */
import type { Task } from "../../architecture.ts";
import { largestIndex } from "../../metrics.ts";
import { type Cell, cellName, type RunResult } from "../results.ts";

/** A method's answers to one task with one seed, over that seed's whole test set. */
export interface Answers {
  readonly seed: number;
  /** Names of the classes; low and high for aesthetics. */
  readonly classes: readonly string[];
  readonly images: readonly (string | number)[];
  /** Name of each image's group; null where images are independent. */
  readonly groups: readonly string[] | null;
  readonly truth: readonly (number | null)[];
  readonly predicted: readonly number[];
  /** P(high) and the mean score, for aesthetics. */
  readonly probability: readonly number[] | null;
  readonly score: readonly (number | null)[] | null;
  /** Each emotion's probability, [classes][images]; null for aesthetics. */
  readonly emotions: readonly (readonly number[])[] | null;
  /** The runs that it is made of, one a fold. */
  readonly runs: readonly RunResult[];
}

export const aestheticClasses = ["low", "high"] as const;

/**
 * The answers of a method in a cell by seed, in the order of the seeds. A seed whose folds are not all there is left out.
 *
 * @throws Error where two runs answer the same task of the same seed and fold, or the folds of a seed share an image.
 */
export function answersOf(
  results: readonly RunResult[],
  where: { readonly method: string; readonly cell: Cell; readonly task: Task; readonly folds: number | null },
): Answers[] {
  const { method, cell, task, folds } = where;
  const runs = results.filter(
    (run) => run.method === method && cellName(run.cell) === cellName(cell) && run.tasks.includes(task),
  );
  const bySeed = new Map<number, RunResult[]>();
  for (const run of runs) {
    const others = bySeed.get(run.seed) ?? [];
    if (others.some(({ fold }) => fold === run.fold))
      throw new Error(`results: two runs of ${describe(run)} answer ${task}`);
    bySeed.set(run.seed, [...others, run]);
  }
  return [...bySeed]
    .filter(([, runs]) => runs.length === (folds ?? 1))
    .sort(([a], [b]) => a - b)
    .map(([seed, runs]) =>
      joinFolds(
        seed,
        runs.sort((a, b) => (a.fold ?? 0) - (b.fold ?? 0)),
        task,
      ),
    );
}

function joinFolds(seed: number, runs: readonly RunResult[], task: Task): Answers {
  const [first] = runs;
  const images = runs.flatMap(({ predictions }) => predictions.image);
  if (new Set(images).size < images.length)
    throw new Error(`results: folds of ${describe({ ...first!, fold: null })} share a test image`);
  const columns = runs.map((run) => (task === "aes" ? aestheticColumns(run) : emotionColumns(run)));
  const join = <K extends "truth" | "predicted">(name: K) => columns.flatMap((column) => [...column[name]]);
  const isGrouped = runs.every(({ predictions }) => predictions.groups !== null);
  return {
    seed,
    classes: task === "aes" ? aestheticClasses : first!.classes,
    images,
    groups: isGrouped
      ? runs.flatMap(({ predictions: { groups } }) => groups!.of.map((group) => groups!.names[group]!))
      : null,
    truth: join("truth") as (number | null)[],
    predicted: join("predicted") as number[],
    probability: task === "aes" ? runs.flatMap(({ predictions }) => [...predictions.aes_prob!]) : null,
    score: task === "aes" ? runs.flatMap(({ predictions }) => [...predictions.aes_score]) : null,
    emotions: task === "emo" ? first!.classes.map((_, k) => runs.flatMap((run) => emotionColumn(run, k))) : null,
    runs,
  };
}

function aestheticColumns({ predictions }: RunResult) {
  return { truth: predictions.aes_true, predicted: predictions.aes_prob!.map((p) => (p >= 0.5 ? 1 : 0)) };
}

function emotionColumns({ predictions, classes }: RunResult) {
  const k = classes.length;
  const predicted = predictions.image.map((_, i) => largestIndex(predictions.emo_probs!.slice(i * k, (i + 1) * k)));
  return { truth: predictions.emotion_true, predicted };
}

function emotionColumn({ predictions, classes }: RunResult, k: number): number[] {
  return predictions.image.map((_, i) => predictions.emo_probs![i * classes.length + k]!);
}

/** Two methods' answers with the same seeds, in pairs. @throws Error where a pair was not tested on the same labels. */
export function pairAnswers(left: readonly Answers[], right: readonly Answers[]): [Answers, Answers][] {
  return left.flatMap((a): [Answers, Answers][] => {
    const b = right.find(({ seed }) => seed === a.seed);
    if (!b) return [];
    const same = (x: readonly unknown[], y: readonly unknown[]) =>
      x.length === y.length && x.every((v, i) => v === y[i]);
    if (!same(a.images, b.images) || !same(a.truth, b.truth))
      throw new Error(
        `results: ${describe(a.runs[0]!)} and ${b.runs[0]!.method} were not tested on the same images and labels`,
      );
    return [[a, b]];
  });
}

function describe({ method, cell, seed, fold }: Pick<RunResult, "method" | "cell" | "seed" | "fold">): string {
  return `${method} in ${cellName(cell)}, seed ${seed}${fold === null ? "" : `, fold ${fold}`}`;
}
