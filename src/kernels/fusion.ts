/**
 * The fusion layer of AENet over the stream axis, in the order aesthetics (A), shared (S), emotion (E):
 *
 *   f̃_a = α_p·f_a + α_s·f_s        f_s = f_s        f̃_e = β_s·f_s + β_p·f_e                                  (Eq. 2)
 *
 *   df_a = α_p·df̃_a     df_e = β_p·df̃_e     df_s = dfused_s + α_s·df̃_a + β_s·df̃_e
 *   dα_p = Σ df̃_a·f_a    dα_s = Σ df̃_a·f_s    dβ_p = Σ df̃_e·f_e    dβ_s = Σ df̃_e·f_s                         (Eq. 3)
 *
 * The weights are one tensor [4, 1] or [4, C], rows in the order α_p, α_s, β_p, β_s.
 */
import { type Dispatch, defineKernel, dispatch } from "./kernel.ts";
import { forThread, loopRows, planMap, planSum, type RowShape, rowParams } from "./rows.ts";
import { sumAxis } from "./sum.ts";

export interface FusionOptions {
  /** A weight for each channel instead of one for all. */
  readonly byChannel: boolean;
  /** No gradient from the fused streams into f_s. */
  readonly detachShared: boolean;
}

export const fusionParams = { byChannel: "u32", detachShared: "u32" } as const;

export const fusionParamValues = (options: FusionOptions): Record<keyof typeof fusionParams, number> => ({
  byChannel: options.byChannel ? 1 : 0,
  detachShared: options.detachShared ? 1 : 0,
});

/** Declares alphaP, alphaS, betaP, betaS (vec4f) for `channel` from the binding `fusion`. */
export const loadFusionWeights: string = ["alphaP", "alphaS", "betaP", "betaS"]
  .map(
    (name, row) => `
    let ${name}Row = fusion[select(${row}u, ${row}u * params.channels4 + channel, params.byChannel == 1u)];
    let ${name} = select(vec4f(${name}Row.x), ${name}Row, params.byChannel == 1u);`,
  )
  .join("");

/** Stores the fused f0, f1, f2 (A, S, E) at index i of each stream. */
export const storeFused = `
      y[i] = as_y(alphaP * f0 + alphaS * f1);
      y[params.streamSize + i] = as_y(f1);
      y[2u * params.streamSize + i] = as_y(betaP * f2 + betaS * f1);`;

/** Declares the sums that Eq. 3 needs. */
export const declareFusionSums =
  "var sumAlphaP = vec4f(); var sumAlphaS = vec4f(); var sumBetaP = vec4f(); var sumBetaS = vec4f();";

/** From d0, d1, d2 (the fused maps' gradients) and f0, f1, f2: adds to the sums, declares g0, g1, g2 (those of f). */
export const fusionGradients = `
      sumAlphaP += d0 * f0;
      sumAlphaS += d0 * f1;
      sumBetaP += d2 * f2;
      sumBetaS += d2 * f1;
      let g0 = alphaP * d0;
      let g1 = d1 + select(alphaS * d0 + betaS * d2, vec4f(), params.detachShared == 1u);
      let g2 = betaP * d2;`;

/** Stores the sums of a thread: fusionPartials [4, blocks, channels4]. */
export const storeFusionSums = `
    fusionPartials[thread] = sumAlphaP;
    fusionPartials[params.threads + thread] = sumAlphaS;
    fusionPartials[2u * params.threads + thread] = sumBetaP;
    fusionPartials[3u * params.threads + thread] = sumBetaS;`;

const fuseForwardKernel = defineKernel({
  name: "fuse_forward",
  inputs: { f: "vec4", fusion: "vec4f" },
  outputs: { y: "vec4" },
  params: { ...rowParams, ...fusionParams },
  wgsl: forThread(
    `${loadFusionWeights}
${loopRows(`
      let f0 = vec4f(f[i]);
      let f1 = vec4f(f[params.streamSize + i]);
      let f2 = vec4f(f[2u * params.streamSize + i]);${storeFused}`)}`,
    { allStreams: true },
  ),
});

/** y = the three streams fused (Eq. 2). f, y [3, rows, channels]. */
export function fuseForward<T>(shape: RowShape, options: FusionOptions, t: { f: T; fusion: T; y: T }): Dispatch<T> {
  const { params, groupsPerStream } = planMap(shape);
  return dispatch(fuseForwardKernel, t, { ...params, ...fusionParamValues(options) }, groupsPerStream);
}

const fuseBackwardKernel = defineKernel({
  name: "fuse_backward",
  inputs: { dy: "vec4", f: "vec4", fusion: "vec4f" },
  outputs: { df: "vec4", fusionPartials: "vec4f" },
  params: { ...rowParams, ...fusionParams },
  wgsl: forThread(
    `${loadFusionWeights}
    ${declareFusionSums}
    ${loopRows(`
      let d0 = vec4f(dy[i]);
      let d1 = vec4f(dy[params.streamSize + i]);
      let d2 = vec4f(dy[2u * params.streamSize + i]);
      let f0 = vec4f(f[i]);
      let f1 = vec4f(f[params.streamSize + i]);
      let f2 = vec4f(f[2u * params.streamSize + i]);${fusionGradients}
      df[i] = as_df(g0);
      df[params.streamSize + i] = as_df(g1);
      df[2u * params.streamSize + i] = as_df(g2);`)}${storeFusionSums}`,
    { allStreams: true },
  ),
});

/** How many vec4f of partial sums the backward pass of a fusion needs for each row of the weights. */
export const fusionBlocks = (shape: RowShape): number => planSum(shape).blocks;

/** df, and the partial sums of the weights' gradients [4, blocks, channels] (Eq. 3). */
export function fuseBackward<T>(
  shape: RowShape,
  options: FusionOptions,
  t: { dy: T; f: T; fusion: T; df: T; fusionPartials: T },
): Dispatch<T> {
  const { params, groupsPerStream } = planSum(shape);
  return dispatch(fuseBackwardKernel, t, { ...params, ...fusionParamValues(options) }, groupsPerStream);
}

/** The partial sums over their blocks: byChannel [4, channels]. */
export function sumFusionBlocks<T>(shape: RowShape, t: { partials: T; byChannel: T }): Dispatch<T> {
  const { partials: x, byChannel: total } = t;
  return sumAxis({ outer: 4, count: fusionBlocks(shape), inner: shape.channels4 }, { x, total });
}

/** Over channels too: total [4, 1]. */
export function sumFusionChannels<T>(shape: RowShape, t: { byChannel: T; total: T }): Dispatch<T> {
  const { byChannel: x, total } = t;
  return sumAxis({ outer: 4, count: shape.channels4, inner: 1 }, { x, total }, { components: true });
}
