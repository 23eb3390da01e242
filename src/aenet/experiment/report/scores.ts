/** The figures of a method's answers to a task, over its seeds, with what is known of their precision. Pure. */
import { type Interval, wilson } from "../../statistics.ts";
import { hasOneTestSet } from "../results.ts";
import { bootstrapInterval, unitsOf } from "../statistics/bootstrap.ts";
import {
  accuracy,
  addMatrices,
  balancedAccuracy,
  type ConfusionMatrix,
  confusionMatrix,
  correct,
  majority,
  perClassAccuracy,
  total,
} from "../statistics/confusion.ts";
import { areaUnderCurve, pearson, rankingOf, spearman } from "../statistics/ranks.ts";
import { deviation, mean, meanInterval } from "../statistics/summary.ts";
import type { Answers } from "./answers.ts";

/** Where an interval's uncertainty comes from. */
export type IntervalKind = DrawnKind | "wilson";
export type DrawnKind = "student over seeds" | "bootstrap over images" | "bootstrap over groups";

/** A figure: the mean over seeds. */
export interface Estimate {
  readonly value: number;
  /** Over seeds, n − 1; null for one. */
  readonly deviation: number | null;
  /** 95 %; null where it cannot be told. */
  readonly interval: Interval | null;
  readonly interval_kind: IntervalKind | null;
  readonly by_seed: readonly number[];
}

export interface TaskScores {
  readonly seeds: readonly number[];
  /** Labelled test images, all seeds together. */
  readonly images: number;
  readonly accuracy: Estimate;
  /** The largest class's share, the mean over seeds. */
  readonly majority: number;
  readonly balanced_accuracy: Estimate;
  /** Of all seeds together. */
  readonly per_class: readonly { readonly name: string; readonly images: number; readonly accuracy: number | null }[];
  /** [true][predicted], summed over seeds. */
  readonly confusion: ConfusionMatrix;
  /** Of P(high); for emotion of each class against the rest, the mean over classes that have images. */
  readonly auc: Estimate | null;
  /** For aesthetics, P(high) against the mean score by rank and linearly. */
  readonly srcc: Estimate | null;
  readonly plcc: Estimate | null;
}

export interface Precision {
  readonly seed: number;
  readonly resamples: number;
}

/** @param answers One a seed, at least one. */
export function scoreAnswers(answers: readonly Answers[], name: string, precision: Precision): TaskScores {
  const { classes } = answers[0]!;
  const matrices = answers.map((of) => matrixOf(of));
  const confusion = addMatrices(matrices);
  const shares = perClassAccuracy(confusion);
  const estimate = (what: string, statistic: Statistic) =>
    estimateOver(answers, statistic, { ...precision, name: `${name} ${what}` });
  return {
    seeds: answers.map(({ seed }) => seed),
    images: total(confusion),
    accuracy: withWilson(estimate("accuracy", accuracyOf), answers, confusion),
    majority: mean(matrices.map(majority)),
    balanced_accuracy: estimate("balanced accuracy", balancedOf)!,
    per_class: classes.map((name, k) => ({
      name,
      images: confusion[k]!.reduce((a, b) => a + b, 0),
      accuracy: shares[k]!,
    })),
    confusion,
    auc: estimate("auc", aucOf),
    srcc: estimate("srcc", srccOf),
    plcc: estimate("plcc", plccOf),
  };
}

/** Of answers of which image i counts `counts[i]` times (once by default); NaN where it is not defined. */
export type Statistic = (answers: Answers) => (counts?: ArrayLike<number>) => number;

const matrixOf = ({ truth, predicted, classes }: Answers, counts?: ArrayLike<number>) =>
  confusionMatrix(truth, predicted, classes.length, counts);

export const accuracyOf: Statistic = (answers) => (counts) => accuracy(matrixOf(answers, counts));

const balancedOf: Statistic = (answers) => (counts) => balancedAccuracy(matrixOf(answers, counts));

const aucOf: Statistic = ({ truth, probability, emotions }) => {
  const columns = probability
    ? [{ values: probability, label: 1 }]
    : emotions!.map((values, label) => ({ values, label }));
  const areas = columns.map(({ values: all, label }) => {
    const { pick, values } = chosen(truth, all);
    const labels = pick(truth).map((given) => (given === label ? 1 : 0));
    const ranking = rankingOf(values);
    return (counts?: ArrayLike<number>) => areaUnderCurve(values, labels, counts && pick(counts), ranking);
  });
  // A class without images, perhaps in one drawing alone, has no area.
  return (counts) => mean(areas.map((area) => area(counts)).filter(Number.isFinite));
};

const srccOf: Statistic = ({ score, probability }) => {
  if (score === null || probability === null) return () => Number.NaN;
  const { pick, values } = chosen(score, probability);
  const scores = pick(score);
  const rankings = [rankingOf(values), rankingOf(scores)] as const;
  return (counts) => spearman(values, scores, counts && pick(counts), rankings);
};

const plccOf: Statistic = ({ score, probability }) => {
  if (score === null || probability === null) return () => Number.NaN;
  const { pick, values } = chosen(score, probability);
  const scores = pick(score);
  return (counts) => pearson(values, scores, counts && pick(counts));
};

/** The values of images that have what is given of them, and a way to pick the same images of other columns. */
function chosen(given: readonly (number | null)[], values: readonly number[]) {
  const images = given.flatMap((value, i) => (value === null ? [] : [i]));
  const pick = (column: ArrayLike<number | null>) => images.map((i) => column[i]!);
  return { pick, values: pick(values) };
}

function estimateOver(
  answers: readonly Answers[],
  statistic: Statistic,
  options: Precision & { readonly name: string },
): Estimate | null {
  const estimate = meanOver(answers, statistic, options);
  return estimate.by_seed.some(Number.isNaN) ? null : estimate;
}

/**
 * A statistic's mean over seeds. Seeds with scenes of their own are independent repetitions, and Student's interval over
 * them holds all there is of chance. Where there is one seed only, or where all seeds are tested on the same photographs,
 * what is drawn anew are the images or their groups, an image's answers of all seeds together: the interval is about
 * these very trainings on other images. Student's over seeds would leave the choice of images out.
 */
export function meanOver(
  answers: readonly Answers[],
  statistic: (answers: Answers, k: number) => (counts?: ArrayLike<number>) => number,
  options: Precision & { readonly name: string },
): Omit<Estimate, "interval_kind"> & { readonly interval_kind: DrawnKind } {
  const bySeed = answers.map((of, k) => statistic(of, k)());
  const isGrouped = answers.every(({ groups }) => groups !== null);
  const isShared = answers.every(({ runs }) => runs.every(({ cell }) => hasOneTestSet(cell)));
  const overSeeds = answers.length > 1 && !isGrouped && !isShared;
  const units = isGrouped ? "groups" : isShared ? "images" : null;
  return {
    value: mean(bySeed),
    deviation: deviation(bySeed),
    interval: bySeed.some(Number.isNaN)
      ? null
      : overSeeds
        ? meanInterval(bySeed)
        : bootstrapOver(answers, statistic, units, options),
    interval_kind: overSeeds ? "student over seeds" : isGrouped ? "bootstrap over groups" : "bootstrap over images",
    by_seed: bySeed,
  };
}

/** By drawing what `units` names, which is the same for every seed where it has the same name; else single answers. */
function bootstrapOver(
  answers: readonly Answers[],
  statistic: (answers: Answers, k: number) => (counts?: ArrayLike<number>) => number,
  units: "groups" | "images" | null,
  { seed, resamples, name }: Precision & { readonly name: string },
): Interval | null {
  const groups = units === null ? null : indicesOf(answers.flatMap((of) => of[units]!));
  const starts = answers.map((_, k) => answers.slice(0, k).reduce((sum, { truth }) => sum + truth.length, 0));
  const ends = answers.map(({ truth }, k) => starts[k]! + truth.length);
  const statistics = answers.map(statistic);
  return bootstrapInterval({
    units: unitsOf(groups, ends.at(-1) ?? 0),
    seed,
    resamples,
    name,
    statistic: (counts) => mean(statistics.map((of, k) => of(counts.subarray(starts[k], ends[k])))),
  });
}

/** Each name's index among those that differ. */
function indicesOf(names: readonly (string | number)[]): number[] {
  const indices = new Map<string | number, number>();
  return names.map((name) => {
    const index = indices.get(name) ?? indices.size;
    indices.set(name, index);
    return index;
  });
}

/** For one seed of independent images a proportion has an interval that needs no drawing. */
function withWilson(estimate: Estimate | null, answers: readonly Answers[], confusion: ConfusionMatrix): Estimate {
  if (estimate === null) throw new Error("results: a test split has no labelled image");
  if (answers.length > 1 || answers[0]!.groups !== null) return estimate;
  return {
    ...estimate,
    value: accuracy(confusion),
    interval: wilson(correct(confusion), total(confusion), 1.959964),
    interval_kind: "wilson",
  };
}
