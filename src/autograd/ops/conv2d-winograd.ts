/** Winograd's form of the three products of a 3×3 convolution on the tape, with its workspaces. */
import { type Conv2dShape, forwardProduct, weightGradientProduct, weightGradientSplits } from "../../kernels/conv2d.ts";
import { parallelism } from "../../kernels/gemm/tiles.ts";
import * as kernels from "../../kernels/winograd/winograd.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/** Records y. */
export function winogradForward(tape: Tape, shape: Conv2dShape, t: { x: Tensor; weight: Tensor; y: Tensor }): void {
  tape.push(...kernels.winogradForward(tileOf(tape, shape), shape, { ...t, ...workspaces(tape, shape, t.y) }));
}

/** Records dx, for every stream. */
export function winogradInputGradient(
  tape: Tape,
  shape: Conv2dShape,
  t: { dy: Tensor; weight: Tensor; dx: Tensor },
): void {
  const ofDx = kernels.inputGradientShape(shape);
  tape.push(...kernels.winogradInputGradient(tileOf(tape, ofDx), shape, { ...t, ...workspaces(tape, ofDx, t.dx) }));
}

/** Records dWeight. */
export function winogradWeightGradient(
  tape: Tape,
  shape: Conv2dShape,
  t: { x: Tensor; dy: Tensor; dWeight: Tensor },
): void {
  const wanted = parallelism(tape.device);
  const tile = tape.device.tiles.choose(weightGradientProduct(kernels.pointwiseShape(shape), wanted));
  const sum = weightGradientSplits(tile, kernels.pointwiseShape(shape), wanted);
  const work = workspaces(tape, shape, t.dWeight);
  const { name, paddedSize } = work.weightMatrices;
  const partials = sum.splits > 1 ? tape.empty(`${name} partials`, [sum.splits, paddedSize]) : null;
  tape.push(...kernels.winogradWeightGradient(tile, shape, sum, { ...t, ...work, partials }, tape.watch));
}

/** The tile of the products that make y. */
function tileOf(tape: Tape, shape: Conv2dShape) {
  return tape.device.tiles.choose(forwardProduct(kernels.pointwiseShape(shape)));
}

/** Room for what is multiplied and for what comes of it, named after the result. */
function workspaces(tape: Tape, shape: Conv2dShape, { name }: Tensor) {
  const sizes = kernels.winogradSizes(shape);
  return {
    xMatrices: tape.empty(`${name}, transformed x`, sizes.x),
    weightMatrices: tape.empty(`${name}, transformed weight`, sizes.weight),
    yMatrices: tape.empty(`${name}, transformed y`, sizes.y),
  };
}
