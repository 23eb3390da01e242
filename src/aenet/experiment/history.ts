/** A run's curves from its `metrics.jsonl`, thinned so that any run takes the same room. Pure. */
import type { EpochRecord, MetricsRecord, StepRecord } from "../training/metrics-log.ts";
import type { EpochCurve, History } from "./results.ts";

/** The records of a `metrics.jsonl`, by line. @throws SyntaxError for a line that is no JSON. */
export function parseMetrics(text: string): MetricsRecord[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as MetricsRecord);
}

/**
 * Curves of all epochs by split, and of steps as means over at most `stretches` stretches of equal length (the last may be
 * shorter); a mean is over the steps that have the value, null where none has.
 */
export function historyOf(records: readonly MetricsRecord[], stretches = 200): History {
  const steps = records.filter((record): record is StepRecord => record.type === "step");
  const epochs = records.filter((record): record is EpochRecord => record.type === "epoch");
  return { steps: steps.length === 0 ? null : stepCurve(steps, stretches), epochs: epochCurves(epochs) };
}

function stepCurve(steps: readonly StepRecord[], stretches: number): NonNullable<History["steps"]> {
  const length = Math.ceil(steps.length / stretches);
  const parts = Array.from({ length: Math.ceil(steps.length / length) }, (_, i) =>
    steps.slice(i * length, (i + 1) * length),
  );
  const column = (name: "loss" | "loss_aes" | "loss_emo") =>
    parts.map((part) => meanOf(part.map((step) => step[name])));
  return {
    step: parts.map((part) => part.at(-1)!.step),
    loss: column("loss"),
    loss_aes: column("loss_aes"),
    loss_emo: column("loss_emo"),
  };
}

function epochCurves(epochs: readonly EpochRecord[]): EpochCurve[] {
  const splits = (["train", "val", "test"] as const).filter((split) => epochs.some((record) => record.split === split));
  return splits.map((split) => {
    const own = epochs.filter((record) => record.split === split);
    return {
      split,
      epoch: own.map(({ epoch }) => epoch),
      loss: own.map(({ loss }) => loss),
      acc_aes: own.map(({ acc_aes }) => acc_aes),
      acc_emo: own.map(({ acc_emo }) => acc_emo),
    };
  });
}

function meanOf(values: readonly (number | null)[]): number | null {
  const given = values.filter((value) => value !== null);
  return given.length === 0 ? null : given.reduce((a, b) => a + b, 0) / given.length;
}
