/**
 * Vectors of chosen streams side by side, and back: a product with a matrix M [parts, streams] of zeros and ones, and
 * with its transpose.
 *
 *   y[row, part] = Σ_stream M[part, stream] · v[stream, row]        dv[stream, row] = Σ_part M[part, stream] · dy[row, part]
 */
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

const selectStreamsKernel = defineKernel({
  name: "select_streams",
  inputs: { x: "vec4f" },
  outputs: { y: "vec4f" },
  params: {
    size: "u32",
    rows: "u32",
    channels4: "u32",
    chosen: "u32",
    xCount: "u32",
    xStep: "u32",
    xRow: "u32",
    yStep: "u32",
    yRow: "u32",
  },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  // i = (p · rows + row) · channels4 + channel; bit 4 · p + q of params.chosen says whether x's part q goes into y's p.
  let i = group * 64u + lane;
  if (i < params.size) {
    let line = divide(i, params.channels4);
    let channel = i - line * params.channels4;
    let p = divide(line, params.rows);
    let row = line - p * params.rows;
    var sum = vec4f();
    for (var q = 0u; q < params.xCount; q++) {
      if (((params.chosen >> (4u * p + q)) & 1u) == 1u) {
        sum += x[q * params.xStep + row * params.xRow + channel];
      }
    }
    y[p * params.yStep + row * params.yRow + channel] = sum;
  }
}`,
});

/** v [streams, rows, channels]; y [rows, parts, channels], where a part is one of the streams. At most four of each. */
export interface SelectShape {
  readonly streams: number;
  readonly rows: number;
  readonly channels4: number;
  readonly parts: readonly number[];
}

/** The distance of two streams (or parts), and that of two rows. */
const ofV = ({ streams, rows, channels4 }: SelectShape) => ({ count: streams, step: rows * channels4, row: channels4 });
const ofY = ({ parts, channels4 }: SelectShape) => ({
  count: parts.length,
  step: channels4,
  row: parts.length * channels4,
});

function select<T>(
  { rows, channels4 }: SelectShape,
  x: ReturnType<typeof ofV>,
  y: ReturnType<typeof ofV>,
  chosen: number,
  t: { x: T; y: T },
): Dispatch<T> {
  const size = y.count * rows * channels4;
  const strides = { xCount: x.count, xStep: x.step, xRow: x.row, yStep: y.step, yRow: y.row };
  return dispatch(selectStreamsKernel, t, { size, rows, channels4, chosen, ...strides }, divideUp(size, 64));
}

/** y[row] = the vectors v[stream, row] of the chosen streams, one behind the other. */
export function selectStreams<T>(shape: SelectShape, t: { v: T; y: T }): Dispatch<T> {
  const chosen = shape.parts.reduce((bits, stream, part) => bits + 2 ** (4 * part + stream), 0);
  return select(shape, ofV(shape), ofY(shape), chosen, { x: t.v, y: t.y });
}

/** dv[stream, row] = the sum of the parts of dy[row] that came from that stream; zero where none did. */
export function selectStreamsBackward<T>(shape: SelectShape, t: { dy: T; dv: T }): Dispatch<T> {
  const chosen = shape.parts.reduce((bits, stream, part) => bits + 2 ** (4 * stream + part), 0);
  return select(shape, ofY(shape), ofV(shape), chosen, { x: t.dy, y: t.dv });
}
