/** Who is better than whom, and whether that may be said. Pure. */
import type { Task } from "../../architecture.ts";
import { largestIndex } from "../../metrics.ts";
import type { Interval } from "../../statistics.ts";
import { type Cell, type Comparison, cellName, type Experiment, type RunResult } from "../results.ts";
import { holm, testFamily } from "../statistics/family.ts";
import { pairedImagesTest } from "../statistics/paired-images.ts";
import { detectableEffect } from "../statistics/power.ts";
import { deviation, deviationLimit, mean } from "../statistics/summary.ts";
import { type Answers, answersOf, pairAnswers } from "./answers.ts";
import { accuracyOf, type DrawnKind, meanOver, type Precision } from "./scores.ts";
import { settingsOf, type UsedSettings } from "./settings.ts";

/** Accuracy of `method` minus accuracy of `against`, over the seeds that both have. */
export interface Difference {
  readonly method: string;
  readonly against: string;
  readonly task: Task;
  readonly seeds: readonly number[];
  readonly by_seed: readonly number[];
  readonly mean: number;
  readonly deviation: number | null;
  /** 95 %, of this difference by itself: nothing is decided by it. */
  readonly interval: Interval | null;
  readonly interval_kind: DrawnKind;
  /** Null where nothing is tested: outside of paired cells, and before all runs of a task are there. */
  readonly test: PairedTest | null;
}

/** The test of a difference, by image: it is about these very trainings, whatever other photographs they are shown. */
export interface PairedTest {
  /** Images on which more of the method's trainings were right than of the other's, and fewer. */
  readonly better: number;
  readonly worse: number;
  /** Exact, two-sided, of this test alone: McNemar's where there is one seed. */
  readonly p: number;
  /** After Holm's procedure over all methods that AENet is tested against on the task. */
  readonly holm: number;
}

export type Verdict = `${string} wins` | "no difference shown" | "incomplete";

/** A test of the primary family; its p values are null until all seeds of the whole family are there. */
export interface PrimaryTest extends Comparison {
  readonly planned: number;
  readonly seeds: readonly number[];
  readonly by_seed: readonly number[];
  readonly mean: number | null;
  readonly deviation: number | null;
  readonly p: number | null;
  readonly holm: number | null;
  /** Simultaneous over the family. A limit is null where the design gives none. */
  readonly interval: { readonly low: number | null; readonly high: number | null } | null;
  /** The method that is shown to be better, if any. */
  readonly winner: string | null;
  readonly verdict: Verdict;
  /** The seed whose difference lies farthest from the mean, and the mean without it: to be read, not to be tested. */
  readonly extreme_seed: number | null;
  readonly mean_without_extreme: number | null;
  /** What each of the two was trained with, over the seeds of the pairs. */
  readonly settings: { readonly method: readonly UsedSettings[]; readonly against: readonly UsedSettings[] };
  /**
   * The smallest true difference that this test finds with power 0.8 at alpha/m, if the true deviation were the pilot's;
   * and if it were the upper limit that so few pilot seeds leave it (one-sided, 95 %).
   */
  readonly detectable: number | null;
  readonly detectable_at_limit: number | null;
  readonly pilot_seeds: number;
  readonly pilot_deviation: number | null;
  readonly pilot_deviation_limit: number | null;
}

/** null where the two have no seed in common. @throws Error where they were not tested on the same images. */
export function compare(
  left: readonly Answers[],
  right: readonly Answers[],
  task: Task,
  precision: Precision,
): Difference | null {
  const pairs = pairAnswers(left, right);
  if (pairs.length === 0) return null;
  const others = pairs.map(([, b]) => b);
  const difference = (a: Answers, k: number) => {
    const [ours, theirs] = [accuracyOf(a), accuracyOf(others[k]!)];
    return (counts?: ArrayLike<number>) => ours(counts) - theirs(counts);
  };
  const [method, against] = [pairs[0]![0].runs[0]!.method, others[0]!.runs[0]!.method];
  const own = pairs.map(([a]) => a);
  const name = `${cellName(own[0]!.runs[0]!.cell)} ${method} against ${against} ${task}`;
  const { value, ...figures } = meanOver(own, difference, { ...precision, name });
  return { method, against, task, seeds: own.map(({ seed }) => seed), mean: value, ...figures, test: null };
}

/**
 * The tests of a paired cell on one task, in the order of `others`, which are all that the method is held against.
 * @returns null unless every planned seed of every one is there: what is looked at early is not tested.
 */
export function testPaired(
  method: readonly Answers[],
  others: readonly (readonly Answers[])[],
  planned: readonly number[],
): PairedTest[] | null {
  const family = others.map((answers) => pairAnswers(method, answers).filter(([{ seed }]) => planned.includes(seed)));
  if (family.length === 0 || family.some((pairs) => pairs.length < planned.length)) return null;
  const differences = family.map(differencesByImage);
  const pValues = differences.map(pairedImagesTest);
  const adjusted = holm(pValues);
  return differences.map((by, i) => ({
    better: by.filter((difference) => difference > 0).length,
    worse: by.filter((difference) => difference < 0).length,
    p: pValues[i]!,
    holm: adjusted[i]!,
  }));
}

/** How many more of the left method's seeds are right on each image than of the right one's. */
function differencesByImage(pairs: readonly (readonly [Answers, Answers])[]): number[] {
  const byImage = new Map<string | number, number>();
  for (const [a, b] of pairs)
    a.images.forEach((image, i) => {
      const isRight = (of: Answers) => Number(of.predicted[i] === a.truth[i]);
      byImage.set(image, (byImage.get(image) ?? 0) + isRight(a) - isRight(b));
    });
  return [...byImage.values()];
}

/**
 * The primary family. Nothing is tested before every planned pair of every test is there: whoever looks earlier and stops
 * when it suits him errs more often than alpha says. Seeds that were not planned are left out.
 */
export function testPrimary(experiment: Experiment, results: readonly RunResult[]): PrimaryTest[] {
  const { primary, alpha, pilot } = experiment;
  const found = primary.map((comparison) => {
    const planned = plannedCell(experiment, comparison.cell);
    const answers = (method: string) => answersOf(results, { ...comparison, method, folds: planned.folds });
    const pairs = pairAnswers(answers(comparison.method), answers(comparison.against)).filter(([{ seed }]) =>
      planned.seeds.includes(seed),
    );
    return {
      comparison,
      planned: planned.seeds.length,
      seeds: pairs.map(([{ seed }]) => seed),
      bySeed: pairs.map(([a, b]) => accuracyOf(a)() - accuracyOf(b)()),
      settings: {
        method: settingsOf(pairs.flatMap(([a]) => a.runs)),
        against: settingsOf(pairs.flatMap(([, b]) => b.runs)),
      },
    };
  });
  const isComplete = found.length > 0 && found.every(({ planned, seeds }) => seeds.length === planned);
  const tests = isComplete
    ? testFamily(
        found.map(({ bySeed }) => bySeed),
        alpha,
      )
    : [];
  const effects = new Map<number, number>(); // by simulation, so once for each number of pairs
  return found.map(({ comparison, planned, seeds, bySeed, settings }, i) => {
    const test = tests[i];
    const centre = bySeed.length === 0 ? null : mean(bySeed);
    const finite = (limit: number) => (Number.isFinite(limit) ? limit : null);
    const tried = pilot?.find((entry) => sameComparison(entry, comparison));
    const winner = test?.rejected ? (centre! > 0 ? comparison.method : comparison.against) : null;
    const spread = tried ? deviation(tried.differences) : null;
    const limit = tried ? deviationLimit(tried.differences) : null;
    if (spread !== null && !effects.has(planned))
      effects.set(planned, detectableEffect({ n: planned, level: alpha / primary.length }));
    return {
      ...comparison,
      planned,
      seeds,
      by_seed: bySeed,
      mean: centre,
      deviation: deviation(bySeed),
      p: test?.p ?? null,
      holm: test?.holm ?? null,
      interval: test ? { low: finite(test.interval.low), high: finite(test.interval.high) } : null,
      winner,
      verdict: winner !== null ? `${winner} wins` : test === undefined ? "incomplete" : "no difference shown",
      ...withoutExtreme(seeds, bySeed),
      settings,
      detectable: spread === null ? null : finite(effects.get(planned)! * spread),
      detectable_at_limit: limit === null ? null : finite(effects.get(planned)! * limit),
      pilot_seeds: tried?.differences.length ?? 0,
      pilot_deviation: spread,
      pilot_deviation_limit: limit,
    };
  });
}

/** From three values on: of two, either would be as extreme as the other. */
function withoutExtreme(
  seeds: readonly number[],
  values: readonly number[],
): Pick<PrimaryTest, "extreme_seed" | "mean_without_extreme"> {
  if (values.length < 3) return { extreme_seed: null, mean_without_extreme: null };
  const centre = mean(values);
  const extreme = largestIndex(values.map((value) => Math.abs(value - centre)));
  return { extreme_seed: seeds[extreme]!, mean_without_extreme: mean(values.filter((_, i) => i !== extreme)) };
}

function plannedCell({ cells }: Experiment, cell: Cell) {
  const found = cells.find((planned) => cellName(planned.cell) === cellName(cell));
  if (!found)
    throw new Error(`experiment: the primary family compares in ${cellName(cell)}, which is none of its cells`);
  return found;
}

function sameComparison(a: Comparison, b: Comparison): boolean {
  return a.method === b.method && a.against === b.against && a.task === b.task && cellName(a.cell) === cellName(b.cell);
}
