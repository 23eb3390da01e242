/**
 * Two-dimensional convolution as three matrix products without an unfolded copy of the image (implicit GEMM):
 *
 *   y[g, n, p, q, o]      = Σ_{r, s, c} x[g, n, p·stride − padding + r, q·stride − padding + s, c] · weight[g, r, s, c, o]
 *   dx[g, n, h, w, c]     = Σ_{r, s, o} dy[g, n, (h + padding − r) / stride, (w + padding − s) / stride, o] · weight[g, r, s, c, o]
 *   dWeight[g, r, s, c, o] = Σ_{n, p, q} x[…] · dy[g, n, p, q, o]
 *
 * x [G or 1, N, H, W, Cin], weight [G, kh, kw, Cin, Cout] in panels (panels.ts), y [G, N, Hout, Wout, Cout]; channels
 * padded to multiples of 4.
 *
 * Conditions on places are joined by `&`: `&&` is a branch, and unrolled loops have hundreds of them, on which
 * SwiftShader's compiler spends minutes.
 */

import { type Epilogue, type EpilogueCall, epilogueStreams, noEpilogue } from "./epilogue.ts";
import { canObserve, type GemmTile, gemm, gridOf } from "./gemm/core.ts";
import type { GemmProblem } from "./gemm/problem.ts";
import type { Product } from "./gemm/product.ts";
import { type Dispatch, dispatch, divideUp, unroll } from "./kernel.ts";
import type { ColumnObserver, ObserverCall } from "./observer.ts";
import { inFourthRow, inRow, locateColumn } from "./panels.ts";
import { sumAxis } from "./sum.ts";
import { type GradientWatch, watchedStores } from "./watch.ts";

/** Sizes of a convolution; `inChannels` and `outChannels` are the padded counts. */
export interface Conv2dShape {
  /** Channels without padding: what operations are counted by. */
  readonly channels: { readonly in: number; readonly out: number };
  readonly streams: number;
  /** One image for all streams: x has a single slice. */
  readonly sharedInput: boolean;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly padding: number;
}

const shapeParams = {
  hIn: "u32",
  wIn: "u32",
  cIn4: "u32",
  hOut: "u32",
  wOut: "u32",
  cOut4: "u32",
  kh: "u32",
  kw: "u32",
  stride: "u32",
  padding: "u32",
  xStream: "u32",
  wRows: "u32",
  wStream: "u32",
  yStream: "u32",
} as const;

const weightSize = { rows: "params.wRows", columns4: "params.cOut4" };

/** Strides between streams are in vec4f. */
function paramsOf(s: Conv2dShape): Record<keyof typeof shapeParams, number> {
  return {
    hIn: s.height,
    wIn: s.width,
    cIn4: s.inChannels / 4,
    hOut: s.outHeight,
    wOut: s.outWidth,
    cOut4: s.outChannels / 4,
    kh: s.kernelHeight,
    kw: s.kernelWidth,
    stride: s.stride,
    padding: s.padding,
    xStream: s.sharedInput ? 0 : (s.batch * s.height * s.width * s.inChannels) / 4,
    wRows: s.kernelHeight * s.kernelWidth * s.inChannels,
    wStream: (s.kernelHeight * s.kernelWidth * s.inChannels * s.outChannels) / 4,
    yStream: (s.batch * s.outHeight * s.outWidth * s.outChannels) / 4,
  };
}

/** Multiplications and additions of any one of the three products; every output pixel counts with every tap, no channel of padding. */
export function conv2dOperations(s: Conv2dShape): number {
  const taps = s.kernelHeight * s.kernelWidth;
  return 2 * s.streams * s.batch * s.outHeight * s.outWidth * taps * s.channels.in * s.channels.out;
}

/** Rows are output pixels, k runs over taps and input channels, columns are output channels. */
const forward = (epilogue: Epilogue): GemmProblem => ({
  name: `conv2d_forward${epilogue.name}`,
  inputs: { x: "vec4", weight: "vec4", ...epilogue.inputs },
  outputs: { y: "vec4" },
  params: { ...shapeParams, ...epilogue.params },
  aVector: "k",
  begin: /* wgsl */ `
  let xBase = slice * params.xStream;
  let wBase = (params.firstStream + slice) * params.wStream;
  let yBase = slice * params.yStream;`,
  // Unsigned wrap-around makes rows above the image fail the same test as rows below it.
  row: (i) => /* wgsl */ `
  let line${i} = divide(row${i}, params.wOut);
  let n${i} = divide(line${i}, params.hOut);
  let image${i} = n${i} * params.hIn;
  let top${i} = (line${i} - n${i} * params.hOut) * params.stride - params.padding;
  let left${i} = (row${i} - line${i} * params.wOut) * params.stride - params.padding;`,
  kLimit: "params.cIn4",
  operandColumn: (j) => locateColumn(j, `column${j}`, weightSize),
  loop: (body, step, rows) => /* wgsl */ `
  var w = 0u;
  for (var ky = 0u; ky < params.kh; ky++) {
    for (var kx = 0u; kx < params.kw; kx++) {
      ${rows
        .map(
          (i) => /* wgsl */ `
      let inside${i} = (top${i} + ky < params.hIn) & (left${i} + kx < params.wIn);
      let offset${i} = xBase + select(0u, ((image${i} + top${i} + ky) * params.wIn + left${i} + kx) * params.cIn4, inside${i});`,
        )
        .join("\n")}
      for (var k = 0u; k < params.cIn4; k += ${step}u) {
        ${body}
      }
      w += params.cIn4 * 4u;
    }
  }`,
  loadA: (i, k) => `select(vec4f(), load_x(offset${i} + ${k}), inside${i})`,
  loadB: (name, j, k) => `
let ${name}at = wBase + ${inFourthRow(j, `w + ${k} * 4u`)};
${unroll(4, (v) => `let ${name}${v} = load_weight(${name}at + ${v}u);`)}`,
  column: (column) => epilogue.channel("(params.firstStream + slice)", column, "params.cOut4"),
  store: (row, column, value) => `
    let i = yBase + ${row} * params.cOut4 + ${column};
    ${epilogue.store("y", "i", value)}`,
});

/**
 * The same product for few input channels (the first convolution has one vec4f): k runs along a whole row of the
 * kernel, whose taps lie side by side in x and in the weight, so that the loop is long enough to pay for its set-up.
 * Of a single vec4f, `channels` are not padding.
 */
const forwardNarrow = (epilogue: Epilogue, channels = 4): GemmProblem => ({
  ...forward(epilogue),
  name: `conv2d_forward_narrow${channels === 4 ? "" : channels}${epilogue.name}`,
  usedKs: channels,
  kLimit: "params.kw * params.cIn4",
  loop: (body, step, rows) => /* wgsl */ `
  let rowLength = params.wIn * params.cIn4;
  for (var ky = 0u; ky < params.kh; ky++) {
    let w = ky * params.kw * params.cIn4 * 4u;
    ${rows
      .map(
        (i) => /* wgsl */ `
    let first${i} = left${i} * params.cIn4;
    let inRows${i} = top${i} + ky < params.hIn;
    let offset${i} = xBase + (image${i} + top${i} + ky) * rowLength + first${i};`,
      )
      .join("\n")}
    for (var k = 0u; k < params.kw * params.cIn4; k += ${step}u) {
      ${body}
    }
  }`,
  loadA: (i, k) => {
    const inside = `inRows${i} & (first${i} + ${k} < rowLength)`;
    return `select(vec4f(), load_x(select(0u, offset${i} + ${k}, ${inside})), ${inside})`;
  },
});

/** A forward product with an observer. */
function observed(problem: GemmProblem, observer: ColumnObserver): GemmProblem {
  const place = (column: string) => ({ stream: "(params.firstStream + slice)", column, columns: "params.cOut4" });
  return {
    ...problem,
    name: problem.name + observer.name,
    inputs: { ...problem.inputs, ...observer.inputs },
    outputs: { ...problem.outputs, ...observer.outputs },
    params: { ...problem.params, ...observer.params },
    columnLook: { observer, place },
  };
}

/** Below this many vec4f of input channels a row of the kernel is taken at once. */
const narrowChannels = 4;

/**
 * Rows are input pixels, k runs over taps and output channels, columns are input channels.
 * With a stride, the input pixels fall into stride² phases, each reached by its own subset of the taps: every phase is
 * a product of its own (a slice), so no multiplication is spent on taps that fall between output pixels.
 */
const inputGradient: GemmProblem = {
  name: "conv2d_input_gradient",
  inputs: { dy: "vec4", weight: "vec4" },
  outputs: { dx: "vec4" },
  params: shapeParams,
  aVector: "k",
  begin: /* wgsl */ `
  let phaseRow = divide(slice, params.stride);
  let stream = divide(phaseRow, params.stride);
  let phaseY = phaseRow - stream * params.stride;
  let phaseX = slice - phaseRow * params.stride;
  let hPhase = divide(params.hIn + params.stride - 1u, params.stride);
  let wPhase = divide(params.wIn + params.stride - 1u, params.stride);
  let shiftY = divide(phaseY + params.padding, params.stride);
  let shiftX = divide(phaseX + params.padding, params.stride);
  let firstY = phaseY + params.padding - shiftY * params.stride;
  let firstX = phaseX + params.padding - shiftX * params.stride;
  let xBase = stream * params.xStream;
  let wBase = (params.firstStream + stream) * params.wStream;
  let yBase = stream * params.yStream;`,
  row: (i) => /* wgsl */ `
  let line${i} = divide(row${i}, wPhase);
  let n${i} = divide(line${i}, hPhase);
  let image${i} = n${i} * params.hOut;
  let top${i} = line${i} - n${i} * hPhase + shiftY;
  let left${i} = row${i} - line${i} * wPhase + shiftX;`,
  kLimit: "params.cOut4",
  loop: (body, step, rows) => /* wgsl */ `
  for (var ty = 0u; firstY + ty * params.stride < params.kh; ty++) {
    for (var tx = 0u; firstX + tx * params.stride < params.kw; tx++) {
      ${rows
        .map(
          (i) => /* wgsl */ `
      let inside${i} = (top${i} - ty < params.hOut) & (left${i} - tx < params.wOut);
      let offset${i} = yBase + select(0u, ((image${i} + top${i} - ty) * params.wOut + left${i} - tx) * params.cOut4, inside${i});`,
        )
        .join("\n")}
      let tap = (firstY + ty * params.stride) * params.kw + firstX + tx * params.stride;
      let w = tap * params.cIn4 * 4u;
      for (var k = 0u; k < params.cOut4; k += ${step}u) {
        ${body}
      }
    }
  }`,
  loadA: (i, k) => `select(vec4f(), load_dy(offset${i} + ${k}), inside${i})`,
  // weight's rows are this product's columns: four loads along k, transposed in registers.
  loadB: (name, j, k) => `
${locateColumn(name, k, weightSize)}
let ${name}at = wBase + ${inFourthRow(name, `w + column${j} * 4u`)};
${unroll(4, (c) => `let ${name}t${c} = load_weight(${name}at + ${c}u);`)}
${unroll(4, (v) => `let ${name}${v} = vec4f(${unroll(4, (c) => `${name}t${c}.${"xyzw"[v]}`, ", ")});`)}`,
  store: (row, column, value) => /* wgsl */ `
    let line = divide(${row}, wPhase);
    let n = divide(line, hPhase);
    let h = (line - n * hPhase) * params.stride + phaseY;
    let w = (${row} - line * wPhase) * params.stride + phaseX;
    if ((h < params.hIn) & (w < params.wIn)) {
      dx[xBase + ((n * params.hIn + h) * params.wIn + w) * params.cIn4 + ${column}] = as_dx(${value});
    }`,
};

/**
 * Rows are taps and input channels, k runs over output pixels, columns are output channels. K is split into `splits`
 * runs of `chunk` pixels (a multiple of 4), each a slice with a partial result of its own.
 */
const weightGradient: GemmProblem = {
  name: "conv2d_weight_gradient",
  inputs: { x: "vec4", dy: "vec4" },
  outputs: { dWeight: "vec4f" },
  params: { ...shapeParams, pixels: "u32", splits: "u32", chunk: "u32", splitStride: "u32" },
  aVector: "rows",
  begin: /* wgsl */ `
  let stream = divide(slice, params.splits);
  let split = slice - stream * params.splits;
  let xBase = stream * params.xStream;
  let yBase = stream * params.yStream;
  let wBase = (params.firstStream + stream) * params.wStream + split * params.splitStride;
  let first = split * params.chunk;
  let end = min(first + params.chunk, params.pixels);`,
  row: (i) => /* wgsl */ `
  let tap${i} = divide(row${i}, params.cIn4);
  let tapRow${i} = divide(tap${i}, params.kw);
  let channel${i} = row${i} - tap${i} * params.cIn4;
  let ky${i} = tapRow${i} - params.padding;
  let kx${i} = tap${i} - tapRow${i} * params.kw - params.padding;`,
  loop: (body, step) => /* wgsl */ `
  let line = divide(first, params.wOut);
  var px = first - line * params.wOut;
  var image = divide(line, params.hOut);
  var py = line - image * params.hOut;
  for (var k = first; k < end; k += ${4 * step}u) {
    ${unroll(
      4 * step,
      (v) => /* wgsl */ `
    let x${v} = px * params.stride;
    let y${v} = py * params.stride;
    let image${v} = image * params.hIn;
    px++;
    let newRow${v} = px == params.wOut;
    px = select(px, 0u, newRow${v});
    py += select(0u, 1u, newRow${v});
    let newImage${v} = py == params.hOut;
    py = select(py, 0u, newImage${v});
    image += select(0u, 1u, newImage${v});`,
    )}
    ${body}
  }`,
  plainLoop: (body, step) => `for (var k = first; k < end; k += ${4 * step}u) {${body}}`,
  locate: (v, k) => /* wgsl */ `
    let line${v} = divide(${k}, params.wOut);
    let n${v} = divide(line${v}, params.hOut);
    let x${v} = (${k} - line${v} * params.wOut) * params.stride;
    let y${v} = (line${v} - n${v} * params.hOut) * params.stride;
    let image${v} = n${v} * params.hIn;`,
  loadA: (i, k, v) => {
    const inside = `(y${v} + ky${i} < params.hIn) & (x${v} + kx${i} < params.wIn) & (${k} < end)`;
    const at = `xBase + ((image${v} + y${v} + ky${i}) * params.wIn + x${v} + kx${i}) * params.cIn4 + channel${i}`;
    return `select(vec4f(), load_x(select(0u, ${at}, ${inside})), ${inside})`;
  },
  loadB: (name, j, k) =>
    unroll(
      4,
      (v) =>
        `let ${name}${v} = select(vec4f(), load_dy(yBase + min(${k} + ${v}u, end - 1u) * params.cOut4 + column${j}), ${k} + ${v}u < end);`,
    ),
  column: (column) => locateColumn("", column, weightSize),
  store: (row, _, value) => `dWeight[wBase + ${inRow("", row)}] = ${value};`,
};

/** The weight gradient that watches what it stores. */
const watchedWeightGradient: GemmProblem = {
  ...weightGradient,
  name: "conv2d_weight_gradient_watched",
  outputs: { ...weightGradient.outputs, ...watchedStores.outputs },
  params: { ...weightGradient.params, ...watchedStores.params },
  begin: `${weightGradient.begin}\n  ${watchedStores.begin}`,
  observe: watchedStores.watch,
  finish: watchedStores.finish,
};

/** The products of a convolution; the forward ones end with an epilogue. */
export const gemmProblems = (epilogue: Epilogue = noEpilogue): readonly GemmProblem[] => [
  forward(epilogue),
  forwardNarrow(epilogue),
  forwardNarrow(epilogue, 3),
  inputGradient,
  weightGradient,
  watchedWeightGradient,
];

/** The forward products that an observer looks at. */
export const observedProblems = (observer: ColumnObserver): readonly GemmProblem[] =>
  [forward(noEpilogue), forwardNarrow(noEpilogue), forwardNarrow(noEpilogue, 3)].map((problem) =>
    observed(problem, observer),
  );

/** Bytes of a trial's largest tensor: what WebGPU lets every adapter bind. */
const mostTrialBytes = 2 ** 27;

/** The shape with as many of its images as come to so many operations, one at least. */
function trialShape(s: Conv2dShape, operations: number): Conv2dShape {
  const one = { ...s, batch: 1 };
  const { dx, y } = sizesOf(one);
  const most = Math.min(operations / conv2dOperations(one), mostTrialBytes / (16 * Math.max(dx, y)));
  return { ...s, batch: Math.max(1, Math.min(s.batch, Math.floor(most))) };
}

/** Sizes of a convolution's tensors, in vec4f. */
function sizesOf(s: Conv2dShape) {
  const { xStream, wStream, yStream } = paramsOf({ ...s, sharedInput: false });
  return {
    x: xStream * (s.sharedInput ? 1 : s.streams),
    dx: xStream * s.streams,
    weight: wStream * s.streams,
    y: yStream * s.streams,
  };
}

function forwardProblem(s: Conv2dShape, epilogue = noEpilogue): GemmProblem {
  const isNarrow = s.kernelWidth > 1 && s.inChannels / 4 < narrowChannels;
  return isNarrow ? forwardNarrow(epilogue, Math.min(s.channels.in, 4)) : forward(epilogue);
}

const rowsOfForward = (s: Conv2dShape) => s.batch * s.outHeight * s.outWidth;

/** What a tile is chosen by for y = x ⋆ weight. */
export function forwardProduct(s: Conv2dShape): Product {
  const { name: kind, aVector } = forwardProblem(s);
  return {
    kind,
    aVector,
    rows: rowsOfForward(s),
    columns: s.outChannels / 4,
    depth: s.kernelHeight * s.kernelWidth * s.inChannels,
    slices: s.streams,
    trial: (tile, operations) => {
      const shape = trialShape(s, operations);
      const { x, weight, y } = sizesOf(shape);
      return [conv2dForward(tile, shape, { x, weight, y })];
    },
  };
}

/** What else a forward product does: make something else of y, or look at it. */
interface WithForward<T> {
  readonly epilogue?: EpilogueCall<T>;
  readonly observer?: ObserverCall<T>;
}

/** y = x ⋆ weight, or what an epilogue makes of it. */
export function conv2dForward<T>(
  tile: GemmTile,
  s: Conv2dShape,
  t: { x: T; weight: T; y: T },
  more: WithForward<T> = {},
): Dispatch<T> {
  const grid = gridOf(tile, rowsOfForward(s), s.outChannels / 4);
  const epilogue = more.epilogue?.epilogue ?? noEpilogue;
  const plain = forwardProblem(s, epilogue);
  const problem = more.observer ? observed(plain, more.observer.observer) : plain;
  const sliced = epilogueStreams(epilogue);
  const found = more.observer?.bindings ?? {};
  return dispatch(
    gemm(problem, tile),
    { ...t, ...more.epilogue?.bindings, ...found },
    { ...grid.params, ...paramsOf(s), ...more.epilogue?.params, ...more.observer?.params },
    grid.tiles * s.streams,
    {
      operations: conv2dOperations(s),
      streams: {
        count: s.streams,
        bindings: [...(s.sharedInput ? ["y"] : ["x", "y"]), ...sliced.bindings],
        parameters: ["weight", ...sliced.parameters, ...Object.keys(found)],
      },
      ...(Object.keys(more).length === 0 && {
        withEpilogue: (call: EpilogueCall<T>) => conv2dForward(tile, s, { ...t, y: call.y }, { epilogue: call }),
        withObserver: (call: ObserverCall<T>) =>
          canObserve(tile, call.observer, rowsOfForward(s)) ? conv2dForward(tile, s, t, { observer: call }) : null,
      }),
    },
  );
}

/** The input pixels of a phase. */
const rowsOfInputGradient = (s: Conv2dShape) => s.batch * divideUp(s.height, s.stride) * divideUp(s.width, s.stride);

/** What a tile is chosen by for dx. */
export function inputGradientProduct(s: Conv2dShape): Product {
  const { name: kind, aVector } = inputGradient;
  return {
    kind,
    aVector,
    rows: rowsOfInputGradient(s),
    columns: s.inChannels / 4,
    depth: divideUp(s.kernelHeight, s.stride) * divideUp(s.kernelWidth, s.stride) * s.outChannels,
    slices: s.streams * s.stride ** 2,
    trial: (tile, operations) => {
      const shape = trialShape(s, operations);
      const { y: dy, weight, dx } = sizesOf(shape);
      return [conv2dInputGradient(tile, shape, { dy, weight, dx })];
    },
  };
}

/** dx, for every stream: where the streams share one image, its gradient is the sum over them. */
export function conv2dInputGradient<T>(tile: GemmTile, s: Conv2dShape, t: { dy: T; weight: T; dx: T }): Dispatch<T> {
  // A stream's phases have different numbers of taps.
  const grid = gridOf(tile, rowsOfInputGradient(s), s.inChannels / 4, s.stride ** 2);
  const params = { ...grid.params, ...paramsOf({ ...s, sharedInput: false }) };
  return dispatch(gemm(inputGradient, tile), t, params, grid.tiles * s.streams * s.stride ** 2, {
    operations: conv2dOperations(s),
    streams: { count: s.streams, bindings: ["dy", "dx"], parameters: ["weight"] },
  });
}

/** What a tile is chosen by for dWeight; `parallelism` as in weightGradientSplits. */
export function weightGradientProduct(s: Conv2dShape, parallelism: number): Product {
  const { name: kind, aVector } = weightGradient;
  return {
    kind,
    aVector,
    rows: s.kernelHeight * s.kernelWidth * s.inChannels,
    columns: s.outChannels / 4,
    depth: s.batch * s.outHeight * s.outWidth,
    slices: s.streams,
    trial: (tile, operations) => {
      const shape = trialShape(s, operations);
      const { x, y: dy, weight: total } = sizesOf(shape);
      const sum = weightGradientSplits(tile, shape, parallelism);
      if (sum.splits === 1) return [conv2dWeightGradient(tile, shape, sum, { x, dy, dWeight: total })];
      const partials = sum.splits * total;
      return [
        conv2dWeightGradient(tile, shape, sum, { x, dy, dWeight: partials }),
        sumAxis({ count: sum.splits, inner: total }, { x: partials, total }),
      ];
    },
  };
}

/** Into how many runs of how many pixels the weight gradient's sum is split. */
export function weightGradientSplits(
  tile: GemmTile,
  s: Conv2dShape,
  parallelism: number,
): { splits: number; chunk: number } {
  const pixels = s.batch * s.outHeight * s.outWidth;
  const grid = gridOf(tile, s.kernelHeight * s.kernelWidth * s.inChannels, s.outChannels / 4);
  const wanted = Math.max(divideUp(parallelism, grid.tiles * s.streams), divideUp(pixels, longestSum));
  const chunk = 4 * divideUp(divideUp(pixels, 4), Math.min(wanted, divideUp(pixels, shortestSum)));
  return { splits: divideUp(pixels, chunk), chunk };
}

/** A sum over more pixels would lose accuracy; one over fewer is not worth a workspace. */
const longestSum = 8192;
const shortestSum = 256;

/** dWeight, or its `splits` partial sums one behind the other; either can be watched. */
export function conv2dWeightGradient<T>(
  tile: GemmTile,
  s: Conv2dShape,
  { splits, chunk }: { splits: number; chunk: number },
  t: { x: T; dy: T; dWeight: T },
  watch: GradientWatch<T> | null = null,
): Dispatch<T> {
  const grid = gridOf(tile, s.kernelHeight * s.kernelWidth * s.inChannels, s.outChannels / 4);
  const shape = paramsOf(s);
  const params = {
    ...grid.params,
    ...shape,
    pixels: s.batch * s.outHeight * s.outWidth,
    splits,
    chunk,
    splitStride: shape.wStream * s.streams,
    ...(watch && { slot: watch.slot }),
  };
  const kernel = gemm(watch ? watchedWeightGradient : weightGradient, tile);
  const bindings = { ...t, ...(watch && { status: watch.status }) };
  return dispatch(kernel, bindings, params, grid.tiles * s.streams * splits, {
    operations: conv2dOperations(s),
    streams: {
      count: s.streams,
      bindings: s.sharedInput ? ["dy"] : ["x", "dy"],
      ...(splits === 1 ? { parameters: ["dWeight"] } : {}),
    },
  });
}
