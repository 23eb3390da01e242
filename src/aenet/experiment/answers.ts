/** From networks' answers on a split to a result's columns. Pure. */
import { aestheticLabel, aestheticScore } from "../data/labels.ts";
import type { Sample } from "../data/manifest.ts";
import type { ImageResult } from "../evaluate.ts";
import { largestIndex, sigmoid, softmax } from "../metrics.ts";
import type { EpochCurve, FusionHistory, History, Predictions } from "./results.ts";
import type { EpochTrace } from "./trainer.ts";

/** What a method says of one image. */
export interface Answer {
  /** P(high), or null. */
  readonly aes: number | null;
  /** Probabilities by class, or null. */
  readonly emo: readonly number[] | null;
}

/** Probabilities of several networks, averaged over those that answer a task. */
export function averageAnswers(networks: readonly (readonly ImageResult[])[]): Answer[] {
  return networks[0]!.map((_, i) => {
    const results = networks.map((results) => results[i]!);
    const aes = results.flatMap(({ aesLogit }) => (aesLogit === null ? [] : [sigmoid(aesLogit)]));
    const emo = results.flatMap(({ emoLogits }) => (emoLogits === null ? [] : [softmax(emoLogits)]));
    return {
      aes: aes.length === 0 ? null : mean(aes),
      emo: emo.length === 0 ? null : emo[0]!.map((_, k) => mean(emo.map((row) => row[k]!))),
    };
  });
}

/**
 * A result's columns; probabilities to four decimals, which never change what is predicted. Those that differ by less
 * become ties, which may move AUC and rank correlation a little.
 * @param rows The samples answered, in the answers' order.
 * @param groupOf The group of a row, where images are not independent.
 */
export function predictionsOf(
  samples: readonly Sample[],
  rows: readonly number[],
  answers: readonly Answer[],
  classes: readonly string[],
  { imageOf, groupOf }: { imageOf: (row: number) => string | number; groupOf?: (row: number) => string },
): Predictions {
  const names = groupOf ? [...new Set(rows.map(groupOf))].sort() : [];
  const column = (of: (sample: Sample) => number | null) => rows.map((row) => of(samples[row]!));
  return {
    image: rows.map(imageOf),
    groups: groupOf ? { names, of: rows.map((row) => names.indexOf(groupOf(row))) } : null,
    aes_prob: answers.some(({ aes }) => aes !== null) ? answers.map(({ aes }) => roundShare(aes!)) : null,
    aes_true: column((sample) => ({ high: 1, low: 0, none: null })[aestheticLabel(sample) ?? "none"]) as (
      | 0
      | 1
      | null
    )[],
    aes_score: column(aestheticScore),
    emo_probs: answers.some(({ emo }) => emo !== null) ? answers.flatMap(({ emo }) => roundShares(emo!)) : null,
    emotion_true: column(({ emotion }) => (emotion === null ? null : classes.indexOf(emotion))),
  };
}

/**
 * Curves by epoch, from 0: the training loss, which is the mean of the epoch's steps, and what was watched. Where that is
 * the training split, its accuracies stand beside this loss.
 */
export function historyOfTraces(epochs: readonly EpochTrace[], lambda: number): History {
  const total = ({ lossAes, lossEmo }: EpochTrace) =>
    lossAes === null ? lossEmo : lossEmo === null ? lossAes : lossAes + lambda * lossEmo;
  const on = (split: "train" | "val") =>
    epochs.map(({ watched }) => (watched?.split === split ? watched : { loss: null, accAes: null, accEmo: null }));
  const curve = (split: "train" | "val", loss: (number | null)[]): EpochCurve => ({
    split,
    epoch: epochs.map((_, epoch) => epoch),
    loss,
    acc_aes: on(split).map(({ accAes }) => accAes),
    acc_emo: on(split).map(({ accEmo }) => accEmo),
  });
  const hasVal = epochs.some(({ watched }) => watched?.split === "val");
  const val = curve(
    "val",
    on("val").map(({ loss }) => loss),
  );
  return { steps: null, epochs: [curve("train", epochs.map(total)), ...(hasVal ? [val] : [])] };
}

/** Fusion or stitch weights by epoch, null where there are none. */
export function fusionHistoryOf(epochs: readonly Pick<EpochTrace, "fusion">[]): FusionHistory | null {
  const names = Object.keys(epochs[0]?.fusion ?? {});
  const points = [...new Set(names.map((name) => Number(name.split(".")[1])))].sort((a, b) => a - b);
  if (points.length === 0) return null;
  const stitched = names[0]!.startsWith("stitch.");
  const series = (fusion: string, stitch: string) =>
    epochs.map(({ fusion: weights }) =>
      points.map((point) => weights[stitched ? `stitch.${point}.weight.${stitch}` : `fusion.${point}.${fusion}`]!),
    );
  return {
    epoch: epochs.map((_, epoch) => epoch),
    points,
    alpha_p: series("alpha_p", "0.0"),
    alpha_s: series("alpha_s", "0.1"),
    beta_p: series("beta_p", "1.1"),
    beta_s: series("beta_s", "1.0"),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function roundShare(value: number): number {
  const rounded = Math.round(value * 1e4) / 1e4;
  return rounded >= 0.5 === value >= 0.5 ? rounded : value;
}

function roundShares(values: readonly number[]): number[] {
  const rounded = values.map((value) => Math.round(value * 1e4) / 1e4);
  return largestIndex(rounded) === largestIndex(values) ? rounded : [...values];
}
