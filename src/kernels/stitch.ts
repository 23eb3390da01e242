/**
 * The cross-stitch unit (Misra et al. 2016, Eq. 1) over the stream axis of two streams, a and e, with one matrix W [2, 2]
 * for all channels:
 *
 *   [ã; ẽ] = W · [a; e]        [da; de] = Wᵀ · [dã; dẽ]        dW = [dã; dẽ] · [a; e]ᵀ, summed over rows and channels
 */
import { sumFusionBlocks } from "./fusion.ts";
import { type Dispatch, defineKernel, dispatch } from "./kernel.ts";
import { forThread, loopRows, planMap, planSum, type RowShape, rowParams } from "./rows.ts";

const stitchForwardKernel = defineKernel({
  name: "stitch_forward",
  inputs: { x: "vec4", weight: "vec4f" },
  outputs: { y: "vec4" },
  params: rowParams,
  wgsl: forThread(
    `
    // A row of W in each vec4f, the other half of which is padding.
    let toA = weight[0];
    let toE = weight[1];
${loopRows(`
      let a = vec4f(x[i]);
      let e = vec4f(x[params.streamSize + i]);
      y[i] = as_y(toA.x * a + toA.y * e);
      y[params.streamSize + i] = as_y(toE.x * a + toE.y * e);`)}`,
    { allStreams: true },
  ),
});

/** y = W · x over the streams. x, y [2, rows, channels], weight [2, 2]. */
export function stitchForward<T>(shape: RowShape, t: { x: T; weight: T; y: T }): Dispatch<T> {
  const { params, groupsPerStream } = planMap(shape);
  return dispatch(stitchForwardKernel, t, params, groupsPerStream);
}

const stitchBackwardKernel = defineKernel({
  name: "stitch_backward",
  inputs: { dy: "vec4", x: "vec4", weight: "vec4f" },
  outputs: { dx: "vec4", partials: "vec4f" },
  params: rowParams,
  wgsl: forThread(
    `
    let toA = weight[0];
    let toE = weight[1];
    var sumAA = vec4f();
    var sumAE = vec4f();
    var sumEA = vec4f();
    var sumEE = vec4f();
    ${loopRows(`
      let a = vec4f(x[i]);
      let e = vec4f(x[params.streamSize + i]);
      let dA = vec4f(dy[i]);
      let dE = vec4f(dy[params.streamSize + i]);
      sumAA += dA * a;
      sumAE += dA * e;
      sumEA += dE * a;
      sumEE += dE * e;
      dx[i] = as_dx(toA.x * dA + toE.x * dE);
      dx[params.streamSize + i] = as_dx(toA.y * dA + toE.y * dE);`)}
    partials[thread] = sumAA;
    partials[params.threads + thread] = sumAE;
    partials[2u * params.threads + thread] = sumEA;
    partials[3u * params.threads + thread] = sumEE;`,
    { allStreams: true },
  ),
});

/** Blocks of rows with a partial sum each. */
export const stitchBlocks = (shape: RowShape): number => planSum(shape).blocks;

/** dx = Wᵀ · dy, and the partial sums of dW's elements in row-major order: partials [4, blocks, channels]. */
export function stitchBackward<T>(shape: RowShape, t: { dy: T; x: T; weight: T; dx: T; partials: T }): Dispatch<T> {
  const { params, groupsPerStream } = planSum(shape);
  return dispatch(stitchBackwardKernel, t, params, groupsPerStream);
}

const sumChannelsKernel = defineKernel({
  name: "stitch_sum_channels",
  inputs: { byChannel: "vec4f" },
  outputs: { dWeight: "vec4f" },
  params: { channels4: "u32" },
  workgroupSize: 2,
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  // byChannel [2 · 2, channels]: a lane sums both elements of its row of dW.
  var fromA = vec4f();
  var fromE = vec4f();
  for (var c = 0u; c < params.channels4; c++) {
    fromA += byChannel[2u * lane * params.channels4 + c];
    fromE += byChannel[(2u * lane + 1u) * params.channels4 + c];
  }
  dWeight[lane] = vec4f(fromA.x + fromA.y + fromA.z + fromA.w, fromE.x + fromE.y + fromE.z + fromE.w, 0, 0);
}`,
});

/** dW [2, 2] from its partial sums, by way of byChannel [4, channels]. */
export function sumStitch<T>(shape: RowShape, t: { partials: T; byChannel: T; dWeight: T }): Dispatch<T>[] {
  const { partials, byChannel, dWeight } = t;
  return [
    sumFusionBlocks(shape, { partials, byChannel }),
    dispatch(sumChannelsKernel, { byChannel, dWeight }, { channels4: shape.channels4 }, 1),
  ];
}
