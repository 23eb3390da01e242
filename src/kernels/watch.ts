/**
 * The watch for values that are not finite. What it finds it counts in `status` on the device, which the optimizer looks at
 * before it writes anything (sgd.ts).
 */
import { firstPlace } from "./elementwise.ts";
import { infinityBits, magnitudeBits } from "./float-bits.ts";
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

/** What the words of `status` hold. */
export const statusWords = {
  /** How many losses, blocks of gradients and the like were not finite since training began. */
  nonFinite: 0,
  /** The largest |gradient| of the step at hand, as bits: a positive float's bits order as it does. */
  largestGradient: 1,
  /** The largest |weight| or |momentum|, as bits; `unknownMagnitude` where the host has written them. */
  largestState: 2,
  /** How many blocks of the gradients of the step at hand overflowed; only in f16. */
  overflow: 3,
  /** log₂ of the loss scale; only in f16, as are the next two. */
  lossScale: 4,
  /** Sound steps since the scale changed. */
  cleanSteps: 5,
  /** Steps that were left out since training began. */
  skippedSteps: 6,
} as const;

/** A largest value that is not known: the bits of infinity. */
export const unknownMagnitude = 0x7f800000;

/** WGSL for the largest magnitude of four floats, as bits. */
export const magnitude: string = /* wgsl */ `
fn magnitude(x: vec4f) -> u32 {
  let bits = ${magnitudeBits("x")};
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}`;

/** vec4f that an invocation looks at. */
const perLane = 32;
const perGroup = 64 * perLane;

const watchKernel = defineKernel({
  name: "watch_finite",
  inputs: { x: "vec4" },
  outputs: { status: "atomic<u32>" },
  params: { size: "u32", slot: "u32", findsLargest: "u32" },
  wgsl: /* wgsl */ `
${magnitude}
fn run(group: u32, lane: u32) {
  var largest = 0u;
  let first = group * ${perGroup}u + ${firstPlace(perLane)};
  let end = min(first + ${8 * perLane}u, params.size);
  for (var i = first; i < end; i += 8u) {
    largest = max(largest, magnitude(vec4f(x[i])));
  }
  if (largest >= ${infinityBits}) {
    atomicAdd(&status[params.slot], 1u);
  }
  if (params.findsLargest == 1u && largest > atomicLoad(&status[${statusWords.largestGradient}])) {
    atomicMax(&status[${statusWords.largestGradient}], largest);
  }
}`,
});

/** Adds to status[slot] if any of the `size` vec4f of x is NaN or infinite. */
export function watchFinite<T>(
  size: number,
  t: { x: T; status: T },
  slot: number = statusWords.nonFinite,
): Dispatch<T> {
  return dispatch(watchKernel, t, { size, slot, findsLargest: 0 }, divideUp(size, perGroup));
}

/** As watchFinite, into status[3] where gradients are scaled; and the largest magnitude into status[1]. */
export function watchGradients<T>(
  size: number,
  t: { x: T; status: T },
  { scaled = false }: { scaled?: boolean } = {},
): Dispatch<T> {
  return dispatch(watchKernel, t, { size, slot: gradientSlot({ scaled }), findsLargest: 1 }, divideUp(size, perGroup));
}

/** The word that counts gradients which are not finite: in f16, where they are `scaled`, they may. */
export const gradientSlot = ({ scaled }: { scaled: boolean }): number =>
  scaled ? statusWords.overflow : statusWords.nonFinite;

/** Where a kernel that computes gradients reports on them. */
export interface GradientWatch<T> {
  readonly status: T;
  /** See gradientSlot. */
  readonly slot: number;
}

/** What a kernel needs to watch the gradients that it stores, as `watchGradients` would: a pass over memory less. */
export const watchedStores: {
  readonly outputs: { readonly status: "atomic<u32>" };
  readonly params: { readonly slot: "u32" };
  /** Once, before the first of them. */
  readonly begin: string;
  /** For each vec4f. */
  readonly watch: (value: string) => string;
  /** Once, after the last. */
  readonly finish: string;
} = {
  outputs: { status: "atomic<u32>" },
  params: { slot: "u32" },
  begin: "var magnitudes = vec4u();",
  watch: (value) => `magnitudes = max(magnitudes, ${magnitudeBits(value)});`,
  finish: /* wgsl */ `
  let largest = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
  if (largest >= ${infinityBits}) { atomicAdd(&status[params.slot], 1u); }
  if (largest > atomicLoad(&status[${statusWords.largestGradient}])) {
    atomicMax(&status[${statusWords.largestGradient}], largest);
  }`,
};
