/** The transform of a batch of photographs, from bytes to the network's input: crop, flip, normalise. */
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

const preprocessKernel = defineKernel({
  name: "preprocess",
  inputs: { images: "u32", crops: "i32" },
  outputs: { y: "vec4" },
  params: {
    count: "u32",
    resolution: "u32",
    size: "u32",
    meanR: "f32",
    meanG: "f32",
    meanB: "f32",
    deviationR: "f32",
    deviationG: "f32",
    deviationB: "f32",
  },
  wgsl: /* wgsl */ `
fn byteAt(i: u32) -> f32 {
  return f32((images[i / 4u] >> (8u * (i % 4u))) & 255u);
}
fn run(group: u32, lane: u32) {
  // i = (n · size + row) · size + column; one vec4f a pixel, its fourth channel zero.
  let i = group * 64u + lane;
  if (i < params.count) {
    let column = i % params.size;
    let row = i / params.size % params.size;
    let n = i / (params.size * params.size);
    let flipped = crops[3u * n + 2u] != 0;
    let last = params.resolution - 1u;
    let x = min(u32(crops[3u * n]) + select(column, params.size - 1u - column, flipped), last);
    let line = min(u32(crops[3u * n + 1u]) + row, last);
    let at = 3u * ((n * params.resolution + line) * params.resolution + x);
    let rgb = vec3f(byteAt(at), byteAt(at + 1u), byteAt(at + 2u)) / 255.0;
    let mean = vec3f(params.meanR, params.meanG, params.meanB);
    let deviation = vec3f(params.deviationR, params.deviationG, params.deviationB);
    y[i] = as_y(vec4f((rgb - mean) / deviation, 0));
  }
}`,
});

export interface PreprocessShape {
  readonly batch: number;
  /** Side of the decoded images, in pixels. */
  readonly resolution: number;
  /** Side of the crop, in pixels. */
  readonly size: number;
  /** Of the channels R, G, B, on the scale 0 to 1. */
  readonly mean: readonly [number, number, number];
  readonly deviation: readonly [number, number, number];
}

/**
 * y[n, row, column] = (images[n, cropY + row, cropX + column] / 255 − mean) / deviation, mirrored where flip is set.
 * images u8 [batch, resolution, resolution, 3]; crops i32 [batch, 3] = (x, y, flip).
 */
export function preprocess<T>(s: PreprocessShape, t: { images: T; crops: T; y: T }): Dispatch<T> {
  const count = s.batch * s.size * s.size;
  const [meanR, meanG, meanB] = s.mean;
  const [deviationR, deviationG, deviationB] = s.deviation;
  const { resolution, size } = s;
  const params = { count, resolution, size, meanR, meanG, meanB, deviationR, deviationG, deviationB };
  return dispatch(preprocessKernel, t, params, divideUp(count, 64));
}
