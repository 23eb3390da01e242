import {
  globalAveragePoolBackward,
  globalAveragePoolForward,
  maxPoolBackward,
  maxPoolForward,
  maxPoolFusionForward,
  type PoolShape,
} from "../../kernels/pool.ts";
import { tapeOf } from "../tape.ts";
import { padTo4, type Tensor } from "../tensor.ts";
import { checkImages, checkInteger } from "./check.ts";
import { type Fusion, fuseGradients, fusionOptions } from "./fuse.ts";

export interface MaxPoolOptions {
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding?: number;
  /** The fusion layer over the three streams in the same pass. */
  readonly fusion?: Fusion | undefined;
}

/**
 * y = fusion(the maximum of each window);  dx gathers the gradients of the windows whose (first) maximum a pixel was.
 *
 * x [G, N, H, W, C] → [G, N, Hout, Wout, C]; what lies outside the image never wins.
 * @throws RangeError if x has other axes, or a window could lie wholly outside the image.
 */
export function maxPool2d(x: Tensor, { kernelSize, stride, padding = 0, fusion }: MaxPoolOptions): Tensor {
  const tape = tapeOf(x);
  const shape = poolShape(x, kernelSize, stride, padding);
  const outShape = [x.shape[0]!, x.shape[1]!, shape.outHeight, shape.outWidth, x.shape[4]!];
  const places = tape.empty("places of the maxima", [outShape.slice(0, 4).reduce((a, b) => a * b) * shape.channels4], {
    dtype: "i32",
  });
  const scatter = (dy: Tensor) => {
    const dx = tape.emptyLike(`d(${x.name})`, x);
    tape.push(maxPoolBackward(shape, { dy, places, dx }));
    return dx;
  };
  if (!fusion) {
    const forward = (y: Tensor) => tape.push(maxPoolForward(shape, { x, y, places }));
    return tape.record("maxPool2d", [x], outShape, forward, (dy) => [scatter(dy)]);
  }
  const options = fusionOptions(x, fusion);
  const rows = { streams: 3, rows: x.shape[1]! * shape.outHeight * shape.outWidth, channels4: shape.channels4 };
  const f = tape.empty("unfused maxima", outShape, { dtype: x.dtype });
  return tape.record(
    "maxPool2d+fusion",
    [x, fusion.weights],
    outShape,
    (y) => tape.push(maxPoolFusionForward(shape, options, { x, fusion: fusion.weights, y, places, f })),
    (dy) => {
      const [df, dFusion] = fuseGradients(tape, f, dy, rows, fusion, options);
      return [scatter(df), dFusion];
    },
  );
}

function poolShape(x: Tensor, kernelSize: number, stride: number, padding: number): PoolShape {
  const [streams, batch, height, width, channels] = x.shape;
  checkImages("maxPool2d", x);
  checkInteger("maxPool2d: kernelSize", kernelSize, 1);
  checkInteger("maxPool2d: stride", stride, 1);
  checkInteger("maxPool2d: padding", padding, 0);
  const outHeight = Math.floor((height! + 2 * padding - kernelSize) / stride) + 1;
  const outWidth = Math.floor((width! + 2 * padding - kernelSize) / stride) + 1;
  if (2 * padding > kernelSize || kernelSize > 15 || outHeight < 1 || outWidth < 1) {
    throw new RangeError(
      `maxPool2d: kernel ${kernelSize} (at most 15) with padding ${padding} (at most half the kernel) does not fit x [${x.shape}]`,
    );
  }
  return {
    streams: streams!,
    batch: batch!,
    height: height!,
    width: width!,
    outHeight,
    outWidth,
    channels4: padTo4(channels!) / 4,
    kernelSize,
    stride,
    padding,
  };
}

/** y[g, n, c] = the mean of x[g, n, ·, ·, c];  dx = dy / (H·W). x [G, N, H, W, C] → [G, N, C], in f32 always. */
export function globalAveragePool(x: Tensor): Tensor {
  const tape = tapeOf(x);
  checkImages("globalAveragePool", x);
  const [streams, batch, height, width, channels] = x.shape;
  const shape = { images: streams! * batch!, pixels: height! * width!, channels4: padTo4(channels!) / 4 };
  return tape.record(
    "globalAveragePool",
    [x],
    [streams!, batch!, channels!],
    (y) => tape.push(globalAveragePoolForward(shape, { x, y })),
    (dy) => {
      const dx = tape.emptyLike(`d(${x.name})`, x);
      tape.push(globalAveragePoolBackward(shape, { dy, dx }));
      return [dx];
    },
    { dtype: "f32" },
  );
}
