/**
 * The matrix product for adapters without subgroups of one known size: a workgroup stages tiles of A and B in workgroup
 * memory, every invocation keeps a block of `rowsPerLane` × `columnsPerLane` sums in registers.
 */
import { defineKernel, type Kernel, unroll } from "../kernel.ts";
import { type GemmProblem, gridParams, gridPosition, observeSums } from "./problem.ts";
import { staged } from "./staging.ts";

export interface SharedTile {
  readonly strategy: "shared";
  /** Rows and columns of C in a tile, and the depth of K that is staged at a time; multiples of 4. */
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly rowsPerLane: number;
  /** A multiple of 4. */
  readonly columnsPerLane: number;
}

export function sharedGemm(problem: GemmProblem, tile: SharedTile): Kernel {
  const { rows, columns, depth, rowsPerLane, columnsPerLane } = tile;
  const lanes = (rows / rowsPerLane) * (columns / columnsPerLane);
  const columnVectors = columnsPerLane / 4;
  const lanesAcross = columns / columnsPerLane;
  const { declarations, loop } = staged(
    problem,
    tile,
    lanes,
    {
      a: (row, k, value) => `aTile[(${k}) * ${rows}u + ${row}] = ${value};`,
      b: (k, column, value) => `bTile[(${k}) * ${columns / 4}u + ${column}] = ${value};`,
    },
    `for (var kk = 0u; kk < ${depth}u; kk++) {
      ${unroll(columnVectors, (j) => `let b${j} = bTile[kk * ${columns / 4}u + ${j * lanesAcross}u + laneX];`)}
      ${unroll(rowsPerLane, (i) => `let a${i} = aTile[kk * ${rows}u + laneY * ${rowsPerLane}u + ${i}u];`)}
      ${unroll(rowsPerLane, (i) => unroll(columnVectors, (j) => `c${i}_${j} += a${i} * b${j};`, " "))}
    }`,
  );

  return defineKernel({
    name: `${problem.name}_shared_${rows}x${columns}x${depth}_${rowsPerLane}x${columnsPerLane}`,
    inputs: problem.inputs,
    outputs: problem.outputs,
    params: { ...gridParams, ...problem.params },
    workgroupSize: lanes,
    wgsl: `
var<workgroup> aTile: array<f32, ${depth * rows}>;
var<workgroup> bTile: array<vec4f, ${(depth * columns) / 4}>;
fn run(group: u32, lane: u32) {${gridPosition}
  let laneX = lane % ${lanesAcross}u;
  let laneY = lane / ${lanesAcross}u;
  ${problem.begin}
  ${declarations}
  ${unroll(rowsPerLane, (i) => unroll(columnVectors, (j) => `var c${i}_${j} = vec4f();`, " "))}
  ${loop}
  ${observeSums(problem, rowsPerLane, columnVectors)}
  ${unroll(
    columnVectors,
    (j) => `{
    let column = columnTile * ${columns / 4}u + ${j * lanesAcross}u + laneX;
    if (column < params.columns) {
${problem.column?.("column") ?? ""}
${unroll(rowsPerLane, (i) => `    { let row = rowTile * ${rows}u + laneY * ${rowsPerLane}u + ${i}u; if (row < params.rows) { ${problem.store("row", "column", `c${i}_${j}`)} } }`)}
    }
  }`,
  )}
  ${problem.finish ?? ""}
}`,
  });
}
