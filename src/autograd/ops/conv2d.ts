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
import type { Dispatch } from "../../kernels/kernel.ts";
import { sumAxis } from "../../kernels/sum.ts";
import { type Tape, tapeOf } from "../tape.ts";
import { Parameter, padTo4, precisionOf, type Tensor } from "../tensor.ts";

/**
 * y = x ⋆ weight (cross-correlation, as everywhere in deep learning).
 *
 * x [G or 1, N, H, W, Cin], weight [G, kh, kw, Cin, Cout] → y [G, N, Hout, Wout, Cout] with
 * Hout = ⌊(H + 2·padding − kh) / stride⌋ + 1. With one x for G > 1 streams, dx is the sum over the streams.
 * @throws RangeError if channels or streams do not match, or the kernel is larger than the padded image.
 */
export function conv2d(x: Tensor, weight: Tensor, options: { stride?: number; padding?: number } = {}): Tensor {
  const shape = conv2dShape(x, weight, options.stride ?? 1, options.padding ?? 0);
  const tape = tapeOf(x, weight);
  const operand = x.dtype === "f16" && weight instanceof Parameter ? weight.half : weight;
  return tape.record(
    "conv2d",
    [x, weight],
    [shape.streams, shape.batch, shape.outHeight, shape.outWidth, weight.shape[4]!],
    (y) => tape.push(product(tape, shape, { x, weight: operand, y })),
    (dy) => [x.needsGrad ? inputGradient(x, operand, dy, shape) : null, weightGradient(x, weight, dy, shape)],
  );
}

/** The forward dispatch with the adapter's tile. */
export function product(tape: Tape, shape: Conv2dShape, t: { x: Tensor; weight: Tensor; y: Tensor }): Dispatch<Tensor> {
  return conv2dForward(tape.device.tiles.choose(forwardProduct(shape), precisionOf(t.x)), shape, t);
}

/** Records dx; the tensors' memory is what `shape` says, whatever their logical shapes. */
export function inputGradient(x: Tensor, weight: Tensor, dy: Tensor, shape: Conv2dShape): Tensor {
  const tape = tapeOf(dy);
  const tile = tape.device.tiles.choose(inputGradientProduct(shape), precisionOf(dy));
  const dx = tape.emptyLike(`d(${x.name})`, x);
  if (shape.sharedInput) {
    const shapeByStream = [shape.streams, ...x.shape.slice(1)];
    const byStream = tape.empty(`d(${x.name}) by stream`, shapeByStream, { dtype: x.dtype });
    tape.push(
      conv2dInputGradient(tile, shape, { dy, weight, dx: byStream }),
      sumAxis({ count: shape.streams, inner: x.paddedSize / 4 }, { x: byStream, total: dx }),
    );
  } else {
    tape.push(conv2dInputGradient(tile, shape, { dy, weight, dx }));
  }
  return dx;
}

/** Records dWeight, or nothing where the weight needs none. */
export function weightGradient(x: Tensor, weight: Tensor, dy: Tensor, shape: Conv2dShape): Tensor | null {
  if (!weight.needsGrad) return null;
  const tape = tapeOf(dy);
  const wanted = parallelism(tape.device);
  const tile = tape.device.tiles.choose(weightGradientProduct(shape, wanted), precisionOf(dy));
  const sum = weightGradientSplits(tile, shape, wanted);
  const dWeight = tape.emptyGradient(weight);
  if (sum.splits === 1) {
    tape.push(conv2dWeightGradient(tile, shape, sum, { x, dy, dWeight }));
  } else {
    const partials = tape.empty(`${dWeight.name} partials`, [sum.splits, dWeight.paddedSize]);
    tape.push(
      conv2dWeightGradient(tile, shape, sum, { x, dy, dWeight: partials }),
      sumAxis({ count: sum.splits, inner: dWeight.paddedSize / 4 }, { x: partials, total: dWeight }),
    );
  }
  return dWeight;
}

function conv2dShape(x: Tensor, weight: Tensor, stride: number, padding: number): Conv2dShape {
  const [xStreams, batch, height, width, inChannels] = x.shape;
  const [streams, kernelHeight, kernelWidth, expected, outChannels] = weight.shape;
  const fail = (rule: string) => new RangeError(`conv2d: x [${x.shape}] and weight [${weight.shape}]: ${rule}`);
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
