/**
 * The two losses over a batch, each a mean over the samples that carry the label: `count` holds their number in the
 * whole batch, of which this may be a part. A missing label is −1. One workgroup computes a loss: lane l takes the
 * samples l, l + 64, …, and lane 0 adds the lanes' sums in their order.
 */
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

/** ln(1 + e) for 0 ≤ e ≤ 1 without losing the digits of a small e. */
const logOnePlus = /* wgsl */ `
fn logOnePlus(e: f32) -> f32 {
  return select(log(1.0 + e), e * (1.0 - e * (0.5 - e * (1.0 / 3.0))), e < 1e-2);
}`;

/** Sums each lane's `sum` in lane order and stores the mean. */
const storeMean = /* wgsl */ `
  laneSums[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    var total = 0.0;
    for (var l = 0u; l < 64u; l++) {
      total += laneSums[l];
    }
    loss[0] = vec4f(total / max(count[0], 1.0), 0, 0, 0);
  }`;

const bceKernel = defineKernel({
  name: "binary_cross_entropy",
  inputs: { logits: "vec4f", labels: "f32", count: "f32" },
  outputs: { loss: "vec4f" },
  params: { samples: "u32" },
  wgsl: /* wgsl */ `
var<workgroup> laneSums: array<f32, 64>;
${logOnePlus}
fn run(group: u32, lane: u32) {
  var sum = 0.0;
  for (var n = lane; n < params.samples; n += 64u) {
    let x = logits[n].x;
    let t = labels[n];
    sum += select(max(x, 0.0) - x * t + logOnePlus(exp(-abs(x))), 0.0, t < 0.0);
  }
  ${storeMean}
}`,
});

const bceBackwardKernel = defineKernel({
  name: "binary_cross_entropy_backward",
  inputs: { logits: "vec4f", labels: "f32", count: "f32", dLoss: "f32" },
  outputs: { dLogits: "vec4f" },
  params: { samples: "u32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let n = group * 64u + lane;
  if (n < params.samples) {
    let x = logits[n].x;
    let e = exp(-abs(x));
    // sigmoid(x) − 1 without cancellation where the target is 1.
    let high = select(e, 1.0, x >= 0.0) / (1.0 + e);
    let low = select(1.0, e, x >= 0.0) / (1.0 + e);
    let t = labels[n];
    let d = high * (1.0 - t) - low * t;
    dLogits[n] = vec4f(select(d * dLoss[0] / max(count[0], 1.0), 0.0, t < 0.0), 0, 0, 0);
  }
}`,
});

/** loss = Σ max(x, 0) − x·t + ln(1 + e^−|x|) over the labelled samples / count. logits [N, 1], labels f32 [N]. */
export function binaryCrossEntropy<T>(samples: number, t: { logits: T; labels: T; count: T; loss: T }): Dispatch<T> {
  return dispatch(bceKernel, t, { samples }, 1);
}

/** dLogits = (sigmoid(x) − t) · dLoss / count, 0 where the label is missing. */
export function binaryCrossEntropyBackward<T>(
  samples: number,
  t: { logits: T; labels: T; count: T; dLoss: T; dLogits: T },
): Dispatch<T> {
  return dispatch(bceBackwardKernel, t, { samples }, divideUp(samples, 64));
}

const softmaxParams = { samples: "u32", classes: "u32", stride: "u32" } as const;

/** Declares the row's first element, its maximum and Σ e^(x − maximum). */
const softmaxRow = /* wgsl */ `
    let row = n * params.stride;
    var largest = logits[row];
    for (var k = 1u; k < params.classes; k++) {
      largest = max(largest, logits[row + k]);
    }
    var denominator = 0.0;
    for (var k = 0u; k < params.classes; k++) {
      denominator += exp(logits[row + k] - largest);
    }`;

const softmaxKernel = defineKernel({
  name: "softmax_cross_entropy",
  inputs: { logits: "f32", labels: "i32", count: "f32" },
  outputs: { loss: "vec4f" },
  params: softmaxParams,
  wgsl: /* wgsl */ `
var<workgroup> laneSums: array<f32, 64>;
fn run(group: u32, lane: u32) {
  var sum = 0.0;
  for (var n = lane; n < params.samples; n += 64u) {${softmaxRow}
    let label = labels[n];
    sum += select(log(denominator) + largest - logits[row + u32(max(label, 0))], 0.0, label < 0);
  }
  ${storeMean}
}`,
});

const softmaxBackwardKernel = defineKernel({
  name: "softmax_cross_entropy_backward",
  inputs: { logits: "f32", labels: "i32", count: "f32", dLoss: "f32" },
  outputs: { dLogits: "f32" },
  params: softmaxParams,
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let n = group * 64u + lane;
  if (n < params.samples) {${softmaxRow}
    let label = labels[n];
    let factor = select(dLoss[0] / max(count[0], 1.0), 0.0, label < 0);
    for (var k = 0u; k < params.stride; k++) {
      let p = exp(logits[row + k] - largest) / denominator;
      dLogits[row + k] = select(factor * (p - select(0.0, 1.0, i32(k) == label)), 0.0, k >= params.classes);
    }
  }
}`,
});

export interface SoftmaxShape {
  readonly samples: number;
  readonly classes: number;
  /** Floats from one row of logits to the next. */
  readonly stride: number;
}

/** loss = Σ ln Σ_k e^x_k − x_label over the labelled samples / count. logits [N, K], labels i32 [N]. */
export function softmaxCrossEntropy<T>(s: SoftmaxShape, t: { logits: T; labels: T; count: T; loss: T }): Dispatch<T> {
  return dispatch(softmaxKernel, t, { ...s }, 1);
}

/** dLogits = (softmax(x) − onehot(label)) · dLoss / count, 0 where the label is missing. */
export function softmaxCrossEntropyBackward<T>(
  s: SoftmaxShape,
  t: { logits: T; labels: T; count: T; dLoss: T; dLogits: T },
): Dispatch<T> {
  return dispatch(softmaxBackwardKernel, t, { ...s }, divideUp(s.samples, 64));
}
