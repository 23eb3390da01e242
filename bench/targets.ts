/**
 * What is aimed at (the best that is thought possible on a software driver with two cores), and below what the smoke
 * test of CI fails: half or less of what was reached, so that only a real loss of speed is one. All are ratios.
 */

export interface Target {
  readonly target: number;
  readonly floor: number;
}

/** Convolutions of ResNet50 in a replayed training step: operations against the f32 peak. */
export const convolutionTarget: Target = { target: 0.36, floor: 0.08 };

/** Of the same on SwiftShader, against its own peak. */
export const swiftShaderConvolutionTarget: Target = { target: 0.2, floor: 0.04 };

/** Operations that only move memory: bytes against copyBufferToBuffer. */
export const memoryTarget: Target = { target: 0.6, floor: 0.07 };

/** The same on SwiftShader, which has no target of its own: it computes four lanes at a time. */
export const swiftShaderMemoryTarget: Target = { target: 0.6, floor: 0.02 };

/** A whole training step: the time at the ceilings against the time taken. */
export const stepTarget: Target = { target: 0.35, floor: 0.08 };

/** Milliseconds of JavaScript to encode and submit a step; not in the smoke test, which knows no times. */
export const encodeTarget = 5;

/** Distinct pipelines of AENet's training step. */
export const pipelineTarget = 40;

/** Seconds to compile them, the driver's disk cache off. */
export const compileTarget = 15;

/** An epoch from JPEG against one from packed images. */
export const inputTarget = 1.05;

export const convolutionTargetOf = (kind: string): Target =>
  kind === "swiftshader" ? swiftShaderConvolutionTarget : convolutionTarget;

export const memoryTargetOf = (kind: string): Target =>
  kind === "swiftshader" ? swiftShaderMemoryTarget : memoryTarget;
