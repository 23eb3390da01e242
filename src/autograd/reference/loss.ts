import { expectShape, type NdArray, ndarray } from "./ndarray.ts";

/**
 * The mean of −t · log σ(x) − (1 − t) · log(1 − σ(x)) over the samples that have a label.
 *
 * @param logits [N, 1]
 * @param target [N], each in [0, 1], or −1 where the label is missing
 * @param count [1], the labelled samples of the whole batch, of which these may be a part; 0 makes the loss 0
 * @returns [1]
 */
export function binaryCrossEntropyWithLogits(logits: NdArray, target: NdArray, count: NdArray): NdArray {
  expectShape("binaryCrossEntropyWithLogits", "logits", logits.shape, [...target.shape, 1]);
  let sum = 0;
  target.data.forEach((t, n) => {
    const x = logits.data[n];
    // −log σ(x) = log(1 + e^−x), written so that neither sign of x overflows.
    if (t >= 0) sum += Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x)));
  });
  return mean(sum, count);
}

/**
 * The mean of log Σ_k e^{x_k} − x_label over the samples that have a label.
 *
 * @param logits [N, K]
 * @param labels [N], each in 0 to K − 1, or −1 where the label is missing
 * @param count [1], as for `binaryCrossEntropyWithLogits`
 * @returns [1]
 */
export function softmaxCrossEntropy(logits: NdArray, labels: NdArray, count: NdArray): NdArray {
  const [batch, classes] = logits.shape;
  expectShape("softmaxCrossEntropy", "labels", labels.shape, [batch]);
  let sum = 0;
  labels.data.forEach((label, n) => {
    if (label < 0) return;
    const row = logits.data.subarray(n * classes, (n + 1) * classes);
    const largest = Math.max(...row);
    const others = row.reduce((total, x) => total + Math.exp(x - largest), 0);
    sum += largest + Math.log(others) - row[label];
  });
  return mean(sum, count);
}

function mean(sum: number, count: NdArray): NdArray {
  return ndarray([1], [count.data[0] > 0 ? sum / count.data[0] : 0]);
}
