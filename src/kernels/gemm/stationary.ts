/**
 * The matrix product for short sums on adapters with subgroups of one known size: all of B that a workgroup needs stays
 * in its lanes, and rows pass by, `rows` at a time. B is loaded once for `turns` times as many rows, and no sum is
 * carried round a loop. A workgroup is one subgroup; lanes own columns of C, load a part of A each and hand it round.
 */
import { defineKernel, type Kernel, unroll } from "../kernel.ts";
import { declareColumn, type GemmProblem, gridParams, gridPosition, type Texels } from "./problem.ts";

export interface StationaryTile {
  readonly strategy: "stationary";
  readonly lanes: number;
  /** The longest sum, a multiple of `lanes`; a shorter one is filled up with zeros. */
  readonly depth: number;
  /** Rows of C that are computed at a time, 4 for each of a divisor of `lanes`. */
  readonly rows: number;
  /** How many times that a workgroup does so. */
  readonly turns: number;
  /** Columns of C in a lane, in vec4f. */
  readonly columnVectors: number;
  /** What is read through textures; nothing, if it is not said. */
  readonly texels?: Texels;
}

/** A sum is made of sums of so many terms, for accuracy and so that they do not wait for each other. */
const run = 16;

/** Only for problems whose A lies along rows, and whose sums a slice has `depth` terms of at most. */
export function stationaryGemm(problem: GemmProblem, tile: StationaryTile): Kernel {
  const { lanes, depth, rows, turns, columnVectors } = tile;
  const { locate } = problem;
  if (problem.aVector !== "rows" || !locate)
    throw new Error(`${problem.name}: a stationary tile needs A along its rows`);
  /** Lanes side by side load groups of four rows at one k, the next ones the same at the next k. */
  const units = rows / 4;
  const ks = lanes / units;
  if (!Number.isInteger(units) || !Number.isInteger(ks)) {
    throw new RangeError(`stationary tile: ${rows} rows are not 4 for each of a divisor of ${lanes} lanes`);
  }
  const loads = depth / ks;

  /** A at (row i of a turn, k number v), handed round from the lane that loaded it. */
  const broadcast = (i: number, v: number) =>
    `subgroupBroadcast(a${Math.floor(v / ks)}.${"xyzw"[i & 3]}, ${(v % ks) * units + (i >> 2)}u)`;
  const runs = Array.from({ length: Math.ceil(depth / run) }, (_, r) => r);
  const sums = (i: number) => `
${unroll(columnVectors, (j) => runs.map((r) => `var c${i}_${j}_${r} = vec4f();`).join(" "))}
${unroll(depth, (v) => {
  const r = Math.floor(v / run);
  return `let a${i}at${v} = vec4f(${broadcast(i, v)});
${unroll(columnVectors, (j) => `c${i}_${j}_${r} = fma(a${i}at${v}, b${j}_${v >> 2}_${v & 3}, c${i}_${j}_${r});`, " ")}`;
})}`;
  const total = (i: number, j: number) => runs.map((r) => `c${i}_${j}_${r}`).join(" + ");

  return defineKernel({
    name: `${problem.name}_stationary_${lanes}x${rows}x${columnVectors}_${depth}`,
    inputs: problem.inputs,
    outputs: problem.outputs,
    params: { ...gridParams, ...problem.params },
    workgroupSize: lanes,
    subgroups: true,
    wgsl: `
fn run(group: u32, lane: u32) {${gridPosition}
  ${problem.begin}
  ${unroll(columnVectors, (j) => {
    const index = `columnTile * ${lanes * columnVectors}u + ${j * lanes}u + lane`;
    return `${declareColumn(problem, j, index)}
  ${unroll(depth / 4, (q) => problem.loadB(`b${j}_${q}_`, `${j}`, `(first + ${4 * q}u)`))}`;
  })}
  let laneK = lane / ${units}u;
  let unit = lane - laneK * ${units}u;
  ${unroll(loads, (q) => `let k${q} = first + ${q * ks}u + laneK;${locate(`${q}`, `k${q}`)}`)}
  let firstRow = rowTile * ${rows * turns}u;
  let endRow = min(firstRow + ${rows * turns}u, params.rows);
  for (var turn = firstRow; turn < endRow; turn += ${rows}u) {
    let row0 = min(turn / 4u + unit, params.rows / 4u - 1u);
    ${problem.row("0")}
    ${unroll(loads, (q) => `let a${q} = ${problem.loadA("0", `k${q}`, q)};`)}
    ${unroll(rows, sums)}
    ${unroll(
      columnVectors,
      (j) => `{
    ${problem.column?.(`column${j}`) ?? ""}
    ${unroll(
      rows,
      (i) => `{
      let row = turn + ${i}u;
      if ((row < params.rows) & (columnIndex${j} < params.columns)) {
        let sum = ${total(i, j)};
        ${problem.observe?.("sum") ?? ""}
        ${problem.store("row", `column${j}`, "sum")}
      }
    }`,
    )}
    }`,
    )}
  }
  ${problem.finish ?? ""}
}`,
  });
}
