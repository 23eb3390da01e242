/**
 * The end of a training step, over whole arenas: stochastic gradient descent with momentum, and running statistics.
 *
 *   v ← momentum·v + g + decay·w        w ← w − rate·v                                                      (as PyTorch)
 *
 * `status` [8] on the device: see watch.ts. Once status[0] is not zero nothing here writes state, so that the weights stay
 * as they were before that step even if the host learns of it late.
 *
 * In f16 the gradients are multiples of the true ones by the loss scale, by which the step divides. One that overflows
 * leaves out that one step, and `endUpdate` decides on the scale.
 */
import { firstPlace } from "./elementwise.ts";
import { infinityBits } from "./float-bits.ts";
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";
import { magnitude, statusWords } from "./watch.ts";

/** vec4f of an invocation: enough to pay for finding its place and its segment, a tenth of the time with 8 of them. */
const perLane = 32;

/** Floats that one workgroup of the optimizer covers; windows of an arena are multiples of it. */
export const optimizerBlock: number = 4 * 64 * perLane;

const blockVectors = 64 * perLane;

// A segment (a tensor's slice) is three words: its end in vec4f, the index of its rate, its weight decay.
const rateOfSegment = "rates[segments[3u * segment + 1u]]";
const decayOfSegment = "bitcast<f32>(segments[3u * segment + 2u])";

/** Declares w and its momentum, and what they would become (`next`, `v`), of vec4f `i` with its `rate` and `decay`. */
const moved = (gradient: string) => `
      let w = values[i];
      let momentum = momenta[i];
      let v = params.momentum * momentum + ${gradient} + decay * w;
      let next = w - rate * v;`;

/** Runs `code` for every vec4f `i` of the window's block `local`, which is `block` of the arena. Most lie in one segment. */
const forBlock = (code: string, gradient: string) => `
  var segment = firstSegments[block];
  var rate = ${rateOfSegment};
  var decay = ${decayOfSegment};
  let isMixed = segments[3u * segment] < (block + 1u) * ${blockVectors}u;
  // In a loop: copies take long to compile, and longer to run.
  let first = ${firstPlace(perLane)};
  for (var place = first; place < first + ${8 * perLane}u; place += 8u) {
    let i = local * ${blockVectors}u + place;
    if (i < params.size) {
      if (isMixed) {
        while (block * ${blockVectors}u + place >= segments[3u * segment]) { segment++; }
        rate = ${rateOfSegment};
        decay = ${decayOfSegment};
      }${moved(gradient)}
      ${code}
    }
  }`;

/** A float 2^exponent, from −126 to 127. */
const powerOfTwo = (exponent: string) => `bitcast<f32>(u32(127 + ${exponent}) << 23u)`;

/** What differs where gradients are scaled: when a step is left out, what it begins with, the true gradient. */
const plain = {
  isStopped: `atomicLoad(&status[${statusWords.nonFinite}]) != 0u`,
  begin: "",
  gradient: "gradients[i]",
};
const scaled = {
  isStopped: `atomicLoad(&status[${statusWords.nonFinite}]) + atomicLoad(&status[${statusWords.overflow}]) != 0u`,
  begin: `let unscale = ${powerOfTwo(`-i32(atomicLoad(&status[${statusWords.lossScale}]))`)};`,
  gradient: "gradients[i] * unscale",
};

const sgdCode = ({ isStopped, begin, gradient }: typeof plain, store: string) => /* wgsl */ `
${magnitude}
fn run(group: u32, lane: u32) {
  if (${isStopped}) { return; }
  ${begin}
  let local = group;
  let block = params.firstBlock + local;
  var largest = 0u;
  ${forBlock(
    `if (rate != 0.0) {
        momenta[i] = v;
        values[i] = next;
        ${store}
        largest = max(largest, max(magnitude(v), magnitude(next)));
      } else {
        largest = max(largest, max(magnitude(momentum), magnitude(w)));
      }`,
    gradient,
  )}
  if (largest > atomicLoad(&status[${statusWords.largestState}])) {
    atomicMax(&status[${statusWords.largestState}], largest);
  }
}`;

const sgdParts = {
  inputs: { gradients: "vec4f", segments: "u32", firstSegments: "u32", rates: "f32" },
  params: { size: "u32", firstBlock: "u32", momentum: "f32" },
} as const;

const sgdKernel = defineKernel({
  name: "sgd",
  ...sgdParts,
  outputs: { values: "vec4f", momenta: "vec4f", status: "atomic<u32>" },
  wgsl: sgdCode(plain, ""),
});

const scaledSgdKernel = defineKernel({
  name: "sgd_f16",
  ...sgdParts,
  outputs: { values: "vec4f", momenta: "vec4f", halves: "vec4h", status: "atomic<u32>" },
  wgsl: sgdCode(scaled, "halves[i] = as_halves(next);"),
});

interface SgdWindow {
  readonly size: number;
  readonly firstBlock: number;
  readonly momentum: number;
}

/**
 * One step over a window of the arenas: `size` vec4f from block `firstBlock`. A segment whose rate is 0 is frozen: it
 * keeps its momentum too. segments: three words each; firstSegments: for each block the first segment in it.
 */
export function sgd<T>(
  { size, firstBlock, momentum }: SgdWindow,
  t: { gradients: T; values: T; momenta: T; segments: T; firstSegments: T; rates: T; status: T },
): Dispatch<T> {
  return dispatch(sgdKernel, t, { size, firstBlock, momentum }, divideUp(size, optimizerBlock / 4));
}

/** As `sgd`, with scaled gradients; it leaves the new weights in f16 too. */
export function scaledSgd<T>(
  { size, firstBlock, momentum }: SgdWindow,
  t: { gradients: T; values: T; momenta: T; halves: T; segments: T; firstSegments: T; rates: T; status: T },
): Dispatch<T> {
  return dispatch(scaledSgdKernel, t, { size, firstBlock, momentum }, divideUp(size, optimizerBlock / 4));
}

/** Most workgroups of the check: it is nearly always over at once, so that what it costs is starting them. */
const checkGroups = 1024;

const check = (name: string, { isStopped, begin, gradient }: typeof plain) =>
  defineKernel({
    name,
    inputs: {
      gradients: "vec4f",
      values: "vec4f",
      momenta: "vec4f",
      segments: "u32",
      firstSegments: "u32",
      rates: "f32",
    },
    outputs: { status: "atomic<u32>" },
    params: { size: "u32", firstBlock: "u32", momentum: "f32", threads: "u32" },
    wgsl: /* wgsl */ `
${magnitude}
fn run(group: u32, lane: u32) {
  let largest = max(atomicLoad(&status[${statusWords.largestGradient}]), atomicLoad(&status[${statusWords.largestState}]));
  if (largest < bitcast<u32>(rates[3]) || ${isStopped}) { return; }
  ${begin}
  for (var i = group * 64u + lane; i < params.size; i += params.threads) {
    var segment = firstSegments[params.firstBlock + i / ${blockVectors}u];
    while (params.firstBlock * ${blockVectors}u + i >= segments[3u * segment]) { segment++; }
    let rate = ${rateOfSegment};
    let decay = ${decayOfSegment};${moved(gradient)}
    let after = select(max(magnitude(v), magnitude(next)), magnitude(momentum), rate == 0.0);
    if (max(magnitude(w), after) >= ${infinityBits}) {
      atomicAdd(&status[${statusWords.nonFinite}], 1u);
    }
  }
}`,
  });

const checkKernel = check("check_sgd", plain);
const scaledCheckKernel = check("check_sgd_f16", scaled);

/**
 * Adds to status[0] if the step that `sgd` would take makes, or has, a weight or a momentum that is not finite. Reads the
 * arenas only where rates[3] or more is the largest of them: below that no step can overflow (see largestSafeMagnitude).
 * A scale is at least 1, so gradients that are `scaled` are at least the true ones.
 */
export function checkSgd<T>(
  { size, firstBlock, momentum }: SgdWindow,
  t: { gradients: T; values: T; momenta: T; segments: T; firstSegments: T; rates: T; status: T },
  { scaled = false }: { scaled?: boolean } = {},
): Dispatch<T> {
  const workgroups = Math.min(divideUp(size, 64), checkGroups);
  const params = { size, firstBlock, momentum, threads: 64 * workgroups };
  return dispatch(scaled ? scaledCheckKernel : checkKernel, t, params, workgroups, { bytes: 0 });
}

/**
 * While gradients, weights and momenta are below it, |v| ≤ (momentum + 1 + decay)·M and |w| ≤ M + rate·|v| after a step
 * stay well below float32's 3.4e38.
 */
export function largestSafeMagnitude(momentum: number, decay: number, rate: number): number {
  return 1e38 / (1 + (1 + rate) * (momentum + 1 + decay));
}

const beginUpdateKernel = defineKernel({
  name: "begin_update",
  inputs: {},
  outputs: { status: "u32" },
  params: {},
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  if (lane == 0u) {
    status[${statusWords.largestGradient}] = 0u;
    if (status[${statusWords.nonFinite}] + status[${statusWords.overflow}] == 0u) {
      status[${statusWords.largestState}] = 0u;
    }
  }
}`,
});

/** Between the check and the step: the largest values are found anew. */
export function beginUpdate<T>(t: { status: T }): Dispatch<T> {
  return dispatch(beginUpdateKernel, t, {}, 1);
}

const endUpdateKernel = defineKernel({
  name: "end_update",
  inputs: {},
  outputs: { status: "u32", lossScale: "vec4f" },
  params: { growthInterval: "u32", largestScale: "u32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  if (lane != 0u || status[${statusWords.nonFinite}] != 0u) { return; }
  var scale = status[${statusWords.lossScale}];
  if (status[${statusWords.overflow}] != 0u) {
    if (scale == 0u) {
      // Unscaled gradients overflow: no scale helps.
      status[${statusWords.nonFinite}] = status[${statusWords.overflow}];
      return;
    }
    scale--;
    status[${statusWords.overflow}] = 0u;
    status[${statusWords.cleanSteps}] = 0u;
    status[${statusWords.skippedSteps}] += 1u;
  } else {
    status[${statusWords.cleanSteps}] += 1u;
    if (status[${statusWords.cleanSteps}] == params.growthInterval) {
      status[${statusWords.cleanSteps}] = 0u;
      scale = min(scale + 1u, params.largestScale);
    }
  }
  status[${statusWords.lossScale}] = scale;
  lossScale[0] = vec4f(${powerOfTwo("i32(scale)")}, 0, 0, 0);
}`,
});

/**
 * The end of a step in f16: halves the loss scale if gradients overflowed, doubles it after `growthInterval` sound steps;
 * log₂ of it is `largestScale` at most. At a scale of 1 an overflow stops training: status[0] is not zero any more.
 * lossScale f32 [1].
 */
export function endUpdate<T>(
  options: { growthInterval: number; largestScale: number },
  t: { status: T; lossScale: T },
): Dispatch<T> {
  return dispatch(endUpdateKernel, t, options, 1);
}

const runningKernel = defineKernel({
  name: "running_statistics",
  inputs: { source: "vec4f", status: "u32" },
  outputs: { state: "vec4f" },
  params: { size: "u32", share: "f32", commits: "u32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.size) {
    if (params.commits == 0u) {
      state[i] += params.share * (source[i] - state[i]);
    } else if (status[${statusWords.nonFinite}] + status[${statusWords.overflow}] == 0u) {
      state[i] = source[i];
    }
  }
}`,
});

/** next ← (1 − momentum)·next + momentum·batch over `size` vec4f: no state yet, so whatever was found so far. */
export function updateRunning<T>(
  size: number,
  momentum: number,
  { batch, next, status }: { batch: T; next: T; status: T },
): Dispatch<T> {
  const params = { size, share: momentum, commits: 0 };
  return dispatch(runningKernel, { source: batch, state: next, status }, params, divideUp(size, 64));
}

/** running = next, unless something was not finite. */
export function commitRunning<T>(
  size: number,
  { next, running, status }: { next: T; running: T; status: T },
): Dispatch<T> {
  const params = { size, share: 1, commits: 1 };
  return dispatch(runningKernel, { source: next, state: running, status }, params, divideUp(size, 64));
}
