/**
 * The matrix product on the adapter's matrix units (WGSL's subgroup matrices): products of f16, sums in f32. A workgroup
 * stages tiles of A and B in its memory, rounded to f16, which is where gathers and edges are solved; each of its
 * down × across subgroups multiplies its part, and results go through workgroup memory too, so that stores are guarded.
 */
import { defineKernel, type Kernel, unroll } from "../kernel.ts";
import { type GemmProblem, gridParams, gridPosition } from "./problem.ts";
import { staged } from "./staging.ts";

/** C[m, n] += A[m, k] · B[k, n] in one operation. */
export interface MatrixShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

export interface MatrixTile extends MatrixShape {
  readonly strategy: "matrix";
  /** Of a subgroup. */
  readonly lanes: number;
  /** Rows and columns of C in a tile, and the depth of K that is staged at a time. */
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Subgroups along the rows and the columns of a tile. */
  readonly down: number;
  readonly across: number;
}

/** Staged rows are this many f16 longer than they need to be, so that a column's elements lie in different banks. */
const pad = 8;

const strides = ({ depth, columns }: MatrixTile) => ({ a: depth + pad, b: columns + pad });

/** Bytes of workgroup memory. */
export function matrixStorage(tile: MatrixTile): number {
  const { a, b } = strides(tile);
  return 2 * (tile.rows * a + tile.depth * b) + 4 * tile.down * tile.across * tile.m * tile.n;
}

/** The operations on matrices as WGSL; offsets count elements of aTile, bTile and cTile, which are row-major. */
interface MatrixOps {
  readonly extensions: readonly string[];
  readonly declarations: string;
  /** Of the function that uses them. */
  readonly attribute: string;
  readonly zero: string;
  readonly loadA: (at: string) => string;
  readonly loadB: (at: string) => string;
  readonly multiplyAdd: (a: string, b: string, c: string) => string;
  readonly store: (at: string, c: string) => string;
}

function hardwareOps(tile: MatrixTile): MatrixOps {
  const { m, n, k } = tile;
  const stride = strides(tile);
  return {
    extensions: ["f16", "subgroups", "chromium_experimental_subgroup_matrix"],
    // WGSL states columns before rows.
    declarations: `
alias Left = subgroup_matrix_left<f16, ${k}, ${m}>;
alias Right = subgroup_matrix_right<f16, ${n}, ${k}>;
alias Result = subgroup_matrix_result<f32, ${n}, ${m}>;`,
    // A subgroup's part of the tile follows from its lanes' indices, which are not known to be alike for the subgroup.
    attribute: "@diagnostic(off, chromium.subgroup_matrix_uniformity)",
    zero: "Result()",
    loadA: (at) => `subgroupMatrixLoad<Left, row_major>(&aTile, ${at}, ${stride.a})`,
    loadB: (at) => `subgroupMatrixLoad<Right, row_major>(&bTile, ${at}, ${stride.b})`,
    multiplyAdd: (a, b, c) => `subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${c})`,
    store: (at, c) => `subgroupMatrixStore<row_major>(&cTile, ${at}, ${c}, ${n})`,
  };
}

/** The same operations spelt out, every lane having whole matrices: slow, but any adapter with f16 can prove the rest. */
function emulatedOps(tile: MatrixTile): MatrixOps {
  const { m, n, k, lanes } = tile;
  const stride = strides(tile);
  const load = (name: string, from: string, rows: number, columns: number, rowStride: number) => /* wgsl */ `
struct ${name} { e: array<f16, ${rows * columns}> }
fn load${name}(at: u32) -> ${name} {
  var matrix: ${name};
  for (var i = 0u; i < ${rows * columns}u; i++) {
    matrix.e[i] = ${from}[at + i / ${columns}u * ${rowStride}u + i % ${columns}u];
  }
  return matrix;
}`;
  return {
    extensions: ["f16"],
    declarations: /* wgsl */ `
${load("Left", "aTile", m, k, stride.a)}
${load("Right", "bTile", k, n, stride.b)}
struct Result { e: array<f32, ${m * n}> }
fn multiplyAdd(a: Left, b: Right, c: Result) -> Result {
  var sum = c;
  for (var i = 0u; i < ${m * n}u; i++) {
    for (var kk = 0u; kk < ${k}u; kk++) {
      sum.e[i] += f32(a.e[i / ${n}u * ${k}u + kk]) * f32(b.e[kk * ${n}u + i % ${n}u]);
    }
  }
  return sum;
}
fn storeResult(at: u32, c: Result, lane: u32) {
  var matrix = c;
  for (var i = lane % ${lanes}u; i < ${m * n}u; i += ${lanes}u) { cTile[at + i] = matrix.e[i]; }
}`,
    attribute: "",
    zero: "Result()",
    loadA: (at) => `loadLeft(${at})`,
    loadB: (at) => `loadRight(${at})`,
    multiplyAdd: (a, b, c) => `multiplyAdd(${a}, ${b}, ${c})`,
    store: (at, c) => `storeResult(${at}, ${c}, lane)`,
  };
}

/**
 * @param emulated For tests: the operations on matrices in plain WGSL.
 * @throws RangeError for a tile that is not whole matrices, or whose loads cannot be shared out.
 */
export function matrixGemm(
  problem: GemmProblem,
  tile: MatrixTile,
  { emulated = false }: { emulated?: boolean } = {},
): Kernel {
  const { m, n, k, lanes, rows, columns, depth, down, across } = tile;
  /** Matrices of C that a subgroup computes. */
  const [matricesDown, matricesAcross] = [rows / (down * m), columns / (across * n)];
  if (![matricesDown, matricesAcross, depth / k].every(Number.isInteger)) {
    throw new RangeError(`matrix tile ${JSON.stringify(tile)} is not made of whole matrices for every subgroup`);
  }
  const ops = emulated ? emulatedOps(tile) : hardwareOps(tile);
  const stride = strides(tile);
  const size = m * n;
  const eachMatrix = (body: (i: number, j: number) => string, separator = "\n") =>
    unroll(matricesDown, (i) => unroll(matricesAcross, (j) => body(i, j), separator), separator);
  const { declarations, loop } = staged(
    problem,
    tile,
    lanes * down * across,
    {
      a: (row, kk, value) => `aTile[(${row}) * ${stride.a}u + ${kk}] = f16(${value});`,
      b: (kk, column, value) =>
        `{ let at = (${kk}) * ${stride.b}u + ${column} * 4u; let half = vec4h(${value}); ` +
        `${unroll(4, (c) => `bTile[at + ${c}u] = half.${"xyzw"[c]};`, " ")} }`,
    },
    unroll(
      depth / k,
      (kk) => `{
      ${unroll(matricesDown, (i) => `let a${i} = ${ops.loadA(`(firstRow + ${i * m}u) * ${stride.a}u + ${kk * k}u`)};`)}
      ${unroll(matricesAcross, (j) => `let b${j} = ${ops.loadB(`${kk * k * stride.b}u + firstColumn + ${j * n}u`)};`)}
      ${eachMatrix((i, j) => `c${i}_${j} = ${ops.multiplyAdd(`a${i}`, `b${j}`, `c${i}_${j}`)};`)}
    }`,
    ),
  );

  return defineKernel({
    name: `${problem.name}_matrix_${rows}x${columns}x${depth}${emulated ? "_emulated" : ""}`,
    inputs: problem.inputs,
    outputs: problem.outputs,
    params: { ...gridParams, ...problem.params },
    workgroupSize: lanes * down * across,
    extensions: ops.extensions,
    ...(!emulated && { subgroupLanes: lanes }),
    wgsl: `
var<workgroup> aTile: array<f16, ${rows * stride.a}>;
var<workgroup> bTile: array<f16, ${depth * stride.b}>;
var<workgroup> cTile: array<f32, ${down * across * size}>;
${ops.declarations}
${ops.attribute}
fn run(group: u32, lane: u32) {${gridPosition}
  let part = lane / ${lanes}u;
  let firstRow = part / ${across}u * ${rows / down}u;
  let firstColumn = part % ${across}u * ${columns / across}u;
  ${problem.begin}
  ${declarations}
  ${eachMatrix((i, j) => `var c${i}_${j} = ${ops.zero};`, " ")}
  ${loop}
  ${eachMatrix(
    (i, j) => `workgroupBarrier();
  ${ops.store(`part * ${size}u`, `c${i}_${j}`)};
  workgroupBarrier();
  for (var e = lane % ${lanes}u; e < ${size / 4}u; e += ${lanes}u) {
    let row = rowTile * ${rows}u + firstRow + ${i * m}u + e / ${n / 4}u;
    let column = columnTile * ${columns / 4}u + (firstColumn + ${j * n}u) / 4u + e % ${n / 4}u;
    if ((row < params.rows) & (column < params.columns)) {
      ${problem.column?.("column") ?? ""}
      let at = part * ${size}u + 4u * e;
      let sum = vec4f(cTile[at], cTile[at + 1u], cTile[at + 2u], cTile[at + 3u]);
      ${problem.observe?.("sum") ?? ""}
      ${problem.store("row", "column", "sum")}
    }
  }`,
  )}
  ${problem.finish ?? ""}
}`,
  });
}
