/**
 * The matrix product in registers alone: every invocation keeps a block of `rowsPerLane` rows and `columnVectors` vec4f
 * of columns, and loads what it needs straight from memory, where neighbours meet in the cache. No barrier, no subgroup.
 */
import { defineKernel, type Kernel, unroll } from "../kernel.ts";
import { declareColumn, type GemmProblem, gridParams, gridPosition, observeSums } from "./problem.ts";

export interface RegisterTile {
  readonly strategy: "register";
  /** Invocations along the rows and the columns of a tile. */
  readonly lanesDown: number;
  readonly lanesAcross: number;
  /** A multiple of 4. */
  readonly rowsPerLane: number;
  /** Columns of C in a lane, in vec4f. */
  readonly columnVectors: number;
}

export function registerGemm(problem: GemmProblem, tile: RegisterTile): Kernel {
  const { lanesDown, lanesAcross, rowsPerLane, columnVectors } = tile;
  if (rowsPerLane % 4 !== 0)
    throw new RangeError(`a register tile's rowsPerLane is ${rowsPerLane}, not a multiple of 4`);
  const { usedKs = 4 } = problem;
  const alongK = problem.aVector === "k";
  /** Rows (or groups of four) that a lane loads; neighbouring lanes take neighbouring ones. */
  const units = alongK ? rowsPerLane : rowsPerLane / 4;
  const unitOf = (i: number) => `rowTile * ${lanesDown * units}u + ${i * lanesDown}u + laneY`;
  /** A at (row i of the lane, k number v of four). */
  const a = (i: number, v: number) => (alongK ? `a${i}.${"xyzw"[v]}` : `a${v}_${i >> 2}.${"xyzw"[i & 3]}`);
  const rowOf = (i: number) => (alongK ? unitOf(i) : `(${unitOf(i >> 2)}) * 4u + ${i & 3}u`);

  const loadsOfA = alongK
    ? unroll(units, (i) => `let a${i} = ${problem.loadA(`${i}`, "k", 0)};`)
    : unroll(4, (v) => unroll(units, (i) => `let a${v}_${i} = ${problem.loadA(`${i}`, `k + ${v}u`, v)};`));
  const body = `${loadsOfA}
${unroll(
  columnVectors,
  (j) => `${problem.loadB(`b${j}_`, `${j}`, "k")}
${unroll(usedKs, (v) => unroll(rowsPerLane, (i) => `c${i}_${j} += ${a(i, v)} * b${j}_${v};`))}`,
)}`;

  return defineKernel({
    name: `${problem.name}_register_${lanesDown * rowsPerLane}x${4 * lanesAcross * columnVectors}`,
    inputs: problem.inputs,
    outputs: problem.outputs,
    params: { ...gridParams, ...problem.params },
    workgroupSize: lanesDown * lanesAcross,
    wgsl: `
fn run(group: u32, lane: u32) {${gridPosition}
  let laneX = lane % ${lanesAcross}u;
  let laneY = lane / ${lanesAcross}u;
  ${problem.begin}
  ${unroll(columnVectors, (j) => {
    const index = `columnTile * ${lanesAcross * columnVectors}u + ${j * lanesAcross}u + laneX`;
    return declareColumn(problem, j, index);
  })}
  ${unroll(units, (i) => {
    const count = alongK ? "params.rows" : "params.rows / 4u";
    return `let row${i} = min(${unitOf(i)}, ${count} - 1u);\n${problem.row(`${i}`)}`;
  })}
  ${unroll(rowsPerLane, (i) => unroll(columnVectors, (j) => `var c${i}_${j} = vec4f();`, " "))}
  ${problem.loop(
    body,
    1,
    Array.from({ length: units }, (_, i) => `${i}`),
  )}
  ${observeSums(problem, rowsPerLane, columnVectors)}
  ${unroll(
    columnVectors,
    (j) => `if (columnIndex${j} < params.columns) {
${problem.column?.(`column${j}`) ?? ""}
${unroll(rowsPerLane, (i) => `  { let row = ${rowOf(i)}; if (row < params.rows) { ${problem.store("row", `column${j}`, `c${i}_${j}`)} } }`)}
  }`,
  )}
  ${problem.finish ?? ""}
}`,
  });
}
