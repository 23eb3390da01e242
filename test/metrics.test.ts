import { expect, it } from "vitest";
import { MetricsSum } from "../src/aenet/metrics.ts";

/** The total loss over samples that all have, or all lack, a label of a task. */
function lossOf(heads: { aes: boolean; emo: boolean }, labels: { aes: boolean; emo: boolean }): number | null {
  const sum = new MetricsSum(0.25, 2);
  for (let i = 0; i < 3; i++) {
    sum.add({
      aesLogit: heads.aes ? 0 : null,
      emoLogits: heads.emo ? Float32Array.of(0, 0) : null,
      aes: labels.aes ? 1 : null,
      emo: labels.emo ? 1 : -1,
    });
  }
  return sum.result.loss;
}

// Logits of 0 lose ln 2 in either task.
it.each([
  { heads: { aes: true, emo: true }, labels: { aes: true, emo: true }, share: 1.25 },
  { heads: { aes: true, emo: true }, labels: { aes: true, emo: false }, share: 1 },
  { heads: { aes: true, emo: true }, labels: { aes: false, emo: true }, share: 0.25 },
  { heads: { aes: true, emo: false }, labels: { aes: true, emo: true }, share: 1 },
  { heads: { aes: false, emo: true }, labels: { aes: true, emo: true }, share: 1 },
])("the loss of $heads on $labels is L_a + λ·L_e over what there is, as in training", ({ heads, labels, share }) => {
  expect(lossOf(heads, labels)).toBeCloseTo(share * Math.LN2, 6);
});

it("there is no loss without labels", () => {
  expect(lossOf({ aes: true, emo: true }, { aes: false, emo: false })).toBeNull();
});

it("nothing is right of an answer that is not a number, and high begins where the probability says so", () => {
  const sum = new MetricsSum(0.25, 2);
  const emoLogits = Float32Array.of(Number.NaN, Number.NaN);
  for (const aes of [0, 1] as const) sum.add({ aesLogit: Number.NaN, emoLogits, aes, emo: 0 });
  expect(sum.result).toMatchObject({ accAes: 0, accEmo: 0, nAes: 2, nEmo: 2 });
  const edge = new MetricsSum(0.25, 2);
  edge.add({ aesLogit: -1e-17, emoLogits: null, aes: 1, emo: -1 }); // e^x / (1 + e^x) is one half
  expect(edge.result.accAes).toBe(1);
});
