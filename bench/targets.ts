/**
 * What is aimed at (the best that is thought possible on a software driver with two cores), and below what the smoke
 * test of CI fails: half or less of what was reached, so that only a real loss of speed is one. All are ratios.
 */
import type { ConvolutionProduct } from "../src/aenet/bench/convolutions.ts";

export interface Target {
  readonly target: number;
  readonly floor: number;
}

/** For each of a convolution's three products. */
export type ConvolutionTargets = Readonly<Record<ConvolutionProduct, Target>>;

/**
 * Convolutions of ResNet50 in a replayed training step: operations against the f32 peak. The floor is somewhat below half of
 * 30 %, the least that was reached, as other processors may gain less by textures.
 */
const lavapipeConvolution: Target = { target: 0.36, floor: 0.13 };

/** Of the same on SwiftShader, against its own peak. */
const swiftShaderConvolution: Target = { target: 0.2, floor: 0.1 };

/** On a GPU none was measured yet, so none can be said to be slow. */
const gpuConvolution: Target = { target: 0.55, floor: 0 };

/** Operations that only move memory: bytes against copyBufferToBuffer. */
export const memoryTarget: Target = { target: 0.6, floor: 0.07 };

/** The same on SwiftShader, which has no target of its own: it computes four lanes at a time. */
export const swiftShaderMemoryTarget: Target = { target: 0.6, floor: 0.02 };

/**
 * A whole training step: the time at the ceilings against the time taken. The floor is somewhat below half of the least that
 * ResNet50's step reached, 36 %, as other processors may gain less by textures; elsewhere than on lavapipe it is none, as
 * none was measured.
 */
export const stepTarget: Target = { target: 0.35, floor: 0.15 };

/** AENet's step on a GPU: our time over PyTorch's at most, whose f16 is automatic mixed precision. */
export const gpuStepTarget = { f32: 1, f16: 2 };

/** Milliseconds of JavaScript to encode and submit a step; not in the smoke test, which knows no times. */
export const encodeTarget = 5;

/** Distinct pipelines of AENet's training step. */
export const pipelineTarget = 40;

/** Seconds to compile them, the driver's disk cache off. */
export const compileTarget = 15;

/** An epoch from JPEG against one from packed images. */
export const inputTarget = 1.05;

const same = (target: Target): ConvolutionTargets => ({
  "conv2d forward": target,
  "conv2d input gradient": target,
  "conv2d weight gradient": target,
});

export function convolutionTargetsOf(kind: string): ConvolutionTargets {
  if (kind === "lavapipe") return same(lavapipeConvolution);
  return same(kind === "swiftshader" ? swiftShaderConvolution : gpuConvolution);
}

export const stepFloorOf = (kind: string): number => (kind === "lavapipe" ? stepTarget.floor : 0);

export const memoryTargetOf = (kind: string): Target =>
  kind === "swiftshader" ? swiftShaderMemoryTarget : memoryTarget;
