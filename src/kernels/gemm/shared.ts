/**
 * The matrix product for adapters without subgroups of one known size: a workgroup stages tiles of A and B in workgroup
 * memory, every invocation keeps a block of `rowsPerLane` × `columnsPerLane` sums in registers.
 */
import { defineKernel, type Kernel, unroll } from "../kernel.ts";
import { type GemmProblem, gridParams, gridPosition } from "./problem.ts";

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
  const groups = depth / 4;
  const alongK = problem.aVector === "k";
  // Units of loading: a vec4f of A, and the four vec4f of B that belong to a group of four k's.
  const loadsOfA = (rows * groups) / lanes;
  const loadsOfB = Math.ceil(((columns / 4) * groups) / lanes);
  if (!Number.isInteger(loadsOfA) || lanes % groups !== 0 || lanes % (rows / 4) !== 0) {
    throw new RangeError(`shared tile ${JSON.stringify(tile)} cannot be loaded evenly by its ${lanes} lanes`);
  }

  const rowNames = alongK ? Array.from({ length: loadsOfA }, (_, i) => `${i}`) : ["0"];
  const rowDeclarations = alongK
    ? unroll(loadsOfA, (i) => {
        const row = `rowTile * ${rows}u + lane / ${groups}u + ${(i * lanes) / groups}u`;
        return `let row${i} = min(${row}, params.rows - 1u);\n${problem.row(`${i}`)}`;
      })
    : `let row0 = min(rowTile * ${rows / 4}u + lane % ${rows / 4}u, params.rows / 4u - 1u);\n${problem.row("0")}`;
  const stageA = alongK
    ? unroll(
        loadsOfA,
        (i) => `{
      let kGroup = k + lane % ${groups}u;
      let value = select(vec4f(), ${problem.loadA(`${i}`, `min(kGroup, ${problem.kLimit} - 1u)`, 0)}, kGroup < ${problem.kLimit});
      let at = lane % ${groups}u * ${4 * rows}u + lane / ${groups}u + ${(i * lanes) / groups}u;
      ${unroll(4, (v) => `aTile[at + ${v * rows}u] = value.${"xyzw"[v]};`, " ")}
    }`,
      )
    : unroll(
        loadsOfA,
        (i) => `{
      let kk = lane / ${rows / 4}u + ${(i * lanes) / (rows / 4)}u;
      ${problem.locate?.("0", "k + kk") ?? ""}
      let value = ${problem.loadA("0", "k + kk", 0)};
      let at = kk * ${rows}u + lane % ${rows / 4}u * 4u;
      ${unroll(4, (v) => `aTile[at + ${v}u] = value.${"xyzw"[v]};`, " ")}
    }`,
      );
  const stageB = unroll(
    loadsOfB,
    (j) => `{
      let unit = lane + ${j * lanes}u;
      if (unit < ${(columns / 4) * groups}u) {
        let kGroup = ${alongK ? `min(k + unit / ${columns / 4}u, ${problem.kLimit} - 1u)` : `k + unit / ${columns / 4}u * 4u`};
        ${problem.loadB("b", `${j}`, "kGroup")}
        let at = unit / ${columns / 4}u * ${columns}u + unit % ${columns / 4}u;
        ${unroll(4, (v) => `bTile[at + ${(v * columns) / 4}u] = b${v};`, " ")}
      }
    }`,
  );
  const body = `
    workgroupBarrier();
    ${stageA}
    ${stageB}
    workgroupBarrier();
    for (var kk = 0u; kk < ${depth}u; kk++) {
      ${unroll(columnVectors, (j) => `let b${j} = bTile[kk * ${columns / 4}u + ${j * lanesAcross}u + laneX];`)}
      ${unroll(rowsPerLane, (i) => `let a${i} = aTile[kk * ${rows}u + laneY * ${rowsPerLane}u + ${i}u];`)}
      ${unroll(rowsPerLane, (i) => unroll(columnVectors, (j) => `c${i}_${j} += a${i} * b${j};`, " "))}
    }`;
  const loop = alongK
    ? problem.loop(body, groups, rowNames)
    : (problem.plainLoop ?? problem.loop)(body, groups, rowNames);

  return defineKernel({
    name: `${problem.name}_shared_${rows}x${columns}x${depth}`,
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
  ${unroll(
    loadsOfB,
    (j) =>
      `let column${j} = min(columnTile * ${columns / 4}u + (lane + ${j * lanes}u) % ${columns / 4}u, params.columns - 1u);`,
  )}
  ${rowDeclarations}
  ${unroll(rowsPerLane, (i) => unroll(columnVectors, (j) => `var c${i}_${j} = vec4f();`, " "))}
  ${loop}
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
}`,
  });
}
