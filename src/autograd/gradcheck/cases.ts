/** The table of op cases: every one is run forward and backward against the float64 reference. */
import {
  add,
  addScaled,
  batchNorm,
  binaryCrossEntropyWithLogits,
  concatStreams,
  conv2d,
  fuse,
  globalAveragePool,
  linear,
  maxPool2d,
  preprocess,
  relu,
  softmaxCrossEntropy,
  stitch,
  type Tensor,
} from "../index.ts";
import * as reference from "../reference/index.ts";
import { map, type NdArray, sizeOf } from "../reference/index.ts";
import {
  constant,
  type Fill,
  gaussian,
  type InputSpec,
  integer,
  list,
  normal,
  type OpCase,
  uniform,
  type Values,
} from "./case.ts";

type Shape = readonly number[];

/** Cases too large for a reference call an element. */
const large = { directions: 8 };

const text = (shape: Shape): string => `[${shape.join(",")}]`;
/** A channel's input weights, scaled so that sums over `fanIn` of them stay of order 1. */
const weights = (shape: Shape, fanIn: number): InputSpec => ({
  shape,
  fill: gaussian(0, fanIn ** -0.5),
  layout: "weight",
});

// conv2d ------------------------------------------------------------------------------------------------------------

interface Conv {
  kernel?: number | [number, number];
  stride?: number;
  padding?: number;
  x: Shape;
  out: number;
  /** Default x's. */
  streams?: number;
  note?: string;
  imageNeedsGrad?: boolean;
  algorithm?: "direct" | "winograd";
}

function convCase(
  { kernel = 1, stride = 1, padding = 0, x, out, streams = x[0], note, imageNeedsGrad = true, algorithm }: Conv,
  extra: Partial<OpCase> = {},
): OpCase {
  const [kh, kw] = typeof kernel === "number" ? [kernel, kernel] : kernel;
  const options = { stride, padding };
  const outputs = streams === x[0] ? `${out}` : `${streams} streams of ${out}`;
  return {
    op: "conv2d",
    name: `conv2d ${kh}x${kw} s${stride} p${padding} ${text(x)}→${outputs}${algorithm ? `, ${algorithm}` : ""}${note ? `, ${note}` : ""}`,
    inputs: {
      x: { shape: x, fill: normal, needsGrad: imageNeedsGrad },
      weight: weights([streams, kh, kw, x[4], out], kh * kw * x[4]),
    },
    record: (t) => conv2d(t.x, t.weight, algorithm ? { ...options, algorithm } : options),
    reference: (a) => reference.conv2d(a.x, a.weight, options),
    ...extra,
  };
}

const convCases: OpCase[] = [
  convCase({ x: [1, 1, 1, 1, 1], out: 1 }),
  convCase({ x: [1, 2, 5, 5, 3], out: 5 }),
  convCase({ x: [3, 2, 4, 3, 7], out: 6 }),
  convCase({ stride: 2, x: [2, 1, 5, 4, 4], out: 8 }),
  convCase({ stride: 2, x: [3, 2, 7, 5, 5], out: 3 }),
  convCase({ stride: 3, x: [1, 2, 8, 9, 3], out: 2 }),
  convCase({ padding: 1, x: [1, 2, 3, 3, 3], out: 5 }),
  convCase({ kernel: 2, stride: 2, x: [1, 2, 5, 5, 3], out: 4 }),
  convCase({ kernel: 2, padding: 1, x: [2, 1, 3, 4, 1], out: 3 }),
  convCase({ kernel: 2, stride: 3, x: [1, 2, 7, 8, 2], out: 3, note: "pixels that no window reads" }),
  convCase({ kernel: [1, 3], padding: 1, x: [1, 2, 4, 5, 3], out: 5 }),
  convCase({ kernel: [3, 1], stride: 2, x: [2, 2, 6, 5, 3], out: 4 }),
  convCase({ kernel: [2, 5], stride: 2, padding: 2, x: [1, 1, 4, 6, 3], out: 3 }),
  convCase({ kernel: 3, padding: 1, x: [1, 1, 1, 1, 1], out: 1 }),
  convCase({ kernel: 3, padding: 1, x: [1, 2, 4, 4, 1], out: 7 }),
  convCase({ kernel: 3, padding: 1, x: [3, 2, 5, 4, 7], out: 6 }),
  convCase({ kernel: 3, x: [1, 2, 5, 6, 5], out: 4 }),
  convCase({ kernel: 3, padding: 3, x: [1, 1, 3, 4, 3], out: 3, note: "windows wholly in the padding" }),
  convCase({ kernel: 3, stride: 2, padding: 1, x: [1, 2, 6, 5, 5], out: 7 }),
  convCase({ kernel: 3, stride: 2, padding: 1, x: [2, 1, 5, 5, 4], out: 4 }),
  convCase({ kernel: 3, stride: 2, padding: 1, x: [1, 3, 1, 1, 6], out: 5 }),
  convCase({ kernel: 3, stride: 2, padding: 1, x: [3, 1, 2, 2, 8], out: 8 }),
  convCase({ kernel: 7, stride: 2, padding: 3, x: [1, 2, 15, 13, 3], out: 5 }),
  convCase({ kernel: 7, stride: 2, padding: 3, x: [1, 3, 1, 1, 3], out: 4 }),
  convCase({ kernel: 7, stride: 2, padding: 3, x: [1, 2, 2, 3, 1], out: 3 }),
  convCase({ kernel: 7, stride: 2, padding: 3, x: [1, 2, 9, 8, 3], out: 4, streams: 3 }),
  convCase({
    kernel: 7,
    stride: 2,
    padding: 3,
    x: [1, 2, 5, 6, 3],
    out: 3,
    streams: 3,
    imageNeedsGrad: false,
    note: "only the weight's gradient",
  }),
  convCase({ x: [1, 2, 3, 5, 5], out: 3, streams: 2 }),
  convCase({ kernel: 3, stride: 2, padding: 1, x: [1, 1, 5, 4, 3], out: 6, streams: 2 }),
  // Across the edges of tiles, in rows (pixels), columns (output channels) and depth (input channels).
  convCase({ x: [1, 1, 1, 1, 512], out: 130 }, large),
  convCase({ x: [1, 4, 9, 9, 40], out: 136 }, large),
  convCase({ x: [3, 2, 7, 7, 64], out: 68 }, large),
  convCase({ stride: 2, x: [3, 2, 9, 9, 65], out: 66 }, large),
  convCase({ kernel: 3, padding: 1, x: [1, 2, 14, 14, 64], out: 64 }, large),
  convCase({ kernel: 3, padding: 1, x: [3, 1, 7, 7, 33], out: 37 }, large),
  convCase({ kernel: 3, stride: 2, padding: 1, x: [3, 2, 9, 9, 36], out: 40 }, large),
  convCase({ kernel: 3, padding: 1, x: [1, 3, 33, 35, 3], out: 5, note: "many rows" }, large),
  convCase({ kernel: 7, stride: 2, padding: 3, x: [1, 1, 40, 40, 3], out: 64, streams: 3 }, large),
  // Images of one tile and of less, tiles that overhang, odd channels, streams with one image.
  winogradCase({ x: [1, 1, 1, 1, 1], out: 1 }),
  winogradCase({ x: [1, 2, 4, 4, 4], out: 4 }),
  winogradCase({ x: [1, 1, 5, 3, 5], out: 7 }),
  winogradCase({ x: [3, 2, 6, 7, 7], out: 6 }),
  winogradCase({ x: [2, 1, 8, 5, 3], out: 9 }),
  winogradCase({ x: [1, 2, 6, 5, 3], out: 5, streams: 3 }),
  winogradCase({ x: [1, 2, 3, 5, 3], out: 2, streams: 2, imageNeedsGrad: false, note: "only the weight's gradient" }),
  winogradCase({ padding: 0, x: [1, 2, 7, 5, 3], out: 4 }),
  winogradCase({ padding: 2, x: [2, 1, 3, 4, 5], out: 3 }),
  winogradCase({ x: [1, 2, 14, 14, 64], out: 64 }, large),
  winogradCase({ x: [3, 1, 7, 7, 33], out: 37 }, large),
  winogradCase({ x: [2, 1, 21, 18, 20], out: 36 }, large),
  winogradCase({ x: [1, 8200, 1, 1, 3], out: 2, note: "a sum over so many tiles that it is split" }, large),
];

function winogradCase(conv: Conv, extra: Partial<OpCase> = {}): OpCase {
  return convCase({ kernel: 3, padding: 1, algorithm: "winograd", ...conv }, extra);
}

/** A convolution with evaluation's batch norm, which it takes over: nothing here asks for a gradient. */
function convNormCase(conv: Conv, { relu = false, residual = false }: Pick<Norm, "relu" | "residual">): OpCase {
  const { op, name, inputs, record, reference: product } = convCase({ ...conv, imageNeedsGrad: false });
  const { streams = conv.x[0], out, stride = 1, padding = 0 } = conv;
  const byChannel = [streams, out];
  const affine = <T>({ normWeight, bias, runningMean, runningVar }: Record<string, T>) => ({
    ...{ weight: normWeight, bias, runningMean, runningVar },
  });
  const [, kh, kw] = inputs.weight.shape;
  const along = (size: number, kernel: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const shape = [streams, conv.x[1], along(conv.x[2], kh), along(conv.x[3], kw), out];
  const fixed = (spec: InputSpec): InputSpec => ({ ...spec, needsGrad: false });
  return {
    op,
    name: `${name}, normalised${residual ? ", residual" : ""}${relu ? ", ReLU" : ""}`,
    training: false,
    inputs: {
      x: inputs.x,
      weight: fixed(inputs.weight),
      normWeight: fixed({ shape: byChannel, fill: normal }),
      bias: fixed({ shape: byChannel, fill: normal }),
      runningMean: fixed({ shape: byChannel, fill: normal }),
      runningVar: fixed({ shape: byChannel, fill: uniform(0.5, 2) }),
      ...(residual && { residual: fixed({ shape, fill: normal }) }),
    },
    record: (t) => batchNorm(record(t), affine(t), { relu, ...(residual && { residual: t.residual }) }),
    reference: (a, at) =>
      reference.batchNorm(product(a, at), affine(a), {
        training: false,
        relu,
        residual: residual ? a.residual : undefined,
      }),
  };
}

const convNormCases: OpCase[] = [
  convNormCase({ x: [1, 1, 1, 1, 1], out: 1 }, {}),
  convNormCase({ x: [3, 2, 4, 3, 7], out: 6 }, { relu: true }),
  convNormCase({ x: [3, 2, 4, 3, 7], out: 6 }, { relu: true, residual: true }),
  convNormCase({ stride: 2, x: [2, 3, 9, 9, 65], out: 66 }, {}),
  convNormCase({ x: [1, 4, 9, 9, 40], out: 136 }, { residual: true }),
  convNormCase({ kernel: 3, padding: 1, x: [1, 2, 5, 4, 7], out: 6 }, { relu: true }),
  convNormCase({ kernel: 3, padding: 1, x: [3, 1, 7, 7, 33], out: 37 }, { relu: true, residual: true }),
  convNormCase({ kernel: 3, padding: 1, x: [1, 2, 14, 14, 64], out: 64 }, { relu: true }),
  convNormCase({ kernel: 3, padding: 1, x: [2, 3, 9, 7, 33], out: 37, algorithm: "winograd" }, { relu: true }),
  convNormCase(
    { kernel: 3, padding: 1, x: [3, 1, 5, 4, 7], out: 6, algorithm: "winograd" },
    { relu: true, residual: true },
  ),
  convNormCase({ kernel: 3, stride: 2, padding: 1, x: [2, 1, 5, 5, 4], out: 4 }, { relu: true }),
  convNormCase({ kernel: 7, stride: 2, padding: 3, x: [1, 1, 40, 40, 3], out: 64, streams: 3 }, { relu: true }),
];

// batchNorm, fuse ---------------------------------------------------------------------------------------------------

type Granularity = "scalar" | "channel";
type Fusion = Granularity | "scalar, detached" | "channel, detached";

/** α_p, α_s, β_p, β_s around their first values, as one input. */
function fusionInput(fusion: Fusion, channels: number): InputSpec {
  const columns = fusion.startsWith("channel") ? channels : 1;
  const around = [0.9, 0.1, 0.9, 0.1];
  return {
    shape: [4, columns],
    fill: (random, index) => gaussian(around[Math.floor(index / columns)], 0.3)(random, index),
  };
}

const isDetached = (fusion: Fusion): boolean => fusion.endsWith("detached");

interface Norm {
  x: Shape;
  training?: boolean;
  relu?: boolean;
  residual?: boolean;
  fusion?: Fusion;
  eps?: number;
  fill?: Fill;
  /** The deviation of the running statistics; default 1. */
  running?: number;
  /** What the running means lie around; default 0. */
  runningMean?: number;
  /** Step of the differences with respect to x. */
  step?: number;
  note?: string;
}

function normCase(
  { x, training = true, relu = false, residual = false, fusion, eps, fill = normal, step, note, ...more }: Norm,
  extra: Partial<OpCase> = {},
): OpCase {
  const { running = 1, runningMean = 0 } = more;
  const byChannel = [x[0], x[4]];
  const parts = [residual && "residual", relu && "ReLU", fusion && `fusion by ${fusion}`, note].filter(Boolean);
  const affine = <T>({ weight, bias, runningMean, runningVar }: Record<string, T>) => ({
    weight,
    bias,
    runningMean,
    runningVar,
  });
  /** The op without its fusion, whose f_s is what a detached fusion holds still. */
  const unfused = (a: Values): NdArray =>
    reference.batchNorm(a.x, affine(a), { training, relu, eps, residual: residual ? a.residual : undefined });
  return {
    op: "batchNorm",
    name: `batchNorm ${training ? "training" : "evaluation"} ${text(x)}${parts.map((part) => `, ${part}`).join("")}`,
    training,
    inputs: {
      x: { shape: x, fill, ...(step && { step }) },
      weight: { shape: byChannel, fill: normal },
      bias: { shape: byChannel, fill: normal },
      runningMean: { shape: byChannel, fill: gaussian(runningMean, running), needsGrad: false },
      runningVar: { shape: byChannel, fill: uniform(0.5 * running ** 2, 2 * running ** 2), needsGrad: false },
      ...(residual && { residual: { shape: x, fill: normal } }),
      ...(fusion && { fusion: fusionInput(fusion, x[4]) }),
    },
    record: (t) =>
      batchNorm(t.x, affine(t), {
        relu,
        ...(residual && { residual: t.residual }),
        ...(fusion && { fusion: { weights: t.fusion, detachShared: isDetached(fusion) } }),
        ...(eps !== undefined && { eps }),
      }),
    reference: (a, at) => {
      const y = unfused(a);
      if (!fusion) return y;
      return reference.fuse(y, { weights: a.fusion, shared: isDetached(fusion) ? unfused(at) : undefined });
    },
    ...extra,
  };
}

const normCases: OpCase[] = [
  normCase({ x: [1, 5, 1, 1, 1] }),
  normCase({ x: [1, 2, 3, 3, 5] }),
  normCase({ x: [2, 1, 4, 5, 3], relu: true }),
  normCase({ x: [3, 2, 3, 2, 7], residual: true }),
  normCase({ x: [1, 3, 4, 3, 6], residual: true, relu: true }),
  normCase({ x: [2, 2, 3, 3, 4], residual: true, relu: true, eps: 0.1, note: "eps 0.1" }),
  normCase({ x: [3, 6, 1, 1, 8], relu: true }),
  normCase({ x: [3, 2, 3, 4, 5], fusion: "scalar" }),
  normCase({ x: [3, 2, 3, 4, 5], relu: true, fusion: "scalar" }),
  normCase({ x: [3, 2, 3, 4, 4], relu: true, fusion: "channel" }),
  normCase({ x: [3, 2, 3, 3, 5], residual: true, relu: true, fusion: "scalar" }),
  normCase({ x: [3, 2, 3, 3, 7], residual: true, relu: true, fusion: "channel" }),
  normCase({ x: [3, 2, 3, 3, 3], residual: true, relu: true, fusion: "scalar, detached" }),
  normCase({ x: [3, 2, 3, 3, 6], residual: true, relu: true, fusion: "channel, detached" }),
  normCase({ x: [3, 5, 1, 1, 1], residual: true, relu: true, fusion: "channel" }),
  // Many rows, many channels: more than one partial sum, more than one group of channels.
  normCase({ x: [1, 3, 17, 19, 3] }, large),
  normCase({ x: [2, 2, 33, 31, 4], relu: true }, large),
  normCase({ x: [1, 2, 6, 5, 40], residual: true }, large),
  normCase({ x: [3, 2, 2, 3, 132], relu: true }, large),
  normCase({ x: [3, 2, 23, 24, 10], residual: true, relu: true, fusion: "scalar" }, large),
  normCase({ x: [3, 2, 23, 24, 10], residual: true, relu: true, fusion: "channel" }, large),
  normCase({ x: [3, 1, 5, 4, 68], relu: true, fusion: "scalar, detached" }, large),
  // Evaluation.
  normCase({ x: [1, 1, 1, 1, 1], training: false }),
  normCase({ x: [1, 1, 1, 1, 3], training: false, relu: true }),
  normCase({ x: [2, 2, 3, 3, 5], training: false }),
  normCase({ x: [3, 1, 3, 4, 6], training: false, residual: true, relu: true }),
  normCase({ x: [3, 2, 3, 4, 4], training: false, relu: true, fusion: "scalar" }),
  normCase({ x: [3, 2, 3, 4, 5], training: false, residual: true, relu: true, fusion: "scalar" }),
  normCase({ x: [3, 2, 2, 4, 7], training: false, residual: true, relu: true, fusion: "channel" }),
  normCase({ x: [3, 2, 2, 3, 3], training: false, residual: true, relu: true, fusion: "channel, detached" }),
  normCase({ x: [1, 2, 17, 19, 70], training: false, relu: true }, large),
  // Numbers that break sums of squares.
  normCase({ x: [1, 2, 3, 3, 5], fill: constant(3.7), note: "constant input" }),
  normCase({ x: [1, 3, 17, 19, 3], fill: constant(-0.1), note: "constant input, many rows" }, large),
  normCase({ x: [1, 3, 4, 4, 3], fill: gaussian(1000, 0.2), note: "mean 1000, variance 0.04" }),
  normCase({ x: [1, 3, 17, 19, 3], fill: gaussian(1000, 0.2), note: "mean 1000, variance 0.04" }, large),
  normCase({ x: [1, 2, 3, 3, 5], fill: gaussian(0, 1e18), step: 1e12, note: "values of 1e18" }),
  normCase({ x: [1, 3, 17, 19, 3], fill: gaussian(0, 1e18), step: 1e12, note: "values of 1e18" }, large),
  normCase({ x: [1, 2, 4, 4, 5], fill: constant(1000), relu: true, note: "constant 1000" }),
  normCase({
    x: [1, 2, 4, 3, 4],
    fill: (random, i) => (i % 4 === 2 ? 3.7 : random.normal()),
    note: "a constant channel",
  }),
  normCase({ x: [1, 2, 3, 3, 3], fill: constant(1e18), eps: 1e36, step: 1e14, note: "constant 1e18, eps 1e36" }),
  normCase({
    x: [3, 2, 3, 4, 3],
    fill: constant(-20),
    residual: true,
    relu: true,
    fusion: "scalar",
    note: "constant input",
  }),
  normCase({
    x: [3, 2, 4, 5, 3],
    fill: gaussian(1000, 0.2),
    residual: true,
    relu: true,
    fusion: "scalar",
    note: "mean 1000, variance 0.04",
  }),
  normCase({
    x: [3, 2, 3, 4, 3],
    fill: gaussian(0, 1e18),
    step: 1e12,
    residual: true,
    relu: true,
    fusion: "channel",
    note: "values of 1e18",
  }),
  normCase({
    x: [2, 2, 3, 3, 5],
    fill: gaussian(1000, 0.2),
    running: 0.2,
    runningMean: 1000,
    training: false,
    relu: true,
    note: "mean 1000, variance 0.04",
  }),
  normCase({ x: [1, 1, 3, 3, 5], fill: constant(3.7), training: false, note: "constant input" }),
  normCase({
    x: [3, 1, 1, 1, 5],
    training: false,
    residual: true,
    relu: true,
    fusion: "scalar",
    note: "one image of 1×1",
  }),
  normCase({
    x: [2, 1, 3, 3, 5],
    fill: gaussian(1e18, 1e18),
    running: 1e18,
    step: 1e12,
    training: false,
    note: "values of 1e18",
  }),
];

function fuseCase(x: Shape, fusion: Fusion, extra: Partial<OpCase> = {}): OpCase {
  return {
    op: "fuse",
    name: `fuse ${text(x)} by ${fusion}`,
    inputs: { x: { shape: x, fill: normal }, fusion: fusionInput(fusion, x[4]) },
    record: (t) => fuse(t.x, { weights: t.fusion, detachShared: isDetached(fusion) }),
    reference: (a, at) => reference.fuse(a.x, { weights: a.fusion, shared: isDetached(fusion) ? at.x : undefined }),
    ...extra,
  };
}

const fuseCases: OpCase[] = [
  fuseCase([3, 1, 1, 1, 1], "scalar"),
  fuseCase([3, 2, 3, 4, 5], "scalar"),
  fuseCase([3, 2, 4, 3, 4], "channel"),
  fuseCase([3, 1, 3, 3, 7], "channel"),
  fuseCase([3, 2, 3, 3, 3], "scalar, detached"),
  fuseCase([3, 2, 3, 2, 6], "channel, detached"),
  fuseCase([3, 2, 19, 21, 5], "scalar", large),
  fuseCase([3, 2, 9, 8, 67], "channel", large),
];

// stitch ------------------------------------------------------------------------------------------------------------

/** W around its first values, its elements all different, so that W and its transpose are told apart. */
const stitchInput: InputSpec = {
  shape: [2, 2],
  fill: (random, index) => gaussian([0.9, 0.1, 0.1, 0.9][index], 0.3)(random, index),
};

const stitchCase = (x: Shape, extra: Partial<OpCase> = {}): OpCase => ({
  op: "stitch",
  name: `stitch ${text(x)}`,
  inputs: { x: { shape: x, fill: normal }, weight: stitchInput },
  record: (t) => stitch(t.x, t.weight),
  reference: (a) => reference.stitch(a.x, a.weight),
  ...extra,
});

const stitchCases: OpCase[] = [
  stitchCase([2, 1, 1, 1, 1]),
  stitchCase([2, 2, 3, 4, 5]),
  stitchCase([2, 3, 2, 3, 8]),
  stitchCase([2, 1, 5, 3, 7]),
  stitchCase([2, 2, 19, 21, 5], large),
  stitchCase([2, 2, 9, 8, 67], large),
];

// Pools -------------------------------------------------------------------------------------------------------------

interface Pool {
  kernelSize: number;
  stride: number;
  padding?: number;
  x: Shape;
  fill?: Fill;
  differentiateAt?: InputSpec["differentiateAt"];
  fusion?: Fusion;
  note?: string;
}

function maxPoolCase(
  { kernelSize, stride, padding = 0, x, fill = normal, differentiateAt, fusion, note }: Pool,
  extra: Partial<OpCase> = {},
): OpCase {
  const options = { kernelSize, stride, padding };
  const parts = [fusion && `fusion by ${fusion}`, note].filter(Boolean);
  return {
    op: "maxPool2d",
    name: `maxPool2d ${kernelSize} s${stride} p${padding} ${text(x)}${parts.map((part) => `, ${part}`).join("")}`,
    inputs: {
      x: { shape: x, fill, ...(differentiateAt && { differentiateAt }) },
      ...(fusion && { fusion: fusionInput(fusion, x[4]) }),
    },
    record: (t) =>
      maxPool2d(t.x, {
        ...options,
        ...(fusion && { fusion: { weights: t.fusion, detachShared: isDetached(fusion) } }),
      }),
    reference: (a, at) => {
      const y = reference.maxPool2d(a.x, options);
      if (!fusion) return y;
      const shared = isDetached(fusion) ? reference.maxPool2d(at.x, options) : undefined;
      return reference.fuse(y, { weights: a.fusion, shared });
    },
    ...extra,
  };
}

/** Where values tie, the first in row-major order wins: as if the later ones were smaller by a little. */
const firstWins = (x: NdArray): NdArray => map(x, (value, index) => value - 1e-5 * index);

const poolCases: OpCase[] = [
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [1, 1, 1, 1, 1] }),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [1, 2, 7, 6, 3] }),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [3, 1, 6, 9, 8] }),
  maxPoolCase({ kernelSize: 3, stride: 1, padding: 1, x: [2, 1, 4, 5, 5] }),
  maxPoolCase({ kernelSize: 2, stride: 2, x: [2, 2, 5, 6, 4] }),
  maxPoolCase({ kernelSize: 2, stride: 3, x: [1, 2, 7, 8, 3], note: "pixels that no window reads" }),
  maxPoolCase({
    kernelSize: 3,
    stride: 2,
    padding: 1,
    x: [1, 2, 5, 5, 5],
    fill: uniform(-3, -1),
    note: "all negative",
  }),
  maxPoolCase({
    kernelSize: 3,
    stride: 2,
    padding: 1,
    x: [1, 2, 7, 7, 3],
    fill: integer(3),
    note: "ties",
    differentiateAt: firstWins,
  }),
  maxPoolCase({
    kernelSize: 3,
    stride: 2,
    padding: 1,
    x: [1, 1, 6, 6, 5],
    fill: constant(0),
    note: "all equal",
    differentiateAt: firstWins,
  }),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [3, 2, 5, 6, 5], fusion: "scalar" }),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [3, 1, 7, 5, 7], fusion: "channel" }),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [3, 2, 5, 5, 3], fusion: "scalar, detached" }),
  maxPoolCase({
    kernelSize: 3,
    stride: 2,
    padding: 1,
    x: [3, 2, 6, 6, 4],
    fill: integer(3),
    fusion: "scalar",
    note: "ties",
    differentiateAt: firstWins,
  }),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [1, 2, 21, 23, 66] }, large),
  maxPoolCase({ kernelSize: 3, stride: 2, padding: 1, x: [3, 2, 20, 21, 10], fusion: "scalar" }, large),
  ...(
    [
      [1, 1, 1, 1, 1],
      [3, 2, 7, 7, 5],
      [2, 3, 2, 5, 4],
      [1, 2, 3, 4, 130],
      [1, 1, 33, 34, 3],
    ] as const
  ).map(
    (x): OpCase => ({
      op: "globalAveragePool",
      name: `globalAveragePool ${text(x)}`,
      inputs: { x: { shape: x, fill: normal } },
      record: (t) => globalAveragePool(t.x),
      reference: (a) => reference.globalAveragePool(a.x),
      ...(sizeOf(x) > 1500 && large),
    }),
  ),
];

// Pointwise ---------------------------------------------------------------------------------------------------------

function reluCase(x: Shape, spec: Partial<InputSpec> & { note?: string } = {}, extra: Partial<OpCase> = {}): OpCase {
  const { note, ...rest } = spec;
  return {
    op: "relu",
    name: `relu ${text(x)}${note ? `, ${note}` : ""}`,
    inputs: { x: { shape: x, fill: normal, ...rest } },
    record: (t) => relu(t.x),
    reference: (a) => reference.relu(a.x),
    ...extra,
  };
}

function addCase(x: Shape, extra: Partial<OpCase> = {}): OpCase {
  return {
    op: "add",
    name: `add ${text(x)}`,
    inputs: { x: { shape: x, fill: normal }, y: { shape: x, fill: normal } },
    record: (t) => add(t.x, t.y),
    reference: (a) => reference.add(a.x, a.y),
    ...extra,
  };
}

const pointwiseCases: OpCase[] = [
  reluCase([1, 1, 1, 1, 1]),
  reluCase([2, 2, 3, 4, 5]),
  reluCase([1, 2, 3, 3, 4], {
    fill: list(-1, 0, 1, 2, 0),
    note: "zeros pass no gradient",
    differentiateAt: (x) => map(x, (value) => value - 1e-3),
  }),
  reluCase([1, 2, 33, 34, 7], {}, large),
  addCase([1, 1, 1, 1, 1]),
  addCase([3, 2, 3, 2, 7]),
  addCase([2, 1, 31, 30, 6], large),
  {
    op: "add",
    name: "add [1,2,3,3,5], relu(x) + x: two gradients of one tensor",
    inputs: { x: { shape: [1, 2, 3, 3, 5], fill: normal } },
    record: (t) => add(relu(t.x), t.x),
    reference: (a) => reference.add(reference.relu(a.x), a.x),
  },
  {
    op: "add",
    name: "add [1,2,3,3,5], x + x",
    inputs: { x: { shape: [1, 2, 3, 3, 5], fill: normal } },
    record: (t) => add(t.x, t.x),
    reference: (a) => reference.add(a.x, a.x),
  },
];

// Heads and losses --------------------------------------------------------------------------------------------------

function linearCase(batch: number, inChannels: number, out: number, extra: Partial<OpCase> = {}): OpCase {
  return {
    op: "linear",
    name: `linear [${batch},${inChannels}]→${out}`,
    inputs: {
      x: { shape: [batch, inChannels], fill: normal },
      weight: weights([inChannels, out], inChannels),
      bias: { shape: [out], fill: normal },
    },
    record: (t) => linear(t.x, t.weight, t.bias),
    reference: (a) => reference.linear(a.x, a.weight, a.bias),
    ...extra,
  };
}

function concatCase(v: Shape, streams: number[]): OpCase {
  return {
    op: "concatStreams",
    name: `concatStreams ${text(v)} of ${text(streams)}`,
    inputs: { v: { shape: v, fill: normal } },
    record: (t) => concatStreams(t.v, streams),
    reference: (a) => reference.concatStreams(a.v, streams),
  };
}

/** `labels` of −1 are missing; `count` defaults to the number of those that are not. */
function lossCase(
  op: "binaryCrossEntropyWithLogits" | "softmaxCrossEntropy",
  note: string,
  [batch, classes]: [number, number],
  labels: Fill,
  options: { logits?: Fill; count?: number; step?: number } = {},
): OpCase {
  const { logits = gaussian(0, 2), step } = options;
  const isBinary = op === "binaryCrossEntropyWithLogits";
  const opCase: OpCase = {
    op,
    name: `${op} [${batch},${classes}], ${note}`,
    inputs: {
      logits: { shape: [batch, classes], fill: logits, ...(step && { step }) },
      labels: { shape: [batch], fill: labels, dtype: isBinary ? "f32" : "i32", needsGrad: false },
      count: { shape: [1], fill: constant(options.count ?? batch), needsGrad: false },
    },
    record: (t) => (isBinary ? binaryCrossEntropyWithLogits : softmaxCrossEntropy)(t.logits, t.labels, t.count),
    reference: (a) =>
      (isBinary ? reference.binaryCrossEntropyWithLogits : reference.softmaxCrossEntropy)(a.logits, a.labels, a.count),
  };
  return opCase;
}

const headCases: OpCase[] = [
  linearCase(1, 1, 1),
  linearCase(5, 7, 3),
  linearCase(3, 128, 8),
  linearCase(33, 70, 9, large),
  linearCase(2, 4096, 1, large),
  linearCase(1, 1030, 8, large),
  concatCase([3, 2, 4], [1, 0]),
  concatCase([3, 2, 12], [1, 2]),
  concatCase([3, 3, 8], [1, 0]),
  concatCase([3, 1, 4], [0, 1, 2]),
  concatCase([2, 2, 7], [1]),
  concatCase([1, 4, 3], [0]),
  concatCase([3, 2, 132], [1, 2]),
  concatCase([3, 2, 8], [1, 1]),
  lossCase("binaryCrossEntropyWithLogits", "one sample", [1, 1], list(1)),
  lossCase("binaryCrossEntropyWithLogits", "all labelled", [7, 1], list(0, 1, 1)),
  lossCase("binaryCrossEntropyWithLogits", "soft targets", [5, 1], uniform(0, 1)),
  lossCase("binaryCrossEntropyWithLogits", "some missing", [6, 1], list(0, -1, 1), { count: 4 }),
  lossCase("binaryCrossEntropyWithLogits", "one missing", [5, 1], list(0, 1, -1, 1, 1), { count: 4 }),
  lossCase("binaryCrossEntropyWithLogits", "all missing", [5, 1], list(-1), { count: 0 }),
  lossCase("binaryCrossEntropyWithLogits", "a part of a batch of 64", [5, 1], list(0, 1, -1), { count: 61 }),
  lossCase("binaryCrossEntropyWithLogits", "all missing here, 9 elsewhere", [5, 1], list(-1), { count: 9 }),
  lossCase("binaryCrossEntropyWithLogits", "logits of ±100", [4, 1], list(0, 1, 1, 0), { logits: list(100, -100) }),
  lossCase("binaryCrossEntropyWithLogits", "logits of ±100, all right", [2, 1], list(1, 0), {
    logits: list(100, -100),
  }),
  lossCase("binaryCrossEntropyWithLogits", "one logit of −100, wrong", [1, 1], list(1), { logits: constant(-100) }),
  lossCase(
    "binaryCrossEntropyWithLogits",
    "logits of ±100, soft targets and missing ones",
    [9, 1],
    list(0.3, -1, 0.9),
    {
      logits: list(100, 100, -100, -100),
      count: 6,
    },
  ),
  lossCase("binaryCrossEntropyWithLogits", "many logits of ±100", [131, 1], list(0, 1, -1, 1), {
    logits: list(100, -100, 0.5),
    count: 99,
  }),
  lossCase("binaryCrossEntropyWithLogits", "many", [131, 1], list(0, 1, -1, 1), { count: 99 }),
  lossCase("softmaxCrossEntropy", "one sample", [1, 2], list(1)),
  lossCase("softmaxCrossEntropy", "all labelled", [6, 8], integer(8)),
  lossCase("softmaxCrossEntropy", "three classes", [5, 3], integer(3)),
  lossCase("softmaxCrossEntropy", "one class", [3, 1], list(0)),
  lossCase("softmaxCrossEntropy", "some missing", [6, 5], list(4, -1, 0), { count: 4 }),
  lossCase("softmaxCrossEntropy", "one missing", [4, 7], list(6, 0, -1, 3), { count: 3 }),
  lossCase("softmaxCrossEntropy", "all missing", [4, 8], list(-1), { count: 0 }),
  lossCase("softmaxCrossEntropy", "a part of a batch of 64", [4, 8], list(7, -1, 2), { count: 60 }),
  lossCase("softmaxCrossEntropy", "logits of ±100", [4, 3], list(0, 1, 2, 1), { logits: list(100, -100, -100) }),
  lossCase("softmaxCrossEntropy", "logits of ±100, all right", [2, 3], list(0), { logits: list(100, -100, -100) }),
  lossCase("softmaxCrossEntropy", "logits all of 100, all of −100", [4, 8], integer(8), {
    logits: (_, i) => (Math.floor(i / 8) % 2 ? 100 : -100),
  }),
  lossCase("softmaxCrossEntropy", "logits of ±100, all wrong", [3, 5], list(1, 2, 4), {
    logits: list(100, -100, -100, -100, -100),
  }),
  lossCase("softmaxCrossEntropy", "many logits of ±100", [130, 9], list(0, 8, -1, 3, 4), {
    logits: list(100, -100, 0.5, -100),
    count: 104,
  }),
  lossCase("softmaxCrossEntropy", "many", [130, 9], list(0, 8, -1, 3, 4), { count: 104 }),
  ...[0.25, 0, 3].map(
    (lambda): OpCase => ({
      op: "addScaled",
      name: `addScaled lambda ${lambda}`,
      inputs: { a: { shape: [1], fill: normal }, b: { shape: [1], fill: normal } },
      record: (t) => addScaled(t.a, t.b, lambda),
      reference: (a) => reference.addScaled(a.a, a.b, lambda),
    }),
  ),
];

// preprocess --------------------------------------------------------------------------------------------------------

const imageNet = { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] } as const;

function preprocessCase(batch: number, resized: number, size: number, crops: [number, number, number][]): OpCase {
  const options = { size, ...imageNet };
  return {
    op: "preprocess",
    name: `preprocess [${batch},${resized},${resized},3]→${size}, crops ${crops.map((crop) => crop.join("/")).join(" ")}`,
    inputs: {
      images: { shape: [batch, resized, resized, 3], fill: integer(256), dtype: "u8" },
      crops: { shape: [batch, 3], fill: list(...crops.flat()), dtype: "i32" },
    },
    record: (t) => preprocess(t.images, t.crops, options),
    reference: (a) => reference.preprocess(a.images, a.crops, options),
  };
}

const preprocessCases: OpCase[] = [
  preprocessCase(1, 1, 1, [[0, 0, 0]]),
  preprocessCase(1, 5, 5, [[0, 0, 1]]),
  preprocessCase(3, 9, 7, [
    [0, 0, 0],
    [2, 1, 1],
    [1, 2, 0],
  ]),
  preprocessCase(2, 37, 32, [
    [5, 0, 1],
    [0, 5, 0],
  ]),
];

// Several ops together: what the planner and the sums of gradients make of them ----------------------------------------

const affineInputs = (prefix: string, shape: Shape): Record<string, InputSpec> => ({
  [`${prefix}.weight`]: { shape, fill: gaussian(1, 0.3) },
  [`${prefix}.bias`]: { shape, fill: gaussian(0, 0.3) },
  [`${prefix}.runningMean`]: { shape, fill: gaussian(0, 0.3), needsGrad: false },
  [`${prefix}.runningVar`]: { shape, fill: uniform(0.5, 2), needsGrad: false },
});

const affineOf = <T>(prefix: string, t: Record<string, T>) => ({
  weight: t[`${prefix}.weight`],
  bias: t[`${prefix}.bias`],
  runningMean: t[`${prefix}.runningMean`],
  runningVar: t[`${prefix}.runningVar`],
});

/** A residual block with a strided shortcut, as ResNet's are, and a fusion at its end. */
function blockCase(x: Shape, width: number, training: boolean, extra: Partial<OpCase> = {}): OpCase {
  const [streams, , , , channels] = x;
  const byChannel = [streams, width];
  const [strided, plain] = [
    { stride: 2, padding: 1 },
    { stride: 1, padding: 1 },
  ];
  const shortcut = { stride: 2, padding: 0 };
  return {
    op: "several",
    name: `residual block ${training ? "training" : "evaluation"} ${text(x)}→${width}, fusion by scalar`,
    training,
    inputs: {
      x: { shape: x, fill: normal },
      "conv1.weight": weights([streams, 3, 3, channels, width], 9 * channels),
      ...affineInputs("bn1", byChannel),
      "conv2.weight": weights([streams, 3, 3, width, width], 9 * width),
      ...affineInputs("bn2", byChannel),
      "downsample.weight": weights([streams, 1, 1, channels, width], channels),
      ...affineInputs("downsample.bn", byChannel),
      fusion: fusionInput("scalar", width),
    },
    record: (t) => {
      const residual = batchNorm(conv2d(t.x, t["downsample.weight"], shortcut), affineOf("downsample.bn", t), {});
      const y = batchNorm(conv2d(t.x, t["conv1.weight"], strided), affineOf("bn1", t), { relu: true });
      return batchNorm(conv2d(y, t["conv2.weight"], plain), affineOf("bn2", t), {
        residual,
        relu: true,
        fusion: { weights: t.fusion },
      });
    },
    reference: (a) => {
      const { conv2d, batchNorm } = reference;
      const residual = batchNorm(conv2d(a.x, a["downsample.weight"], shortcut), affineOf("downsample.bn", a), {
        training,
      });
      const y = batchNorm(conv2d(a.x, a["conv1.weight"], strided), affineOf("bn1", a), { training, relu: true });
      return batchNorm(conv2d(y, a["conv2.weight"], plain), affineOf("bn2", a), {
        training,
        residual,
        relu: true,
        fusion: { weights: a.fusion },
      });
    },
    ...extra,
  };
}

/** AENet in miniature: one image, three streams, two fusion points, two heads, the summed loss. */
function networkCase(batch: number, size: number, training: boolean): OpCase {
  const [width, classes, lambda] = [8, 3, 0.25];
  const stem = { stride: 2, padding: 3 };
  const pool = { kernelSize: 3, stride: 2, padding: 1 };
  const conv = { stride: 1, padding: 1 };
  return {
    op: "several",
    name: `network of three streams ${training ? "training" : "evaluation"} [1,${batch},${size},${size},3], two losses`,
    training,
    inputs: {
      image: { shape: [1, batch, size, size, 3], fill: normal, needsGrad: false },
      "conv1.weight": weights([3, 7, 7, 3, width], 147),
      ...affineInputs("bn1", [3, width]),
      "conv2.weight": weights([3, 3, 3, width, width], 9 * width),
      ...affineInputs("bn2", [3, width]),
      "fusion.0": fusionInput("scalar", width),
      "fusion.1": fusionInput("channel", width),
      "aes.weight": weights([2 * width, 1], 2 * width),
      "aes.bias": { shape: [1], fill: normal },
      "emo.weight": weights([2 * width, classes], 2 * width),
      "emo.bias": { shape: [classes], fill: normal },
      target: { shape: [batch], fill: list(1, -1, 0), needsGrad: false },
      targetCount: { shape: [1], fill: constant(Math.ceil((2 * batch) / 3)), needsGrad: false },
      labels: { shape: [batch], fill: list(2, 0, -1, 1), dtype: "i32" },
      labelsCount: { shape: [1], fill: constant(batch - Math.floor((batch + 1) / 4)), needsGrad: false },
    },
    record: (t: Record<string, Tensor>) => {
      let x = batchNorm(conv2d(t.image, t["conv1.weight"], stem), affineOf("bn1", t), { relu: true });
      x = maxPool2d(x, { ...pool, fusion: { weights: t["fusion.0"] } });
      x = batchNorm(conv2d(x, t["conv2.weight"], conv), affineOf("bn2", t), {
        residual: x,
        relu: true,
        fusion: { weights: t["fusion.1"] },
      });
      const v = globalAveragePool(x);
      const aes = linear(concatStreams(v, [1, 0]), t["aes.weight"], t["aes.bias"]);
      const emo = linear(concatStreams(v, [1, 2]), t["emo.weight"], t["emo.bias"]);
      return addScaled(
        binaryCrossEntropyWithLogits(aes, t.target, t.targetCount),
        softmaxCrossEntropy(emo, t.labels, t.labelsCount),
        lambda,
      );
    },
    reference: (a) => {
      const r = reference;
      let x = r.batchNorm(r.conv2d(a.image, a["conv1.weight"], stem), affineOf("bn1", a), { training, relu: true });
      x = r.maxPool2d(x, { ...pool, fusion: { weights: a["fusion.0"] } });
      x = r.batchNorm(r.conv2d(x, a["conv2.weight"], conv), affineOf("bn2", a), {
        training,
        residual: x,
        relu: true,
        fusion: { weights: a["fusion.1"] },
      });
      const v = r.globalAveragePool(x);
      const aes = r.linear(r.concatStreams(v, [1, 0]), a["aes.weight"], a["aes.bias"]);
      const emo = r.linear(r.concatStreams(v, [1, 2]), a["emo.weight"], a["emo.bias"]);
      return r.addScaled(
        r.binaryCrossEntropyWithLogits(aes, a.target, a.targetCount),
        r.softmaxCrossEntropy(emo, a.labels, a.labelsCount),
        lambda,
      );
    },
    ...large,
  };
}

/** CSNet in miniature: one image, two streams, two cross-stitch units, two heads, the summed loss. */
function crossStitchCase(batch: number, size: number, training: boolean): OpCase {
  const [width, classes, lambda] = [8, 3, 0.25];
  const pool = { kernelSize: 3, stride: 2, padding: 1 };
  const [stem, conv] = [
    { stride: 2, padding: 3 },
    { stride: 1, padding: 1 },
  ];
  return {
    op: "several",
    name: `network of two streams, cross-stitched, ${training ? "training" : "evaluation"} [1,${batch},${size},${size},3]`,
    training,
    inputs: {
      image: { shape: [1, batch, size, size, 3], fill: normal, needsGrad: false },
      "conv1.weight": weights([2, 7, 7, 3, width], 147),
      ...affineInputs("bn1", [2, width]),
      "stitch.0": stitchInput,
      "conv2.weight": weights([2, 3, 3, width, width], 9 * width),
      ...affineInputs("bn2", [2, width]),
      "stitch.1": stitchInput,
      "aes.weight": weights([width, 1], width),
      "aes.bias": { shape: [1], fill: normal },
      "emo.weight": weights([width, classes], width),
      "emo.bias": { shape: [classes], fill: normal },
      target: { shape: [batch], fill: list(1, 0, -1), needsGrad: false },
      targetCount: { shape: [1], fill: constant(batch - Math.floor(batch / 3)), needsGrad: false },
      labels: { shape: [batch], fill: list(2, 0, 1), dtype: "i32" },
      labelsCount: { shape: [1], fill: constant(batch), needsGrad: false },
    },
    record: (t) => {
      let x = batchNorm(conv2d(t.image, t["conv1.weight"], stem), affineOf("bn1", t), { relu: true });
      x = stitch(maxPool2d(x, pool), t["stitch.0"]);
      x = batchNorm(conv2d(x, t["conv2.weight"], conv), affineOf("bn2", t), { residual: x, relu: true });
      const v = globalAveragePool(stitch(x, t["stitch.1"]));
      const aes = linear(concatStreams(v, [0]), t["aes.weight"], t["aes.bias"]);
      const emo = linear(concatStreams(v, [1]), t["emo.weight"], t["emo.bias"]);
      return addScaled(
        binaryCrossEntropyWithLogits(aes, t.target, t.targetCount),
        softmaxCrossEntropy(emo, t.labels, t.labelsCount),
        lambda,
      );
    },
    reference: (a) => {
      const r = reference;
      let x = r.batchNorm(r.conv2d(a.image, a["conv1.weight"], stem), affineOf("bn1", a), { training, relu: true });
      x = r.stitch(r.maxPool2d(x, pool), a["stitch.0"]);
      const y = r.conv2d(x, a["conv2.weight"], conv);
      x = r.batchNorm(y, affineOf("bn2", a), { training, residual: x, relu: true });
      const v = r.globalAveragePool(r.stitch(x, a["stitch.1"]));
      const aes = r.linear(r.concatStreams(v, [0]), a["aes.weight"], a["aes.bias"]);
      const emo = r.linear(r.concatStreams(v, [1]), a["emo.weight"], a["emo.bias"]);
      return r.addScaled(
        r.binaryCrossEntropyWithLogits(aes, a.target, a.targetCount),
        r.softmaxCrossEntropy(emo, a.labels, a.labelsCount),
        lambda,
      );
    },
    ...large,
  };
}

const severalCases: OpCase[] = [
  blockCase([3, 2, 5, 6, 3], 5, true),
  blockCase([3, 2, 3, 4, 4], 7, false),
  blockCase([3, 2, 9, 9, 20], 36, true, large),
  networkCase(4, 13, true),
  networkCase(3, 11, false),
  crossStitchCase(4, 13, true),
  crossStitchCase(3, 11, false),
  networkCase(1, 13, false),
];

export const cases: readonly OpCase[] = [
  ...convCases,
  ...convNormCases,
  ...normCases,
  ...fuseCases,
  ...stitchCases,
  ...poolCases,
  ...pointwiseCases,
  ...headCases,
  ...preprocessCases,
  ...severalCases,
];
