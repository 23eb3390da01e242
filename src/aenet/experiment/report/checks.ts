/**
 * The checks of the design that are registered beside the tests: in the primary cell a single-task network is on average
 * better than what needs no network, and worse than what knows everything but the noise. Pure.
 */
import type { Task } from "../../architecture.ts";
import { cellName, type Experiment, type RunResult } from "../results.ts";
import { accuracy, confusionMatrix, majority } from "../statistics/confusion.ts";
import { mean } from "../statistics/summary.ts";
import { type Answers, answersOf, pairAnswers } from "./answers.ts";

/** Means of test accuracy over the seeds that both have. */
export interface DesignCheck {
  readonly method: string;
  readonly task: Task;
  readonly against: (typeof bounds)[number]["against"];
  readonly expected: "better" | "worse";
  readonly seeds: readonly number[];
  /** Of the method and of what it is held against; null without a seed that both have. */
  readonly left: number | null;
  readonly right: number | null;
  readonly holds: boolean | null;
}

const checked = "resnet50";

/** The majority needs no results of its own: it is the largest class's share of what the method was tested on. */
const bounds = [
  { against: "majority", expected: "better" },
  { against: "histogram", expected: "better" },
  { against: "oracle", expected: "worse" },
] as const;

/** None where the experiment has no primary cell, or no such methods: nothing of the kind is registered there. */
export function checkDesign({ cells, methods }: Experiment, results: readonly RunResult[]): DesignCheck[] {
  const planned = cells.find(({ kind }) => kind === "primary");
  const known = new Set(methods.map(({ name }) => name));
  if (!planned || !known.has(checked)) return [];
  const { cell, folds, seeds } = planned;
  const own = results.filter((run) => cellName(run.cell) === cellName(cell));
  const answers = (method: string, task: Task) =>
    answersOf(own, { method, cell, task, folds }).filter(({ seed }) => seeds.includes(seed));
  return (["aes", "emo"] as const).flatMap((task) =>
    bounds
      .filter(({ against }) => against === "majority" || known.has(against))
      .map(({ against, expected }): DesignCheck => {
        const ours = answers(checked, task);
        const pairs =
          against === "majority"
            ? ours.map((of) => ({ seed: of.seed, left: accuracy(matrixOf(of)), right: majority(matrixOf(of)) }))
            : pairAnswers(ours, answers(against, task)).map(([a, b]) => ({
                seed: a.seed,
                left: accuracy(matrixOf(a)),
                right: accuracy(matrixOf(b)),
              }));
        const found = { method: checked, task, against, expected, seeds: pairs.map(({ seed }) => seed) };
        if (pairs.length === 0) return { ...found, left: null, right: null, holds: null };
        const [left, right] = [mean(pairs.map((pair) => pair.left)), mean(pairs.map((pair) => pair.right))];
        return { ...found, left, right, holds: expected === "better" ? left > right : left < right };
      }),
  );
}

/** What a check that does not hold means for the tests, in words; null where none fails. */
export function designFailure(checks: readonly DesignCheck[]): string | null {
  const failed = checks.filter(({ holds }) => holds === false).length;
  if (failed === 0) return null;
  return (
    `The design fails ${failed} of its ${checks.length} checks: whatever the primary tests say, ` +
    "no claim is made from them"
  );
}

function matrixOf({ truth, predicted, classes }: Answers) {
  return confusionMatrix(truth, predicted, classes.length);
}
