/**
 * The two losses over a batch, each a mean over the samples that carry the label: `count` holds their number in the
 * whole batch, of which this may be a part. A missing label is −1. A loss and its gradient are one kernel, in one
 * workgroup: lane l takes the samples l, l + 64, …, and lane 0 adds the lanes' losses in their order.
 */
import { type Dispatch, defineKernel, dispatch, type Kernel } from "./kernel.ts";

const lossParams = { samples: "u32", classes: "u32", stride: "u32", gradient: "u32" } as const;

/**
 * A loss of logits [samples, classes], `stride` floats from one row to the next. For each labelled sample, `begin` declares
 * what both passes need from its `row` (the index of its first logit) and its `label`; `loss` is an expression, and
 * `gradient(k)` that of its derivative by logit k.
 */
function defineLoss<L extends "f32" | "i32">(
  name: string,
  labels: L,
  wgsl: { functions?: string; begin: string; loss: string; gradient: (k: string) => string },
): Kernel<"logits" | "labels" | "count" | "dLoss" | "result", keyof typeof lossParams> {
  return defineKernel({
    name,
    inputs: { logits: "f32", labels, count: "f32", dLoss: "f32" },
    outputs: { result: "f32" },
    params: lossParams,
    wgsl: /* wgsl */ `
var<workgroup> laneSums: array<f32, 64>;
${wgsl.functions ?? ""}
fn run(group: u32, lane: u32) {
  let labelled = max(count[0], 1.0);
  var sum = 0.0;
  for (var n = lane; n < params.samples; n += 64u) {
    let row = n * params.stride;
    let label = labels[n];
    let isMissing = label < ${labels === "f32" ? "0.0" : "0"};
    ${wgsl.begin}
    if (params.gradient == 0u) {
      sum += select(${wgsl.loss}, 0.0, isMissing);
    } else {
      for (var k = 0u; k < params.stride; k++) {
        let d = ${wgsl.gradient("k")};
        result[row + k] = select(d * dLoss[0] / labelled, 0.0, isMissing || k >= params.classes);
      }
    }
  }
  laneSums[lane] = sum;
  workgroupBarrier();
  if (params.gradient == 0u && lane == 0u) {
    var total = 0.0;
    for (var l = 0u; l < 64u; l++) {
      total += laneSums[l];
    }
    result[0] = total / labelled;
    for (var pad = 1u; pad < 4u; pad++) {
      result[pad] = 0.0;
    }
  }
}`,
  });
}

const binaryKernel = defineLoss("binary_cross_entropy", "f32", {
  functions: /* wgsl */ `
/** ln(1 + e) for 0 ≤ e ≤ 1 without losing the digits of a small e. */
fn logOnePlus(e: f32) -> f32 {
  return select(log(1.0 + e), e * (1.0 - e * (0.5 - e * (1.0 / 3.0))), e < 1e-2);
}`,
  // sigmoid(x) is high, 1 − sigmoid(x) is low: the difference to the target without cancellation where that is 1.
  begin: /* wgsl */ `
    let x = logits[row];
    let e = exp(-abs(x));
    let high = select(e, 1.0, x >= 0.0) / (1.0 + e);
    let low = select(1.0, e, x >= 0.0) / (1.0 + e);`,
  loss: "max(x, 0.0) - x * label + logOnePlus(e)",
  gradient: () => "high * (1.0 - label) - low * label",
});

const softmaxKernel = defineLoss("softmax_cross_entropy", "i32", {
  begin: /* wgsl */ `
    var largest = logits[row];
    for (var k = 1u; k < params.classes; k++) {
      largest = max(largest, logits[row + k]);
    }
    var denominator = 0.0;
    for (var k = 0u; k < params.classes; k++) {
      denominator += exp(logits[row + k] - largest);
    }`,
  loss: "log(denominator) + largest - logits[row + min(u32(max(label, 0)), params.classes - 1u)]",
  gradient: (k) => `exp(logits[row + ${k}] - largest) / denominator - select(0.0, 1.0, i32(${k}) == label)`,
});

/** logits [samples, classes]. */
export interface LossShape {
  readonly samples: number;
  readonly classes: number;
  /** Floats from one row of logits to the next. */
  readonly stride: number;
}

type Loss = ReturnType<typeof defineLoss>;

const forward = <T>(kernel: Loss, s: LossShape, t: { logits: T; labels: T; count: T; loss: T }): Dispatch<T> => {
  const { logits, labels, count, loss: result } = t;
  // There is no dLoss yet; nothing reads it.
  return dispatch(kernel, { logits, labels, count, dLoss: count, result }, { ...s, gradient: 0 }, 1);
};

const backward = <T>(
  kernel: Loss,
  s: LossShape,
  t: { logits: T; labels: T; count: T; dLoss: T; dLogits: T },
): Dispatch<T> => {
  const { dLogits: result, ...inputs } = t;
  return dispatch(kernel, { ...inputs, result }, { ...s, gradient: 1 }, 1);
};

/** loss = Σ max(x, 0) − x·t + ln(1 + e^−|x|) over the labelled samples / count. logits [N, 1], labels f32 [N]. */
export function binaryCrossEntropy<T>(s: LossShape, t: { logits: T; labels: T; count: T; loss: T }): Dispatch<T> {
  return forward(binaryKernel, s, t);
}

/** dLogits = (sigmoid(x) − t) · dLoss / count, 0 where the label is missing. */
export function binaryCrossEntropyBackward<T>(
  s: LossShape,
  t: { logits: T; labels: T; count: T; dLoss: T; dLogits: T },
): Dispatch<T> {
  return backward(binaryKernel, s, t);
}

/** loss = Σ ln Σ_k e^x_k − x_label over the labelled samples / count. logits [N, K], labels i32 [N]. */
export function softmaxCrossEntropy<T>(s: LossShape, t: { logits: T; labels: T; count: T; loss: T }): Dispatch<T> {
  return forward(softmaxKernel, s, t);
}

/** dLogits = (softmax(x) − onehot(label)) · dLoss / count, 0 where the label is missing. */
export function softmaxCrossEntropyBackward<T>(
  s: LossShape,
  t: { logits: T; labels: T; count: T; dLoss: T; dLogits: T },
): Dispatch<T> {
  return backward(softmaxKernel, s, t);
}
