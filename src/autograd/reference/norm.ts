import { type Fusion, fuse } from "./fusion.ts";
import { expectShape, map, type NdArray, ndarray } from "./ndarray.ts";
import { add, relu } from "./pointwise.ts";

export interface BatchNormParameters {
  /** All four [G, C]. */
  weight: NdArray;
  bias: NdArray;
  runningMean: NdArray;
  runningVar: NdArray;
}

export interface BatchNormOptions {
  /** Whether to normalise by the batch's own statistics rather than by the running ones. */
  training: boolean;
  /** Added after the normalisation; x's shape. */
  residual?: NdArray | undefined;
  relu?: boolean | undefined;
  /** A fusion layer over the streams, last. */
  fusion?: Fusion | undefined;
  /** Default 1e-5. */
  eps?: number | undefined;
}

/**
 * y = fuse(relu((x − mean) / √(var + eps) · weight + bias + residual)) for x [G, N, H, W, C], by stream and channel;
 * the residual, the ReLU and the fusion only where asked for.
 */
export function batchNorm(x: NdArray, parameters: BatchNormParameters, options: BatchNormOptions): NdArray {
  const { weight, bias, runningMean, runningVar } = parameters;
  const { training, residual, fusion, eps = 1e-5 } = options;
  const { mean, variance } = training ? batchStatistics(x) : { mean: runningMean, variance: runningVar };
  for (const [name, { shape }] of Object.entries(parameters)) expectShape("batchNorm", name, shape, mean.shape);
  const channel = channelOf(x.shape);
  let y = map(x, (value, index) => {
    const k = channel(index);
    return ((value - mean.data[k]) / Math.sqrt(variance.data[k] + eps)) * weight.data[k] + bias.data[k];
  });
  if (residual) y = add(y, residual);
  if (options.relu) y = relu(y);
  return fusion ? fuse(y, fusion) : y;
}

/**
 * Mean and biased variance over batch and space of x [G, N, H, W, C], each [G, C], and how many values each is of.
 * Two passes: the variance is the mean squared distance from the mean.
 */
export function batchStatistics(x: NdArray): { mean: NdArray; variance: NdArray; count: number } {
  const [streams, batch, height, width, channels] = x.shape;
  const count = batch * height * width;
  const channel = channelOf(x.shape);
  const mean = ndarray([streams, channels]);
  x.data.forEach((value, index) => {
    mean.data[channel(index)] += value / count;
  });
  const variance = ndarray([streams, channels]);
  x.data.forEach((value, index) => {
    const k = channel(index);
    variance.data[k] += (value - mean.data[k]) ** 2 / count;
  });
  return { mean, variance, count };
}

/**
 * The running statistics after one training batch x [G, N, H, W, C]:
 * running ← (1 − momentum) · running + momentum · batch, the batch's variance with n/(n − 1).
 */
export function updateRunningStatistics(
  running: Pick<BatchNormParameters, "runningMean" | "runningVar">,
  x: NdArray,
  momentum = 0.1,
): { runningMean: NdArray; runningVar: NdArray } {
  const { mean, variance, count } = batchStatistics(x);
  if (count < 2) throw new RangeError("batchNorm: one value a channel has no variance to train with");
  const unbiased = count / (count - 1);
  return {
    runningMean: map(running.runningMean, (value, k) => (1 - momentum) * value + momentum * mean.data[k]),
    runningVar: map(running.runningVar, (value, k) => (1 - momentum) * value + momentum * unbiased * variance.data[k]),
  };
}

/** From an element's index in [G, N, H, W, C] to its channel's in [G, C]. */
function channelOf([, batch, height, width, channels]: readonly number[]): (index: number) => number {
  const streamSize = batch * height * width * channels;
  return (index) => Math.floor(index / streamSize) * channels + (index % channels);
}
