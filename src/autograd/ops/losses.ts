import * as kernels from "../../kernels/losses.ts";
import { tapeOf } from "../tape.ts";
import { type DType, padTo4, type Tensor } from "../tensor.ts";

/**
 * L = Σ max(x, 0) − x·t + ln(1 + e^−|x|) / count;  dx = (sigmoid(x) − t) / count
 *
 * logits x [N, 1], labels t f32 [N] (−1 where missing), count [1] the labelled samples of the whole batch → [1].
 * @throws RangeError for other shapes and types.
 */
export function binaryCrossEntropyWithLogits(logits: Tensor, labels: Tensor, count: Tensor): Tensor {
  const tape = tapeOf(logits);
  const [samples, outputs] = logits.shape;
  check("binaryCrossEntropyWithLogits", { logits, labels, count }, "f32");
  if (outputs !== 1) throw new RangeError(`binaryCrossEntropyWithLogits: logits [${logits.shape}] need to be [N, 1]`);
  const shape = { samples: samples!, classes: 1, stride: padTo4(1) };
  return tape.record(
    "binaryCrossEntropyWithLogits",
    [logits],
    [1],
    (loss) => tape.push(kernels.binaryCrossEntropy(shape, { logits, labels, count, loss })),
    (dLoss) => {
      const dLogits = tape.empty(`d(${logits.name})`, logits.shape);
      tape.push(kernels.binaryCrossEntropyBackward(shape, { logits, labels, count, dLoss, dLogits }));
      return [dLogits];
    },
  );
}

/**
 * L = Σ (ln Σ_k e^x_k − x_label) / count;  dx = (softmax(x) − onehot(label)) / count
 *
 * logits x [N, K], labels i32 [N] (−1 where missing), count [1] the labelled samples of the whole batch → [1].
 * @throws RangeError for other shapes and types.
 */
export function softmaxCrossEntropy(logits: Tensor, labels: Tensor, count: Tensor): Tensor {
  const tape = tapeOf(logits);
  const [samples, classes] = logits.shape;
  check("softmaxCrossEntropy", { logits, labels, count }, "i32");
  const shape = { samples: samples!, classes: classes!, stride: padTo4(classes!) };
  return tape.record(
    "softmaxCrossEntropy",
    [logits],
    [1],
    (loss) => tape.push(kernels.softmaxCrossEntropy(shape, { logits, labels, count, loss })),
    (dLoss) => {
      const dLogits = tape.empty(`d(${logits.name})`, logits.shape);
      tape.push(kernels.softmaxCrossEntropyBackward(shape, { logits, labels, count, dLoss, dLogits }));
      return [dLogits];
    },
  );
}

function check(operation: string, t: Readonly<Record<"logits" | "labels" | "count", Tensor>>, dtype: DType): void {
  const { logits, labels, count } = t;
  const isRow = labels.shape.length === 1 && labels.shape[0] === logits.shape[0] && labels.dtype === dtype;
  if (logits.shape.length === 2 && isRow && String(count.shape) === "1" && count.dtype === "f32") return;
  const told = Object.entries(t).map(([name, { shape, dtype }]) => `${name} ${dtype} [${shape}]`);
  throw new RangeError(`${operation}: ${told.join(", ")} need to be f32 [N, K], ${dtype} [N] and f32 [1]`);
}
