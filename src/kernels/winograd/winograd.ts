/**
 * Winograd's convolution for 3×3 kernels with stride 1 (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
 * 2016): a tile of m×m outputs takes n² = (m + 2)² multiplications for each pair of channels instead of 9·m².
 *
 *   y       = Aᵀ [Σ_c (Bᵀ x B) ⊙ (G weight Gᵀ)] A
 *   dx      = the same of dy, with the weight rotated by 180° and its channels exchanged
 *   dWeight = Gᵀ [Σ_tiles (Bᵀ x B) ⊙ (A dy Aᵀ)] G
 *
 * The sums are n² plain matrix products for each stream: those of convolutions with a 1×1 kernel over that many streams,
 * so they need no pipelines of their own.
 */
import { type Conv2dShape, conv2dForward, conv2dOperations, conv2dWeightGradient } from "../conv2d.ts";
import { type Epilogue, type EpilogueCall, epilogueStreams, noEpilogue } from "../epilogue.ts";
import type { GemmTile } from "../gemm/core.ts";
import { type Dispatch, dispatch, divideUp, type Kernel } from "../kernel.ts";
import { sumAxis } from "../sum.ts";
import type { GradientWatch } from "../watch.ts";
import { filtering } from "./matrices.ts";
import { transformsOf, transformWorkgroup } from "./transforms.ts";

/** Aᵀ and Bᵀ are exact in binary, and the error is half of that of the usual 0, ±1, ±2 (docs/numerics.md). */
export const winogradPoints: readonly number[] = [0, 3 / 4, -3 / 4, 3 / 2, -3 / 2];

const transforms = transformsOf(filtering(4, 3, winogradPoints));
const { m, n } = transforms.filtering;

/** What Winograd's convolutions need beside the products. */
export const winogradTransforms = (epilogue: Epilogue = noEpilogue): readonly Kernel[] => [
  transforms.input,
  transforms.inputFromTexels,
  transforms.outputGradient,
  transforms.weight,
  transforms.output(epilogue),
  transforms.weightGradient,
];

/** Whether a convolution can be computed so: the padding of its input gradient is 2 − padding. */
export const isWinograd = (s: Conv2dShape): boolean =>
  s.kernelHeight === 3 && s.kernelWidth === 3 && s.stride === 1 && s.padding <= 2;

/** The convolution of dy that is the input gradient. */
export const inputGradientShape = (s: Conv2dShape): Conv2dShape => ({
  ...s,
  sharedInput: false,
  height: s.outHeight,
  width: s.outWidth,
  inChannels: s.outChannels,
  outHeight: s.height,
  outWidth: s.width,
  outChannels: s.inChannels,
  padding: 2 - s.padding,
});

/** Shapes of the workspaces: transformed x, weight and y (or dy), each n² matrices for each stream. */
export interface WinogradSizes {
  readonly tiles: number;
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly y: readonly number[];
}

export function winogradSizes(s: Conv2dShape): WinogradSizes {
  const tiles = tilesIn(s);
  const matrices = (rows: number, columns: number) => [s.streams, n * n, 4 * matrixStride(rows, columns)];
  return {
    tiles,
    x: matrices(tiles, s.inChannels),
    weight: matrices(s.inChannels, s.outChannels),
    y: matrices(tiles, s.outChannels),
  };
}

const tilesIn = (s: Conv2dShape): number => s.batch * divideUp(s.outHeight, m) * divideUp(s.outWidth, m);

/**
 * From a matrix to the next, in vec4f: an odd number of cache lines. Sizes are mostly powers of two, and n² places that
 * far apart would share a few lines of the cache.
 */
const matrixStride = (rows: number, columns: number): number => 4 * (divideUp(rows * columns, 16) | 1);

/** The matrix products as a convolution with a 1×1 kernel: a stream for each matrix, a pixel for each tile. */
export const pointwiseShape = (s: Conv2dShape): Conv2dShape => ({
  ...s,
  streams: s.streams * n * n,
  sharedInput: false,
  batch: tilesIn(s),
  ...{ height: 1, width: 1, outHeight: 1, outWidth: 1, kernelHeight: 1, kernelWidth: 1, padding: 0 },
});

/** A dispatch for pointwiseShape(s) as part of the convolution. */
function pointwise<T>(s: Conv2dShape, { withEpilogue: _, withObserver: __, ...d }: Dispatch<T>): Dispatch<T> {
  const strides = {
    xStream: matrixStride(tilesIn(s), s.inChannels),
    wStream: matrixStride(s.inChannels, s.outChannels),
    yStream: matrixStride(tilesIn(s), s.outChannels),
  };
  return { ...d, params: { ...d.params, ...strides }, operations: conv2dOperations(s) };
}

/** Which product of a convolution a dispatch helps to compute, as profiles name it. */
type Product = "conv2d_forward" | "conv2d_input_gradient" | "conv2d_weight_gradient";

interface Operands<T> {
  readonly x: T;
  readonly weight: T;
  readonly y: T;
  /** Workspaces, as winogradSizes has them. */
  readonly xMatrices: T;
  readonly weightMatrices: T;
  readonly yMatrices: T;
}

/** y = x ⋆ weight. `tile` is for the products: as many rows as tiles, and the output's columns. */
export function winogradForward<T>(tile: GemmTile, s: Conv2dShape, t: Operands<T>): Dispatch<T>[] {
  return convolution("conv2d_forward", tile, s, t);
}

/** dx, for every stream. The workspaces are those of `inputGradientShape(s)`, with dy as its x. */
export function winogradInputGradient<T>(
  tile: GemmTile,
  s: Conv2dShape,
  { dy, dx, ...t }: { readonly dy: T; readonly dx: T } & Omit<Operands<T>, "x" | "y">,
): Dispatch<T>[] {
  return convolution("conv2d_input_gradient", tile, inputGradientShape(s), { x: dy, y: dx, ...t });
}

function convolution<T>(product: Product, tile: GemmTile, s: Conv2dShape, t: Operands<T>): Dispatch<T>[] {
  const { x, weight, y, xMatrices, weightMatrices, yMatrices } = t;
  const dispatches: Dispatch<T>[] = [
    inputTransform(tile, s, { pixels: x, matrices: xMatrices }),
    weightTransform(s, product === "conv2d_input_gradient", { weight, matrices: weightMatrices }),
    {
      ...pointwise(s, conv2dForward(tile, pointwiseShape(s), { x: xMatrices, weight: weightMatrices, y: yMatrices })),
      // A stream's matrices are a whole number of alignments, so they are always sliced, and counted from 0.
      ...byStream(s, ["x", "y"], ["weight"]),
    },
  ];
  return [...dispatches.map((d) => named(product, d)), outputTransform(product, s, { matrices: yMatrices, pixels: y })];
}

/**
 * dWeight. `tile` is for products with the weight's rows and columns; `weightMatrices` is the workspace that
 * winogradSizes has. Where the sum is split, `partials` holds that many of them one behind the other. `watch` is for the
 * products, so that they share their pipeline with direct gradients: dWeight itself is not watched.
 */
export function winogradWeightGradient<T>(
  tile: GemmTile,
  s: Conv2dShape,
  sum: { splits: number; chunk: number },
  t: {
    readonly x: T;
    readonly dy: T;
    readonly dWeight: T;
    readonly xMatrices: T;
    readonly yMatrices: T;
    readonly weightMatrices: T;
    readonly partials: T | null;
  },
  watch: GradientWatch<T> | null = null,
): Dispatch<T>[] {
  const { x, dy, dWeight, xMatrices, yMatrices, weightMatrices, partials } = t;
  const { outputGradient, weightGradient } = transforms;
  const gradientTiles = tilesOf(s, { height: s.outHeight, width: s.outWidth, channels: s.outChannels });
  const products = { x: xMatrices, dy: yMatrices, dWeight: partials ?? weightMatrices };
  const multiplied = pointwise(s, conv2dWeightGradient(tile, pointwiseShape(s), sum, products, watch));
  const size = s.streams * n * n * matrixStride(s.inChannels, s.outChannels);
  const weights = weightsOf(s);
  const dispatches: Dispatch<T>[] = [
    inputTransform(tile, s, { pixels: x, matrices: xMatrices }),
    dispatch(outputGradient, { pixels: dy, matrices: yMatrices }, gradientTiles.params, gradientTiles.workgroups, {
      ...byStream(s, ["pixels", "matrices"]),
    }),
    {
      ...multiplied,
      params: { ...multiplied.params, splitStride: size },
      // Partial sums lie apart by all streams' matrices, so a stream's cannot be bound alone.
      ...(partials ? {} : byStream(s, ["x", "dy"], ["dWeight"])),
    },
    ...(partials ? [sumAxis({ count: sum.splits, inner: size }, { x: partials, total: weightMatrices })] : []),
    dispatch(weightGradient, { matrices: weightMatrices, dWeight }, weights.params, weights.workgroups, {
      streams: { count: s.streams, bindings: ["matrices"], parameters: ["dWeight"] },
    }),
  ];
  return dispatches.map((d) => named("conv2d_weight_gradient", d));
}

/** A pixel is read for two tiles or more: where products read such an operand from a texture, this does too. */
function inputTransform<T>(
  tile: GemmTile,
  s: Conv2dShape,
  t: { readonly pixels: T; readonly matrices: T },
): Dispatch<T> {
  const { height, width, inChannels, padding, sharedInput } = s;
  const { params, workgroups } = tilesOf(s, { height, width, channels: inChannels, padding, shared: sharedInput });
  const isFromTexels = "texels" in tile && tile.texels?.includes("a");
  return dispatch(isFromTexels ? transforms.inputFromTexels : transforms.input, t, params, workgroups, {
    ...byStream(s, sharedInput ? ["matrices"] : ["pixels", "matrices"]),
  });
}

function outputTransform<T>(
  product: Product,
  s: Conv2dShape,
  t: { readonly matrices: T; readonly pixels: T },
  end?: EpilogueCall<T>,
): Dispatch<T> {
  const { epilogue = noEpilogue, bindings = {}, params = {} } = end ?? {};
  const { bindings: along, parameters } = epilogueStreams(epilogue);
  const tiles = tilesOf(s, { height: s.outHeight, width: s.outWidth, channels: s.outChannels });
  return named(
    product,
    dispatch(transforms.output(epilogue), { ...t, ...bindings }, { ...tiles.params, ...params }, tiles.workgroups, {
      streams: { count: s.streams, bindings: ["matrices", "pixels", ...along], parameters },
      ...(!end && {
        withEpilogue: (call: EpilogueCall<T>) => outputTransform(product, s, { ...t, pixels: call.y }, call),
      }),
    }),
  );
}

/** `rotated`: the weight is that of the convolution whose input gradient `s` is. */
function weightTransform<T>(
  s: Conv2dShape,
  rotated: boolean,
  t: { readonly weight: T; readonly matrices: T },
): Dispatch<T> {
  const { params, workgroups } = weightsOf(s);
  return dispatch(transforms.weight, t, { ...params, rotated: rotated ? 1 : 0 }, workgroups, {
    streams: { count: s.streams, bindings: ["matrices"], parameters: ["weight"] },
  });
}

/** The work of a kernel with an invocation for each vec4f of a weight's matrix. */
function weightsOf(s: Conv2dShape) {
  const { inChannels, outChannels } = s;
  const { params, workgroups } = threadsOf(s, inChannels, outChannels);
  return { params: { ...params, rows: inChannels, columns4: outChannels / 4 }, workgroups };
}

/** The work of a kernel with an invocation for each vec4f of a matrix. */
function threadsOf({ streams }: Conv2dShape, rows: number, columns: number) {
  const threads = (rows * columns) / 4;
  const groupsPerStream = divideUp(threads, transformWorkgroup);
  const params = { groupsPerStream, threads, matrixStride: matrixStride(rows, columns) };
  return { params, workgroups: groupsPerStream * streams };
}

/** The work of a kernel over the tiles of images; `shared` where the streams have one image. */
function tilesOf(
  s: Conv2dShape,
  image: { height: number; width: number; channels: number; padding?: number; shared?: boolean },
) {
  const { height, width, channels, padding = 0, shared = false } = image;
  const [tilesY, tilesX] = [divideUp(s.outHeight, m), divideUp(s.outWidth, m)];
  const channels4 = channels / 4;
  const { params, workgroups } = threadsOf(s, tilesIn(s), channels);
  const imageStream = shared ? 0 : s.batch * height * width * channels4;
  return { params: { ...params, channels4, tilesX, tilesY, height, width, imageStream, padding }, workgroups };
}

const byStream = <const B extends string>({ streams }: Conv2dShape, bindings: readonly B[], parameters: B[] = []) =>
  streams > 1 ? { streams: { count: streams, bindings, parameters } } : {};

const renamed = new Map<Kernel, Map<Product, Kernel>>();

/** The dispatch under a name that begins with its product; the pipeline stays the same. */
function named<T>(product: Product, d: Dispatch<T>): Dispatch<T> {
  const names = renamed.get(d.kernel) ?? new Map<Product, Kernel>();
  renamed.set(d.kernel, names);
  const part = d.kernel.name.replace(/^winograd_/, "").replace(/^conv2d_(forward|weight_gradient)/, "product");
  const kernel = names.get(product) ?? { ...d.kernel, name: `${product}_winograd_${part}` };
  names.set(product, kernel);
  return { ...d, kernel };
}
