/** What a linear layer and the heads need beside the matrix product (a 1×1 convolution). Sizes are in vec4f. */
import { elementwise } from "./elementwise.ts";
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

const addBiasKernel = defineKernel({
  name: "add_bias",
  inputs: { x: "vec4f", bias: "vec4f" },
  outputs: { y: "vec4f" },
  params: { size: "u32", channels4: "u32" },
  wgsl: elementwise(1, "y[i] = x[i] + bias[i % params.channels4];"),
});

/** y[row, c] = x[row, c] + bias[c]. */
export function addBias<T>(rows: number, channels4: number, t: { x: T; bias: T; y: T }): Dispatch<T> {
  const size = rows * channels4;
  return dispatch(addBiasKernel, t, { size, channels4 }, divideUp(size, 64));
}

const sumRowsKernel = defineKernel({
  name: "sum_rows",
  inputs: { x: "vec4" },
  outputs: { total: "vec4" },
  params: { size: "u32", rows: "u32" },
  wgsl: elementwise(
    1,
    /* wgsl */ `
    var sum = vec4f();
    for (var row = 0u; row < params.rows; row++) {
      sum += vec4f(x[row * params.size + i]);
    }
    total[i] = as_total(sum);`,
  ),
});

/** total[i] = Σ_row x[row, i], in the order of the rows; `size` counts the vec4f of a row. */
export function sumRows<T>(rows: number, size: number, t: { x: T; total: T }): Dispatch<T> {
  return dispatch(sumRowsKernel, t, { size, rows }, divideUp(size, 64));
}

const gatherStreamsKernel = defineKernel({
  name: "gather_streams",
  inputs: { v: "vec4f" },
  outputs: { y: "vec4f" },
  params: { size: "u32", channels4: "u32", rows: "u32", parts: "u32", streams: "u32" },
  wgsl: elementwise(
    1,
    /* wgsl */ `
    // i = (row · parts + part) · channels4 + channel; a byte of params.streams says which stream a part is.
    let channel = i % params.channels4;
    let part = i / params.channels4 % params.parts;
    let row = i / (params.channels4 * params.parts);
    let stream = (params.streams >> (8u * part)) & 255u;
    y[i] = v[(stream * params.rows + row) * params.channels4 + channel];`,
  ),
});

const scatterStreamsKernel = defineKernel({
  name: "scatter_streams",
  inputs: { dy: "vec4f" },
  outputs: { dv: "vec4f" },
  params: { size: "u32", channels4: "u32", rows: "u32", parts: "u32", streams: "u32" },
  wgsl: elementwise(
    1,
    /* wgsl */ `
    // i = (stream · rows + row) · channels4 + channel.
    let channel = i % params.channels4;
    let row = i / params.channels4 % params.rows;
    let stream = i / (params.channels4 * params.rows);
    var sum = vec4f();
    for (var part = 0u; part < params.parts; part++) {
      if (((params.streams >> (8u * part)) & 255u) == stream) {
        sum += dy[(row * params.parts + part) * params.channels4 + channel];
      }
    }
    dv[i] = sum;`,
  ),
});

export interface GatherShape {
  readonly rows: number;
  readonly channels4: number;
  /** The streams side by side in a row of y; at most four. */
  readonly streams: readonly number[];
}

const gatherParams = ({ rows, channels4, streams }: GatherShape) => ({
  rows,
  channels4,
  parts: streams.length,
  streams: streams.reduce((packed, stream, part) => packed + stream * 256 ** part, 0),
});

/** y[row] = the vectors v[stream, row] of the chosen streams, one behind the other. */
export function gatherStreams<T>(shape: GatherShape, t: { v: T; y: T }): Dispatch<T> {
  const params = gatherParams(shape);
  const size = params.rows * params.parts * params.channels4;
  return dispatch(gatherStreamsKernel, t, { ...params, size }, divideUp(size, 64));
}

/** dv[stream, row] = the sum of the parts of dy[row] that came from that stream; zero where none did. */
export function scatterStreams<T>(shape: GatherShape, streamCount: number, t: { dy: T; dv: T }): Dispatch<T> {
  const params = gatherParams(shape);
  const size = streamCount * params.rows * params.channels4;
  return dispatch(scatterStreamsKernel, t, { ...params, size }, divideUp(size, 64));
}
