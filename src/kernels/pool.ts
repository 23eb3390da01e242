/** Pooling over images [streams, batch, height, width, channels]. */
import { infinityBits, magnitudeBits } from "./float-bits.ts";
import { type FusionOptions, fusionParams, fusionParamValues, loadFusionWeights, storeFused } from "./fusion.ts";
import { type Dispatch, defineKernel, dispatch, divideUp, unroll } from "./kernel.ts";
import { forThread, loopRows, planMap, rowParams } from "./rows.ts";
import { sumAxis } from "./sum.ts";

/** Sizes of a pooling; `channels4` counts vec4f. Windows have at most 255 places. */
export interface PoolShape {
  readonly streams: number;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly channels4: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: number;
}

const poolParams = {
  hIn: "u32",
  wIn: "u32",
  hOut: "u32",
  wOut: "u32",
  kernelSize: "u32",
  stride: "u32",
  padding: "u32",
  batch: "u32",
} as const;

const poolValues = (s: PoolShape): Record<keyof typeof poolParams, number> => ({
  hIn: s.height,
  wIn: s.width,
  hOut: s.outHeight,
  wOut: s.outWidth,
  kernelSize: s.kernelSize,
  stride: s.stride,
  padding: s.padding,
  batch: s.batch,
});

const outputRows = (s: PoolShape) => ({
  streams: s.streams,
  rows: s.batch * s.outHeight * s.outWidth,
  channels4: s.channels4,
});

/**
 * The place of the maximum in its window, one byte for each of four channels: what the gradient needs. A NaN wins, so that
 * it shows.
 */
const windowMaximum = /* wgsl */ `
struct Maximum { value: vec4f, places: u32 }
fn isNan(x: vec4f) -> vec4<bool> {
  return ${magnitudeBits("x")} > vec4u(${infinityBits});
}
fn windowMaximum(stream: u32, row: u32, channel: u32) -> Maximum {
  let line = divide(row, params.wOut);
  let image = divide(line, params.hOut);
  // Unsigned wrap-around makes rows above the image fail the same test as rows below it.
  let top = (line - image * params.hOut) * params.stride - params.padding;
  let left = (row - line * params.wOut) * params.stride - params.padding;
  var best = vec4f();
  var place = vec4u();
  var isEmpty = true;
  for (var ky = 0u; ky < params.kernelSize; ky++) {
    for (var kx = 0u; kx < params.kernelSize; kx++) {
      if ((top + ky < params.hIn) & (left + kx < params.wIn)) {
        let value = vec4f(x[(((stream * params.batch + image) * params.hIn + top + ky) * params.wIn + left + kx) * params.channels4 + channel]);
        let wins = vec4<bool>(isEmpty) | (!isNan(best) & (isNan(value) | (value > best)));
        best = select(best, value, wins);
        place = select(place, vec4u(ky * params.kernelSize + kx), wins);
        isEmpty = false;
      }
    }
  }
  return Maximum(best, place.x | (place.y << 8u) | (place.z << 16u) | (place.w << 24u));
}
`;

const maxPoolKernel = defineKernel({
  name: "max_pool",
  inputs: { x: "vec4" },
  outputs: { y: "vec4", places: "u32" },
  params: { ...rowParams, ...poolParams },
  wgsl: `${windowMaximum}${forThread(
    loopRows(`
      let maximum = windowMaximum(stream, row, channel);
      y[i] = as_y(maximum.value);
      places[i] = maximum.places;`),
  )}`,
});

const maxPoolFusionKernel = defineKernel({
  name: "max_pool_fusion",
  inputs: { x: "vec4", fusion: "vec4f" },
  outputs: { y: "vec4", places: "u32", f: "vec4" },
  params: { ...rowParams, ...poolParams, ...fusionParams },
  wgsl: `${windowMaximum}${forThread(
    `${loadFusionWeights}
${loopRows(`
      ${unroll(
        3,
        (g) => `
      let maximum${g} = windowMaximum(${g}u, row, channel);
      let f${g} = maximum${g}.value;
      places[${g}u * params.streamSize + i] = maximum${g}.places;
      f[${g}u * params.streamSize + i] = as_f(f${g});`,
      )}
      ${storeFused}`)}`,
    { allStreams: true },
  )}`,
});

/** y = the maximum of each window, NaN if it holds one; places = where it stood, a byte a channel. The first of equal ones wins. */
export function maxPoolForward<T>(s: PoolShape, t: { x: T; y: T; places: T }): Dispatch<T> {
  const { params, groupsPerStream } = planMap(outputRows(s));
  return dispatch(maxPoolKernel, t, { ...params, ...poolValues(s) }, groupsPerStream * s.streams, {
    streams: { count: s.streams, bindings: ["x", "y", "places"] },
  });
}

/** As maxPoolForward, with f the maxima of the three streams and y their fusion. */
export function maxPoolFusionForward<T>(
  s: PoolShape,
  fusion: FusionOptions,
  t: { x: T; fusion: T; y: T; places: T; f: T },
): Dispatch<T> {
  const { params, groupsPerStream } = planMap(outputRows(s));
  const all = { ...params, ...poolValues(s), ...fusionParamValues(fusion) };
  return dispatch(maxPoolFusionKernel, t, all, groupsPerStream);
}

const maxPoolBackwardKernel = defineKernel({
  name: "max_pool_backward",
  inputs: { dy: "vec4", places: "u32" },
  outputs: { dx: "vec4" },
  params: { ...rowParams, ...poolParams },
  wgsl: `
/** The gradient that reaches pixel \`row\` from the windows whose maximum it was. */
fn gather(stream: u32, row: u32, channel: u32) -> vec4f {
  let line = divide(row, params.wIn);
  let image = divide(line, params.hIn);
  let w = row - line * params.wIn + params.padding;
  let h = line - image * params.hIn + params.padding;
  // The windows that contain the pixel: those that start at most kernelSize − 1 before it.
  let firstY = select(divide(h - params.kernelSize, params.stride) + 1u, 0u, h < params.kernelSize);
  let firstX = select(divide(w - params.kernelSize, params.stride) + 1u, 0u, w < params.kernelSize);
  let lastY = min(divide(h, params.stride), params.hOut - 1u);
  let lastX = min(divide(w, params.stride), params.wOut - 1u);
  var sum = vec4f();
  for (var py = firstY; py <= lastY; py++) {
    for (var px = firstX; px <= lastX; px++) {
      let i = ((stream * params.batch + image) * params.hOut + py) * params.wOut + px;
      let at = i * params.channels4 + channel;
      let place = (vec4u(places[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
      let here = (h - py * params.stride) * params.kernelSize + w - px * params.stride;
      sum += select(vec4f(), vec4f(dy[at]), place == vec4u(here));
    }
  }
  return sum;
}
${forThread(loopRows(`dx[i] = as_dx(gather(stream, row, channel));`))}`,
});

/** dx: each pixel gathers the gradients of the windows whose maximum it was. */
export function maxPoolBackward<T>(s: PoolShape, t: { dy: T; places: T; dx: T }): Dispatch<T> {
  const shape = { streams: s.streams, rows: s.batch * s.height * s.width, channels4: s.channels4 };
  const { params, groupsPerStream } = planMap(shape);
  return dispatch(maxPoolBackwardKernel, t, { ...params, ...poolValues(s) }, groupsPerStream * s.streams, {
    streams: { count: s.streams, bindings: ["dy", "places", "dx"] },
  });
}

const globalAveragePoolBackwardKernel = defineKernel({
  name: "global_average_pool_backward",
  inputs: { dy: "vec4f" },
  outputs: { dx: "vec4" },
  params: { size: "u32", pixels: "u32", channels4: "u32" },
  wgsl: `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.size) {
    let image = divide(i, params.channels4);
    let first = image * params.pixels * params.channels4 + i - image * params.channels4;
    let share = dy[i] / f32(params.pixels);
    for (var p = 0u; p < params.pixels; p++) {
      dx[first + p * params.channels4] = as_dx(share);
    }
  }
}`,
});

/** y[image, c] = the mean of x[image, ·, c]; `images` counts those of all streams. */
export function globalAveragePoolForward<T>(
  { images, pixels, channels4 }: { images: number; pixels: number; channels4: number },
  t: { x: T; y: T },
): Dispatch<T> {
  const shape = { outer: images, count: pixels, inner: channels4 };
  return sumAxis(shape, { x: t.x, total: t.y }, { divisor: pixels });
}

/** dx[image, p, c] = dy[image, c] / pixels. */
export function globalAveragePoolBackward<T>(
  { images, pixels, channels4 }: { images: number; pixels: number; channels4: number },
  t: { dy: T; dx: T },
): Dispatch<T> {
  const size = images * channels4;
  return dispatch(globalAveragePoolBackwardKernel, t, { size, pixels, channels4 }, divideUp(size, 64));
}
