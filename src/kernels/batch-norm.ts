/**
 * Batch norm with what follows it in a residual network, in one pass over memory each way:
 *
 *   x̂ = (x − mean) / √(var + eps)      z = x̂·weight + bias (+ residual)      f = max(z, 0) or z      y = fusion(f) or f
 *
 *   dz = df·[z > 0]      dBias = Σ dz      dWeight = Σ dz·x̂      dResidual = dz
 *   dx = weight / √(var + eps) · (dz − dBias/m − x̂·dWeight/m)                    (without the sums in evaluation)
 *
 * x, y [streams, rows, channels], m = rows; the sums run over the rows of a stream.
 */
import { rectified } from "./elementwise.ts";
import type { Epilogue, EpilogueCall } from "./epilogue.ts";
import { infinityBits, magnitudeBits } from "./float-bits.ts";
import {
  declareFusionSums,
  type FusionOptions,
  fusionGradients,
  fusionParams,
  fusionParamValues,
  loadFusionWeights,
  storeFused,
  storeFusionSums,
} from "./fusion.ts";
import { type Dispatch, defineKernel, dispatch, divideUp, type Kernel, unroll } from "./kernel.ts";
import type { ColumnObserver, ColumnPlace } from "./observer.ts";
import { countRows, forThread, loopRows, planMap, planSum, type RowShape, rowParams, summedRows } from "./rows.ts";

/**
 * Declares mean and (biased) variance of an invocation's block of rows, and runs `store`. Values are taken relative to the
 * block's first row, so that a large mean costs no digits, and divided before they are summed, so that large values do not
 * overflow. A mean of 1,000 has no bits left for what a variance of 0.04 needs to know: it is kept as that row and the offset
 * from it.
 */
const forBlock = (store: string) =>
  forThread(`
    let first0 = vec4f(x[first]);
    ${countRows}
    let factor0 = 1.0 / f32(count);
    let step = params.channels4;
    var sum0 = vec4f();
    var squares0 = vec4f();
    var i = first;
    var row = 0u;
    for (; row + 3u < count; row += 4u) {
      ${unroll(4, (q) => `let d${q} = vec4f(x[i + ${q}u * step]) - first0;`)}
      ${addFour(0)}
      i += 4u * step;
    }
    for (; row < count; row++) {
      let d = vec4f(x[i]) - first0;
      sum0 += d;
      squares0 += d * (d * factor0);
      i += step;
    }
    ${declareMoments(0)}
    ${store}`);

/** Adds the offsets `d0` to `d3` from the first row of column j's block. */
function addFour(j: number): string {
  return `sum${j} += (d0 + d1) + (d2 + d3);
      squares${j} += (d0 * (d0 * factor${j}) + d1 * (d1 * factor${j})) + (d2 * (d2 * factor${j}) + d3 * (d3 * factor${j}));`;
}

/** Declares column j's `shift`, the first row of its block, the mean's `offset` from it, and the `variance`. */
function declareMoments(j: number): string {
  return `
    let shift = first${j};
    let offset = sum${j} * factor${j};
    let difference = squares${j} - offset * offset;
    // What overflows stays infinite: ∞ − ∞ is NaN, of which a maximum with 0 would make 0.
    let isFinite = ${magnitudeBits("difference")} < vec4u(${infinityBits});
    let variance = select(max(squares${j}, offset * offset), max(difference, vec4f()), isFinite);`;
}

/** Three vec4f of a block. */
const storeBlock = (block: string, { stream, column, columns }: ColumnPlace) => `
    let at = 3u * ((${stream} * params.blocks + ${block}) * ${columns} + ${column});
    partials[at] = shift;
    partials[at + 1u] = offset;
    partials[at + 2u] = variance;`;

/** Rows of the statistics of a channel. */
export const statisticsRows = 5;

/**
 * What the other kernels need to know of a channel, five rows [streams, 5, channels]: the mean as shift and offset from
 * it, 1/√(var + eps), weight/√(var + eps), bias. One tensor rather than five keeps every kernel within eight bindings.
 * (A product has a `weight` of its own, so that the norm's is `normWeight`.)
 */
const storeStatistics = ({ stream, column, columns }: ColumnPlace) => /* wgsl */ `
    let invStd = 1.0 / sqrt(variance + params.eps);
    let c = ${stream} * ${columns} + ${column};
    let at = ${statisticsRows}u * ${stream} * ${columns} + ${column};
    statistics[at] = shift;
    statistics[at + ${columns}] = offset;
    statistics[at + 2u * ${columns}] = invStd;
    statistics[at + 3u * ${columns}] = invStd * normWeight[c];
    statistics[at + 4u * ${columns}] = normBias[c];`;

/** The same of a batch of n rows, and what the running statistics take of it. */
const storeBatch = (place: ColumnPlace, n: string) => `${storeStatistics(place)}
    batchMean[c] = shift + offset;
    batchVar[c] = variance * (${n} / max(${n} - 1.0, 1.0));`;

const batchBindings = {
  inputs: { normWeight: "vec4f", normBias: "vec4f" },
  outputs: { statistics: "vec4f", batchMean: "vec4f", batchVar: "vec4f" },
} as const;

/** The place of an invocation's channel. */
const ofThread: ColumnPlace = {
  stream: "(params.firstStream + stream)",
  column: "channel",
  columns: "params.channels4",
};

const blockStatisticsKernel = defineKernel({
  name: "batch_norm_statistics",
  inputs: { x: "vec4" },
  outputs: { partials: "vec4f" },
  params: rowParams,
  wgsl: forBlock(storeBlock("block", ofThread)),
});

/** Of all rows at once, where a block has them all. */
const wholeStatisticsKernel = defineKernel({
  name: "batch_norm_whole_statistics",
  inputs: { x: "vec4", ...batchBindings.inputs },
  outputs: batchBindings.outputs,
  params: { ...rowParams, eps: "f32" },
  wgsl: forBlock(storeBatch(ofThread, "f32(params.rows)")),
});

/** What both have in common while the values are stored; to the same bits where a block's rows are a multiple of four. */
const lookAtStatistics = {
  declare: (j: number) =>
    `var first${j} = vec4f(); var sum${j} = vec4f(); var squares${j} = vec4f(); var factor${j} = 0.0;`,
  begin: (j: number, first: string, count: string) =>
    `first${j} = ${first}; sum${j} = vec4f(); squares${j} = vec4f(); factor${j} = 1.0 / f32(${count});`,
  add: (j: number, values: readonly string[], isRow: readonly string[]) => `{
      ${unroll(4, (i) => `let d${i} = select(vec4f(), ${values[i]} - first${j}, ${isRow[i]});`)}
      ${addFour(j)}
    }`,
};

export const blockStatisticsObserver: ColumnObserver = {
  name: "_statistics",
  inputs: {},
  outputs: { partials: "vec4f" },
  params: { blocks: "u32" },
  blockRows: summedRows,
  ...lookAtStatistics,
  end: (j, block, place) => `${declareMoments(j)}${storeBlock(block, place)}`,
};

export const wholeStatisticsObserver: ColumnObserver = {
  name: "_whole_statistics",
  ...batchBindings,
  params: { eps: "f32" },
  blockRows: "all",
  ...lookAtStatistics,
  end: (j, _, place) => `${declareMoments(j)}${storeBatch(place, "f32(params.rows)")}`,
};

/** Merges the blocks in their order (Chan, Golub and LeVeque), in means and variances rather than sums. */
const mergeStatisticsKernel = defineKernel({
  name: "batch_norm_merge_statistics",
  inputs: { partials: "vec4f", ...batchBindings.inputs },
  outputs: batchBindings.outputs,
  params: { ...rowParams, eps: "f32" },
  wgsl: `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.streams * params.channels4) {
    let stream = divide(i, params.channels4);
    let channel = i - stream * params.channels4;
    let shift = partials[3u * (stream * params.threads + channel)];
    var n = 0.0;
    var offset = vec4f();
    var variance = vec4f();
    for (var b = 0u; b < params.blocks; b++) {
      let at = 3u * (stream * params.threads + b * params.channels4 + channel);
      let added = f32(min(params.perThread, params.rows - b * params.perThread));
      let share = added / (n + added);
      let delta = ((partials[at] - shift) + partials[at + 1u]) - offset;
      offset += delta * share;
      variance = variance * (1.0 - share) + partials[at + 2u] * share + delta * (delta * (share * (1.0 - share)));
      n += added;
    }
    ${storeBatch({ ...ofThread, stream: "stream" }, "n")}
  }
}`,
});

/**
 * statistics [streams, 5, channels] of the batch, with the weight and bias of the norm; batchMean and batchVar (with n − 1, as the
 * running variance takes it) [streams, channels]. `partials` holds statisticsPartials vec4f.
 */
export function batchStatistics<T>(
  shape: RowShape,
  eps: number,
  t: { x: T; weight: T; bias: T; partials: T; statistics: T; batchMean: T; batchVar: T },
): Dispatch<T>[] {
  const { params, blocks, groupsPerStream } = planSum(shape);
  const { x, partials, statistics, batchMean, batchVar } = t;
  const batch = { normWeight: t.weight, normBias: t.bias, statistics, batchMean, batchVar };
  const workgroups = groupsPerStream * shape.streams;
  const streams = { count: shape.streams, bindings: ["x"] } as const;
  if (blocks === 1) {
    const observer = wholeStatisticsObserver;
    const asObserver = { observer, x, bindings: batch, params: { eps } };
    return [dispatch(wholeStatisticsKernel, { x, ...batch }, { ...params, eps }, workgroups, { streams, asObserver })];
  }
  const observer = blockStatisticsObserver;
  const asObserver = { observer, x, bindings: { partials }, params: { blocks } };
  return [
    dispatch(blockStatisticsKernel, { x, partials }, params, workgroups, {
      streams,
      ...(params.perThread === summedRows && { asObserver }),
    }),
    dispatch(
      mergeStatisticsKernel,
      { partials, ...batch },
      { ...params, eps },
      divideUp(shape.streams * shape.channels4, 64),
    ),
  ];
}

const runningKernel = defineKernel({
  name: "batch_norm_running_statistics",
  inputs: { runningMean: "vec4f", runningVar: "vec4f", ...batchBindings.inputs },
  outputs: { statistics: "vec4f" },
  params: { streams: "u32", channels4: "u32", eps: "f32" },
  wgsl: `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.streams * params.channels4) {
    let stream = divide(i, params.channels4);
    let channel = i - stream * params.channels4;
    let shift = runningMean[i];
    let offset = vec4f();
    let variance = runningVar[i];
    ${storeStatistics({ ...ofThread, stream: "stream" })}
  }
}`,
});

/** statistics as in batchStatistics, from the running ones. */
function runningStatistics<T>(
  shape: RowShape,
  eps: number,
  t: { runningMean: T; runningVar: T; weight: T; bias: T; statistics: T },
): Dispatch<T> {
  const { streams, channels4 } = shape;
  const { weight: normWeight, bias: normBias, ...running } = t;
  return dispatch(
    runningKernel,
    { ...running, normWeight, normBias },
    { streams, channels4, eps },
    divideUp(streams * channels4, 64),
  );
}

/** vec4f that the statistics of blocks take. */
export function statisticsPartials(shape: RowShape): number {
  return 3 * shape.streams * planSum(shape).params.threads;
}

/** What follows the normalisation in the same pass. */
export interface NormEpilogue {
  readonly residual: boolean;
  readonly relu: boolean;
  readonly fusion: FusionOptions | null;
}

const cache = new Map<string, Kernel>();

/** The variant of a kernel with the bindings that an epilogue needs, made once; the ReLU is a parameter. */
function variant(name: string, { residual, fusion }: NormEpilogue, make: (name: string) => Kernel): Kernel {
  const full = `${name}${residual ? "_residual" : ""}${fusion ? "_fusion" : ""}`;
  let kernel = cache.get(full);
  if (!kernel) {
    kernel = make(full);
    cache.set(full, kernel);
  }
  return kernel;
}

/** The rows of `statistics`, as kernels name them. */
const channelConstants = ["shift", "offset", "invStd", "scale", "bias"];

/** Declares `c`, a channel of the invocation's stream among those of all streams, and its constants. */
const loadChannel = `
    let c = ${ofThread.stream} * params.channels4 + channel;
    let firstConstant = ${statisticsRows}u * ${ofThread.stream} * params.channels4 + channel;
    ${channelConstants.map((name, i) => `let ${name} = statistics[firstConstant + ${i}u * params.channels4];`).join("\n    ")}`;

/**
 * Declares a channel's constants in each of three streams, which ends their names. In a loop, as fifteen loads that are spelt
 * out take a second to compile; its number of turns is no constant, or the loop would be unrolled.
 */
const loadFusedChannels = `
    ${unroll(3, (g) => channelConstants.map((name) => `var ${name}${g} = vec4f();`).join(" "))}
    for (var row = 0u; row < params.streams + ${statisticsRows - 3}u; row++) {
      ${unroll(
        3,
        (g) => `let value${g} = statistics[(${g * statisticsRows}u + row) * params.channels4 + channel];
      ${channelConstants.map((name, i) => `${name}${g} = select(${name}${g}, value${g}, row == ${i}u);`).join(" ")}`,
      )}
    }`;

/** x − mean at index i of stream g. */
const centred = (g: string, i: string) => `((vec4f(x[${i}]) - shift${g}) - offset${g})`;

const reluParams = { relu: "u32" } as const;

/** What follows the normalisation. */
const activated = (z: string) => rectified(z, "params.relu == 1u");

/** Declares f<g>, the activation at index i of stream g. */
const activation = (residual: boolean, g: string, i: string) => `
      let z${g} = ${centred(g, i)} * scale${g} + bias${g}${residual ? ` + vec4f(residual[${i}])` : ""};
      let f${g} = ${activated(`z${g}`)};`;

/** The gradient d behind a ReLU (if there is one) that gave f. */
const unrectified = (d: string, f: string) => `select(vec4f(), ${d}, (${f} > vec4f()) | vec4<bool>(params.relu == 0u))`;

const at = (g: number) => (g === 0 ? "i" : `${g}u * params.streamSize + i`);

function applyKernel(epilogue: NormEpilogue): Kernel {
  const { residual, fusion } = epilogue;
  return variant("batch_norm", epilogue, (name) =>
    defineKernel({
      name,
      inputs: {
        x: "vec4",
        statistics: "vec4f",
        ...(residual ? { residual: "vec4" } : {}),
        ...(fusion ? { fusion: "vec4f" } : {}),
      } as const,
      outputs: { y: "vec4" },
      params: { ...rowParams, ...reluParams, ...(fusion ? fusionParams : {}) },
      wgsl: fusion
        ? forThread(
            `${loadFusedChannels}${loadFusionWeights}
${loopRows(`${unroll(3, (g) => activation(residual, `${g}`, at(g)))}${storeFused}`)}`,
            { allStreams: true },
          )
        : forThread(`${loadChannel}
${loopRows(`${activation(residual, "", "i")}
      y[i] = as_y(f);`)}`),
    }),
  );
}

export interface NormTensors<T> {
  readonly x: T;
  readonly statistics: T;
  readonly residual?: T | undefined;
  readonly fusion?: T | undefined;
}

/** Only the bindings that the kernel has. @throws Error for one that is missing. */
function bind<T>(kernel: Kernel, tensors: Record<string, T | undefined>): Record<string, T> {
  return Object.fromEntries(
    [...Object.keys(kernel.inputs), ...Object.keys(kernel.outputs)].map((name) => {
      const tensor = tensors[name];
      if (tensor === undefined) throw new Error(`${kernel.name}: no tensor for ${name}`);
      return [name, tensor];
    }),
  );
}

/** Tensors of activations can be sliced by stream, unless a fusion needs all streams at once. */
function slices(kernel: Kernel, { streams }: RowShape, { fusion }: NormEpilogue) {
  const activations = ["x", "y", "dy", "dz", "residual"];
  const names = [...Object.keys(kernel.inputs), ...Object.keys(kernel.outputs)];
  return fusion ? {} : { streams: { count: streams, bindings: names.filter((name) => activations.includes(name)) } };
}

const epilogueValues = ({ relu, fusion }: NormEpilogue) => ({
  relu: relu ? 1 : 0,
  ...(fusion ? fusionParamValues(fusion) : {}),
});

/** y from x and its statistics. */
export function batchNormForward<T>(
  shape: RowShape,
  epilogue: NormEpilogue,
  t: NormTensors<T> & { y: T },
): Dispatch<T> {
  const kernel = applyKernel(epilogue);
  const { params, groupsPerStream } = planMap(shape);
  const workgroups = groupsPerStream * (epilogue.fusion ? 1 : shape.streams);
  const all = { ...params, ...epilogueValues(epilogue) };
  return dispatch(kernel, bind(kernel, { ...t }), all, workgroups, slices(kernel, shape, epilogue));
}

/** The norm with running statistics as the epilogue of what computes x, to the same bits as `batchNormForward`. */
export const runningEpilogue = ({ residual }: Pick<NormEpilogue, "residual">): Epilogue => ({
  name: residual ? "_norm_residual" : "_norm",
  inputs: {
    runningMean: "vec4f",
    runningVar: "vec4f",
    normWeight: "vec4f",
    normBias: "vec4f",
    ...(residual && { residual: "vec4" }),
  },
  params: { eps: "f32", ...reluParams },
  alongOutput: residual ? ["residual"] : [],
  channel: (stream, channel, channels4) => `
    let c = ${stream} * ${channels4} + ${channel};
    let mean = runningMean[c];
    let scale = 1.0 / sqrt(runningVar[c] + params.eps) * normWeight[c];
    let bias = normBias[c];`,
  store: (y, i, value) => `
    let z = (${value} - mean) * scale + bias${residual ? ` + vec4f(residual[${i}])` : ""};
    ${y}[${i}] = as_${y}(${activated("z")});`,
});

/** Evaluation's forward: the statistics, then y, which the product that computes x can take over (unless it is fused). */
export function batchNormRunning<T>(
  shape: RowShape,
  epilogue: NormEpilogue,
  eps: number,
  t: NormTensors<T> & { runningMean: T; runningVar: T; weight: T; bias: T; y: T },
): Dispatch<T>[] {
  const { runningMean, runningVar, weight, bias, statistics, x, y, residual } = t;
  const forward = batchNormForward(shape, epilogue, t);
  const asEpilogue: EpilogueCall<T> = {
    epilogue: runningEpilogue(epilogue),
    x,
    y,
    bindings: { runningMean, runningVar, normWeight: weight, normBias: bias, ...(residual && { residual }) },
    params: { eps, relu: epilogue.relu ? 1 : 0 },
  };
  return [
    runningStatistics(shape, eps, { runningMean, runningVar, weight, bias, statistics }),
    epilogue.fusion ? forward : { ...forward, asEpilogue },
  ];
}

/**
 * First pass of the gradient: the partial sums of dz and dz·x̂, and dz itself where someone else needs it (the
 * residual) or where it is dear to compute (the fusion). Without a residual the ReLU's mask is computed again from x,
 * in the same words as in the forward pass; with one it is the sign of the output y that is kept anyway. At a fusion
 * the unfused activations are computed again: y holds only what came out of the fusion.
 */
function sumsKernel(epilogue: NormEpilogue): Kernel {
  const { residual, fusion } = epilogue;
  const storesDz = residual || fusion !== null;
  const addSums = (g: string, i: string) => `
      sumDz${g} += d_${g};
      sumDzX${g} += d_${g} * (${centred(g, i)} * invStd${g});${storesDz ? ` dz[${i}] = as_dz(d_${g});` : ""}`;
  const declareSums = (g: string) => `
    var sumDz${g} = vec4f();
    var sumDzX${g} = vec4f();`;
  const storeSums = (g: string, stream: string) => `{
      let at = ${stream} * params.threads + thread;
      ${fusion ? `blockSums[at] = sumDz${g}; blockSums[params.streams * params.threads + at] = sumDzX${g};` : `blockDz[at] = sumDz${g}; blockDzX[at] = sumDzX${g};`}
    }`;
  return variant("batch_norm_backward_sums", epilogue, (name) =>
    defineKernel({
      name,
      inputs: {
        dy: "vec4",
        x: "vec4",
        statistics: "vec4f",
        ...(residual && fusion ? { residual: "vec4" } : {}),
        ...(residual && !fusion ? { y: "vec4" } : {}),
        ...(fusion ? { fusion: "vec4f" } : {}),
      } as const,
      outputs: {
        ...(fusion ? { blockSums: "vec4f" } : { blockDz: "vec4f", blockDzX: "vec4f" }),
        ...(storesDz ? { dz: "vec4" } : {}),
        ...(fusion ? { fusionPartials: "vec4f" } : {}),
      } as const,
      params: { ...rowParams, ...reluParams, ...(fusion ? fusionParams : {}) },
      wgsl: fusion
        ? forThread(
            `${loadFusedChannels}${loadFusionWeights}
    ${declareFusionSums}${unroll(3, (g) => declareSums(`${g}`))}
    ${loopRows(`
      ${unroll(3, (g) => `let d${g} = vec4f(dy[${at(g)}]);`)}
      ${unroll(3, (g) => activation(residual, `${g}`, at(g)))}${fusionGradients}
      ${unroll(3, (g) => `let d_${g} = ${unrectified(`g${g}`, `f${g}`)};${addSums(`${g}`, at(g))}`)}`)}${storeFusionSums}
    ${unroll(3, (g) => storeSums(`${g}`, `${g}u`))}`,
            { allStreams: true },
          )
        : forThread(`${loadChannel}
    ${declareSums("")}
    ${loopRows(`
      ${residual ? "" : activation(residual, "", "i")}
      let d_ = ${unrectified("vec4f(dy[i])", residual ? "vec4f(y[i])" : "f")};${addSums("", "i")}`)}
    ${storeSums("", "(params.firstStream + stream)")}`),
    }),
  );
}

const mergeSumsKernel = defineKernel({
  name: "batch_norm_merge_sums",
  inputs: { blockDz: "vec4f", blockDzX: "vec4f" },
  outputs: { dBias: "vec4f", dWeight: "vec4f" },
  params: { ...rowParams, firstDzX: "u32" },
  wgsl: `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.streams * params.channels4) {
    let stream = divide(i, params.channels4);
    let channel = i - stream * params.channels4;
    var sumDz = vec4f();
    var sumDzX = vec4f();
    for (var b = 0u; b < params.blocks; b++) {
      let at = stream * params.threads + b * params.channels4 + channel;
      sumDz += blockDz[at];
      sumDzX += blockDzX[params.firstDzX + at];
    }
    dBias[i] = sumDz;
    dWeight[i] = sumDzX;
  }
}`,
});

/** Second pass: dx, from dz where the first pass stored it, else from dy and the mask computed again. */
const inputGradientKernel = defineKernel({
  name: "batch_norm_backward_input",
  inputs: { dy: "vec4", x: "vec4", statistics: "vec4f", dBias: "vec4f", dWeight: "vec4f" },
  outputs: { dx: "vec4" },
  params: { ...rowParams, ...reluParams, batchShare: "f32" },
  wgsl: forThread(`${loadChannel}
    let meanDz = dBias[c] * params.batchShare;
    let meanDzX = dWeight[c] * params.batchShare;
${loopRows(`${activation(false, "", "i")}
        let d_ = ${unrectified("vec4f(dy[i])", "f")};
        dx[i] = as_dx(scale * (d_ - meanDz - ${centred("", "i")} * invStd * meanDzX));`)}`),
});

/** What the gradient of a batch norm reads and writes; what its epilogue does not have may be missing. */
export interface NormGradients<T> extends NormTensors<T> {
  readonly dy: T;
  readonly y: T;
  /** As many as `sumsPartials` says. */
  readonly partials: readonly T[];
  readonly dz?: T | undefined;
  readonly fusionPartials?: T | undefined;
  readonly dBias: T;
  readonly dWeight: T;
}

/**
 * vec4f of the sums of blocks, a tensor each: of dz and of dz·x̂. Where a block has all rows its sums are the gradients, and
 * there are no others; a fusion leaves one binding for both.
 */
export function sumsPartials(shape: RowShape, { fusion }: NormEpilogue): readonly number[] {
  const { params, blocks } = planSum(shape);
  const size = shape.streams * params.threads;
  if (fusion) return [2 * size];
  return blocks === 1 ? [] : [size, size];
}

/** dBias, dWeight and what the epilogue needs: dz (the residual's gradient), the partial sums of the fusion weights. */
export function batchNormBackwardSums<T>(shape: RowShape, epilogue: NormEpilogue, t: NormGradients<T>): Dispatch<T>[] {
  const kernel = sumsKernel(epilogue);
  const { params, groupsPerStream } = planSum(shape);
  const workgroups = groupsPerStream * (epilogue.fusion ? 1 : shape.streams);
  const all = { ...params, ...epilogueValues(epilogue) };
  const { partials, ...others } = t;
  const { dBias, dWeight } = others;
  const [blockDz = dBias, blockDzX = partials.length > 0 ? blockDz : dWeight] = partials;
  const tensors = bind(kernel, { ...others, blockDz, blockDzX, blockSums: blockDz });
  const sums: Dispatch<T> = dispatch(kernel, tensors, all, workgroups, slices(kernel, shape, epilogue));
  if (partials.length === 0) return [sums];
  const firstDzX = epilogue.fusion ? shape.streams * params.threads : 0;
  const merged = { blockDz, blockDzX, dBias, dWeight };
  const channels = shape.streams * shape.channels4;
  return [sums, dispatch(mergeSumsKernel, merged, { ...params, firstDzX }, divideUp(channels, 64))];
}

/** dx; `training` says whether the statistics were the batch's own. */
export function batchNormBackwardInput<T>(
  shape: RowShape,
  { relu }: NormEpilogue,
  training: boolean,
  t: NormGradients<T> & { dx: T },
): Dispatch<T> {
  const { params, groupsPerStream } = planMap(shape);
  const { dy, dz, x, statistics, dBias, dWeight, dx } = t;
  const all = { ...params, relu: relu && !dz ? 1 : 0, batchShare: training ? 1 / shape.rows : 0 };
  const tensors = { dy: dz ?? dy, x, statistics, dBias, dWeight, dx };
  return dispatch(inputGradientKernel, tensors, all, groupsPerStream * shape.streams, {
    streams: { count: shape.streams, bindings: ["dy", "x", "dx"] },
  });
}
