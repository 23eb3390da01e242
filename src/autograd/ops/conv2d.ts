import {
  type Conv2dShape,
  conv2dForward,
  conv2dInputGradient,
  conv2dWeightGradient,
  forwardProduct,
  inputGradientProduct,
  weightGradientProduct,
  weightGradientSplits,
} from "../../kernels/conv2d.ts";
import { parallelism } from "../../kernels/gemm/tiles.ts";
import { sumAxis } from "../../kernels/sum.ts";
import type { Algorithm, ConvolutionProduct } from "../../kernels/winograd/choice.ts";
import { isWinograd } from "../../kernels/winograd/winograd.ts";
import { tapeOf } from "../tape.ts";
import { Parameter, padTo4, precisionOf, type Tensor } from "../tensor.ts";
import { checkInteger } from "./check.ts";
import { winogradForward, winogradInputGradient, winogradWeightGradient } from "./conv2d-winograd.ts";

/**
 * y = x ⋆ weight (cross-correlation, as everywhere in deep learning).
 *
 * x [G or 1, N, H, W, Cin], weight [G, kh, kw, Cin, Cout] → y [G, N, Hout, Wout, Cout] with
 * Hout = ⌊(H + 2·padding − kh) / stride⌋ + 1. With one x for G > 1 streams, dx is the sum over the streams.
 * `algorithm` "auto" takes for each of the three products the one that is expected to be faster on the adapter.
 * @throws RangeError if channels or streams do not match, the kernel is larger than the padded image, or "winograd" is
 * asked for with other than f32, a 3×3 kernel, stride 1 and a padding of at most 2.
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  { stride = 1, padding = 0, algorithm = "auto" }: { stride?: number; padding?: number; algorithm?: Algorithm } = {},
): Tensor {
  const shape = conv2dShape(x, weight, stride, padding);
  if (algorithm === "winograd" && !(x.dtype === "f32" && isWinograd(shape))) {
    throw new RangeError(
      `conv2d: x [${x.shape}] ${x.dtype}, weight [${weight.shape}], stride ${stride} and padding ${padding}: ` +
        "winograd needs f32, a 3×3 kernel, stride 1 and a padding of at most 2",
    );
  }
  const operand = x.dtype === "f16" && weight instanceof Parameter ? weight.half : weight;
  return tapeOf(x, weight).record(
    "conv2d",
    [x, weight],
    [shape.streams, shape.batch, shape.outHeight, shape.outWidth, weight.shape[4]!],
    (y) => forward(x, operand, y, shape, algorithm),
    (dy) => [
      x.needsGrad ? inputGradient(x, operand, dy, shape, algorithm) : null,
      weightGradient(x, weight, dy, shape, algorithm),
    ],
  );
}

/** Records y; the tensors' memory is what `shape` says, whatever their logical shapes. */
export function forward(x: Tensor, weight: Tensor, y: Tensor, shape: Conv2dShape, algorithm: Algorithm = "auto"): void {
  const tape = tapeOf(y);
  if (isByWinograd(x, "forward", shape, algorithm)) winogradForward(tape, shape, { x, weight, y });
  else {
    const tile = tape.device.tiles.choose(forwardProduct(shape), precisionOf(x));
    tape.push(conv2dForward(tile, shape, { x, weight, y }));
  }
}

/** Records dx. */
export function inputGradient(
  x: Tensor,
  weight: Tensor,
  dy: Tensor,
  shape: Conv2dShape,
  algorithm: Algorithm = "auto",
): Tensor {
  const tape = tapeOf(dy);
  const dx = tape.emptyLike(`d(${x.name})`, x);
  const byStream = shape.sharedInput
    ? tape.empty(`d(${x.name}) by stream`, [shape.streams, ...x.shape.slice(1)], { dtype: x.dtype })
    : dx;
  if (isByWinograd(dy, "input gradient", shape, algorithm)) {
    winogradInputGradient(tape, shape, { dy, weight, dx: byStream });
  } else {
    const tile = tape.device.tiles.choose(inputGradientProduct(shape), precisionOf(dy));
    tape.push(conv2dInputGradient(tile, shape, { dy, weight, dx: byStream }));
  }
  if (byStream !== dx)
    tape.push(sumAxis({ count: shape.streams, inner: x.paddedSize / 4 }, { x: byStream, total: dx }));
  return dx;
}

/** Records dWeight, or nothing where the weight needs none. */
export function weightGradient(
  x: Tensor,
  weight: Tensor,
  dy: Tensor,
  shape: Conv2dShape,
  algorithm: Algorithm = "auto",
): Tensor | null {
  if (!weight.needsGrad) return null;
  const tape = tapeOf(dy);
  const dWeight = tape.emptyGradient(weight);
  if (isByWinograd(dy, "weight gradient", shape, algorithm)) {
    winogradWeightGradient(tape, shape, { x, dy, dWeight });
    return dWeight;
  }
  const wanted = parallelism(tape.device);
  const tile = tape.device.tiles.choose(weightGradientProduct(shape, wanted), precisionOf(dy));
  const sum = weightGradientSplits(tile, shape, wanted);
  if (sum.splits === 1) {
    tape.push(conv2dWeightGradient(tile, shape, sum, { x, dy, dWeight }, tape.watch));
    if (tape.watch) tape.watched.add(dWeight);
  } else {
    const partials = tape.empty(`${dWeight.name} partials`, [sum.splits, dWeight.paddedSize]);
    tape.push(
      conv2dWeightGradient(tile, shape, sum, { x, dy, dWeight: partials }, tape.watch),
      sumAxis({ count: sum.splits, inner: dWeight.paddedSize / 4 }, { x: partials, total: dWeight }),
    );
  }
  return dWeight;
}

function isByWinograd(operand: Tensor, product: ConvolutionProduct, shape: Conv2dShape, algorithm: Algorithm): boolean {
  // Operands in f16 are multiplied directly: transformed, they would need more digits.
  if (operand.dtype !== "f32") return false;
  const { algorithms } = tapeOf(operand).device;
  return (algorithm === "auto" ? algorithms.choose(product, shape) : algorithm) === "winograd";
}

function conv2dShape(x: Tensor, weight: Tensor, stride: number, padding: number): Conv2dShape {
  const [xStreams, batch, height, width, inChannels] = x.shape;
  const [streams, kernelHeight, kernelWidth, expected, outChannels] = weight.shape;
  const fail = (rule: string) => new RangeError(`conv2d: x [${x.shape}] and weight [${weight.shape}]: ${rule}`);
  checkInteger("conv2d: stride", stride, 1);
  checkInteger("conv2d: padding", padding, 0);
  if (x.shape.length !== 5 || weight.shape.length !== 5) {
    throw fail("x needs [G, N, H, W, C] and weight [G, kh, kw, Cin, Cout]");
  }
  if (weight.layout !== "weight") throw fail('the weight needs the layout "weight"');
  if (inChannels !== expected) throw fail(`x has ${inChannels} channels but the weight expects ${expected}`);
  if (xStreams !== streams && xStreams !== 1) throw fail(`x has ${xStreams} streams but the weight has ${streams}`);
  const outHeight = Math.floor((height! + 2 * padding - kernelHeight!) / stride) + 1;
  const outWidth = Math.floor((width! + 2 * padding - kernelWidth!) / stride) + 1;
  if (outHeight < 1 || outWidth < 1) throw fail(`the kernel is larger than the image padded by ${padding}`);
  return {
    streams: streams!,
    sharedInput: xStreams === 1 && streams! > 1,
    batch: batch!,
    height: height!,
    width: width!,
    channels: { in: inChannels!, out: outChannels! },
    inChannels: padTo4(inChannels!),
    outHeight,
    outWidth,
    outChannels: padTo4(outChannels!),
    kernelHeight: kernelHeight!,
    kernelWidth: kernelWidth!,
    stride,
    padding,
  };
}
