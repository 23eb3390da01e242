/**
 * The end of a training step, over whole arenas: stochastic gradient descent with momentum, running statistics, and
 * the watch for values that are not finite.
 *
 *   v ← momentum·v + g + decay·w        w ← w − rate·v                                                      (as PyTorch)
 *
 * `status[0]` counts up when a loss or a gradient is not finite. From then on nothing here writes state, so that the
 * weights stay as they were before that step even if the host learns of it late.
 */
import { type Dispatch, defineKernel, dispatch, divideUp, unroll } from "./kernel.ts";

/** Floats that one workgroup of the optimizer covers; windows of an arena are multiples of it. */
export const optimizerBlock = 1024;

const sgdKernel = defineKernel({
  name: "sgd",
  inputs: { gradients: "vec4f", segments: "u32", firstSegments: "u32", rates: "f32", status: "u32" },
  outputs: { values: "vec4f", momenta: "vec4f" },
  params: { size: "u32", firstBlock: "u32", momentum: "f32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  if (status[0] != 0u) { return; }
  let block = params.firstBlock + group;
  var segment = firstSegments[block];
  ${unroll(
    4,
    (q) => `{
    let i = group * 256u + ${64 * q}u + lane;
    if (i < params.size) {
      // A segment (a tensor's slice) is three words: its end in vec4f, the index of its rate, its weight decay.
      while (block * 256u + ${64 * q}u + lane >= segments[3u * segment]) { segment++; }
      let rate = rates[segments[3u * segment + 1u]];
      if (rate != 0.0) {
        let decay = bitcast<f32>(segments[3u * segment + 2u]);
        let w = values[i];
        let v = params.momentum * momenta[i] + gradients[i] + decay * w;
        momenta[i] = v;
        values[i] = w - rate * v;
      }
    }
  }`,
  )}
}`,
});

/**
 * One step over a window of the arenas: `size` vec4f from block `firstBlock`. A segment whose rate is 0 is frozen: it
 * keeps its momentum too. segments: three words each; firstSegments: for each block the first segment in it.
 */
export function sgd<T>(
  { size, firstBlock, momentum }: { size: number; firstBlock: number; momentum: number },
  t: { gradients: T; values: T; momenta: T; segments: T; firstSegments: T; rates: T; status: T },
): Dispatch<T> {
  return dispatch(sgdKernel, t, { size, firstBlock, momentum }, divideUp(size, optimizerBlock / 4));
}

const watchKernel = defineKernel({
  name: "watch_finite",
  inputs: { x: "vec4f" },
  outputs: { status: "atomic<u32>" },
  params: { size: "u32" },
  // WGSL may assume that NaN and infinity do not occur: their exponent bits cannot be assumed away.
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  var largest = 0u;
  ${unroll(
    8,
    (q) => `{
    let i = group * 512u + ${64 * q}u + lane;
    if (i < params.size) {
      let bits = bitcast<vec4u>(x[i]) & vec4u(0x7f800000u);
      largest = max(largest, max(max(bits.x, bits.y), max(bits.z, bits.w)));
    }
  }`,
  )}
  if (largest == 0x7f800000u) {
    atomicAdd(&status[0], 1u);
  }
}`,
});

/** Adds to status[0] if any of the `size` vec4f of x is NaN or infinite. */
export function watchFinite<T>(size: number, t: { x: T; status: T }): Dispatch<T> {
  return dispatch(watchKernel, t, { size }, divideUp(size, 512));
}

const runningKernel = defineKernel({
  name: "update_running_statistics",
  inputs: { batch: "vec4f" },
  outputs: { next: "vec4f" },
  params: { size: "u32", momentum: "f32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.size) {
    next[i] += params.momentum * (batch[i] - next[i]);
  }
}`,
});

/** next ← (1 − momentum)·next + momentum·batch over `size` vec4f. */
export function updateRunning<T>(size: number, momentum: number, t: { batch: T; next: T }): Dispatch<T> {
  return dispatch(runningKernel, t, { size, momentum }, divideUp(size, 64));
}

const commitKernel = defineKernel({
  name: "commit_running_statistics",
  inputs: { next: "vec4f", status: "u32" },
  outputs: { running: "vec4f" },
  params: { size: "u32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.size && status[0] == 0u) {
    running[i] = next[i];
  }
}`,
});

/** running = next, unless something was not finite. */
export function commitRunning<T>(size: number, t: { next: T; status: T; running: T }): Dispatch<T> {
  return dispatch(commitKernel, t, { size }, divideUp(size, 64));
}
