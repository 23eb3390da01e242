/**
 * The transforms of Winograd's convolution: from pixels and weights to n² matrices for each stream, and back. A tile is
 * the m×m outputs that one set of n² products gives; tiles that overhang the image read zeros and store nothing beyond
 * it. An invocation owns four channels (one vec4f) of a tile or of a weight, and all of the n² matrices.
 *
 * Matrices lie stream by stream, [streams, n², rows, columns], `matrixStride` apart; sizes and strides are in vec4f.
 */
import type { Epilogue } from "../epilogue.ts";
import { defineKernel, type Kernel, unroll } from "../kernel.ts";
import { inRow, locateColumn, locatePlace } from "../panels.ts";
import { withTexels } from "../texels.ts";
import { type Filtering, type Matrix, transform2d, transpose } from "./matrices.ts";

/** Invocations in a workgroup. */
export const transformWorkgroup = 64;

/** Declares `stream` and `thread`, which runs over the `threads` invocations of a stream; runs `body`. */
const forThread = (body: string): string => /* wgsl */ `
fn run(group: u32, lane: u32) {
  let stream = divide(group, params.groupsPerStream);
  let thread = (group - stream * params.groupsPerStream) * ${transformWorkgroup}u + lane;
  if (thread < params.threads) {
${body}
  }
}`;

/** Declares the place of the invocation's tile in an image of `height` × `width`: `image`, and `y` and `x` of its corner. */
const locateTile = (m: number): string => /* wgsl */ `
    let tile = divide(thread, params.channels4);
    let channel = thread - tile * params.channels4;
    let line = divide(tile, params.tilesX);
    let n = divide(line, params.tilesY);
    let y = (line - n * params.tilesY) * ${m}u;
    let x = (tile - line * params.tilesX) * ${m}u;
    let image = stream * params.imageStream + n * params.height * params.width * params.channels4 + channel;`;

export const tileParams = {
  groupsPerStream: "u32",
  threads: "u32",
  matrixStride: "u32",
  channels4: "u32",
  tilesX: "u32",
  tilesY: "u32",
  height: "u32",
  width: "u32",
  imageStream: "u32",
  padding: "u32",
} as const;

const each = (count: number, code: (i: number, j: number) => string): string =>
  unroll(count, (i) => unroll(count, (j) => code(i, j)));

const loadMatrices = (n: number, name: string): string => /* wgsl */ `
    let first = stream * ${n * n}u * params.matrixStride + thread;
    ${each(n, (i, j) => `let d${i}_${j} = ${name}[first + ${i * n + j}u * params.matrixStride];`)}`;

const storeMatrices = (n: number, name: string, value: string): string => /* wgsl */ `
    let first = stream * ${n * n}u * params.matrixStride + thread;
    ${each(n, (i, j) => `${name}[first + ${i * n + j}u * params.matrixStride] = ${value}${i}_${j};`)}`;

/** The `window`×`window` pixels of every tile, through `matrix`. */
const tilesToMatrices = (name: string, m: number, window: number, matrix: Matrix): TileKernel =>
  defineKernel({
    name,
    inputs: { pixels: "vec4" },
    outputs: { matrices: "vec4f" },
    params: tileParams,
    // Unsigned wrap-around makes rows above the image fail the same test as rows below it.
    wgsl: forThread(`${locateTile(m)}
    ${unroll(
      window,
      (i) => /* wgsl */ `
    let y${i} = y + ${i}u - params.padding;
    let x${i} = x + ${i}u - params.padding;
    let inY${i} = y${i} < params.height;
    let inX${i} = x${i} < params.width;
    let row${i} = image + y${i} * params.width * params.channels4;
    let column${i} = x${i} * params.channels4;`,
    )}
    ${each(
      window,
      (i, j) => `
    let in${i}_${j} = inY${i} & inX${j};
    let d${i}_${j} = select(vec4f(), load_pixels(select(0u, row${i} + column${j}, in${i}_${j})), in${i}_${j});`,
    )}
    ${transform2d(matrix, "d", "v")}
    ${storeMatrices(matrix.length, "matrices", "v")}`),
  });

/** U is a matrix of `rows` × `columns4`, which lies in panels as all weights do. */
export const weightParams = {
  groupsPerStream: "u32",
  threads: "u32",
  matrixStride: "u32",
  rows: "u32",
  columns4: "u32",
} as const;

const matrixSize = { rows: "params.rows", columns4: "params.columns4" };

type TileKernel = Kernel<"pixels" | "matrices", keyof typeof tileParams>;

export interface Transforms {
  readonly filtering: Filtering;
  /** V = Bᵀ d B of the n×n pixels that a tile reads. */
  readonly input: TileKernel;
  /** The same of pixels in a texture. */
  readonly inputFromTexels: TileKernel;
  /** A dy Aᵀ of a tile's m×m gradients. */
  readonly outputGradient: TileKernel;
  /** U = G w Gᵀ, with w rotated by 180° and its channels exchanged where `rotated` says so. */
  readonly weight: Kernel<"weight" | "matrices", keyof typeof weightParams | "rotated">;
  /** y = Aᵀ M A, or what an epilogue makes of it; the same epilogue gives the same object. */
  readonly output: (epilogue: Epilogue) => Kernel;
  /** dWeight = Gᵀ P G. */
  readonly weightGradient: Kernel<"matrices" | "dWeight", keyof typeof weightParams>;
}

const outputTransform = ({ m, n, aT }: Filtering, epilogue: Epilogue): Kernel =>
  defineKernel({
    name: `winograd_output${epilogue.name}`,
    inputs: { matrices: "vec4f", ...epilogue.inputs },
    outputs: { pixels: "vec4" },
    params: { ...tileParams, ...epilogue.params },
    wgsl: forThread(`${locateTile(m)}${loadMatrices(n, "matrices")}
    ${transform2d(aT, "d", "y")}
    ${epilogue.channel("(params.firstStream + stream)", "channel", "params.channels4")}
    ${each(
      m,
      (i, j) => /* wgsl */ `
    if ((y + ${i}u < params.height) & (x + ${j}u < params.width)) {
      let i = image + ((y + ${i}u) * params.width + x + ${j}u) * params.channels4;
      ${epilogue.store("pixels", "i", `y${i}_${j}`)}
    }`,
    )}`),
  }) as Kernel;

export function transformsOf(filtering: Filtering): Transforms {
  const { m, r, n, aT, bT, g } = filtering;
  const outputs = new Map<string, Kernel>();
  const input = tilesToMatrices("winograd_input", m, n, bT);
  return {
    filtering,
    input,
    inputFromTexels: withTexels(input, ["pixels"]),
    outputGradient: tilesToMatrices("winograd_output_gradient", m, m, transpose(aT)),
    weight: defineKernel({
      name: "winograd_weight",
      inputs: { weight: "f32" },
      outputs: { matrices: "vec4f" },
      params: { ...weightParams, rotated: "u32" },
      // The weight is read float by float: rotated, four columns of U are four of its rows.
      wgsl: forThread(/* wgsl */ `
    ${locatePlace("thread", matrixSize)}
    let isRotated = params.rotated != 0u;
    let columns = params.columns4 * 4u;
    let inputs = select(params.rows, columns, isRotated);
    let outputs = select(columns, params.rows, isRotated);
    let inChannel = select(row, column * 4u, isRotated);
    let outChannel = select(column * 4u, row, isRotated);
    ${locateColumn("", "outChannel / 4u", { rows: `(${r * r}u * inputs)`, columns4: "(outputs / 4u)" })}
    let width = panelWidth * 4u;
    let step = select(1u, 4u, isRotated);
    let at = (params.firstStream + stream) * ${r * r}u * inputs * outputs + (${inRow("", "inChannel")}) * 4u + outChannel % 4u;
    ${each(
      r,
      (i, j) => /* wgsl */ `
    let tap${i}_${j} = at + select(${i * r + j}u, ${r * r - 1 - i * r - j}u, isRotated) * inputs * width;
    let d${i}_${j} = vec4f(${unroll(4, (c) => `weight[tap${i}_${j} + ${c}u * step]`, ", ")});`,
    )}
    ${transform2d(g, "d", "u")}
    ${storeMatrices(n, "matrices", "u")}`),
    }),
    output: (epilogue) => {
      const { name } = epilogue;
      const kernel = outputs.get(name) ?? outputTransform(filtering, epilogue);
      outputs.set(name, kernel);
      return kernel;
    },
    weightGradient: defineKernel({
      name: "winograd_weight_gradient",
      inputs: { matrices: "vec4f" },
      outputs: { dWeight: "vec4f" },
      params: weightParams,
      wgsl: forThread(`${loadMatrices(n, "matrices")}
    ${transform2d(transpose(g), "d", "w")}
    ${locatePlace("thread", matrixSize)}
    ${locateColumn("", "column", { rows: `(${r * r}u * params.rows)`, columns4: "params.columns4" })}
    let at = (params.firstStream + stream) * ${r * r}u * params.threads + ${inRow("", "row")};
    ${each(r, (i, j) => `dWeight[at + ${i * r + j}u * params.rows * panelWidth] = w${i}_${j};`)}`),
    }),
  };
}
