/**
 * The matrix product for adapters with subgroups of one known size: a workgroup is one subgroup, and nothing is shared
 * through memory. Lanes own columns of C (`columnVectors` vec4f each) for `rows` rows; the lanes load the tile's part
 * of A together and hand it round. Four k's make one expression, so that an accumulator (a spilled register on software
 * drivers) is read and written once for every four. The unrolled code has two orders, for two kinds of compiler:
 *
 * - "column": column by column, an element of A handed round where it is needed;
 * - "row": row by row, an element of A handed round once for all columns of a lane, and products are fused: the fewest
 *   instructions where a compiler takes expressions as they stand.
 *
 * Wide subgroups fall into parts of `across` lanes, each with rows of its own, where C has too few columns for all lanes;
 * A then goes round within a part.
 */
import { defineKernel, divideUp, type Kernel, unroll } from "../kernel.ts";
import type { ColumnObserver } from "../observer.ts";
import { declareColumn, type GemmProblem, gridParams, gridPosition, observeSums, type Texels } from "./problem.ts";

export interface SubgroupTile {
  readonly strategy: "subgroup";
  readonly lanes: number;
  /** Lanes side by side along the columns, a divisor of `lanes`; the parts of a subgroup lie one below the other. */
  readonly across: number;
  /** Rows of C in a part, a multiple of 4. */
  readonly rows: number;
  /** Columns of C in a lane, in vec4f. */
  readonly columnVectors: number;
  /** What is read through textures; nothing, if it is not said. */
  readonly texels?: Texels;
  /** Whether the unrolled code goes by rows or by columns. */
  readonly order: "row" | "column";
}

const component = (i: number) => "xyzw"[i]!;

export function subgroupGemm(problem: GemmProblem, tile: SubgroupTile): Kernel {
  const { lanes, across, rows, columnVectors, order } = tile;
  const parts = lanes / across;
  if (!Number.isInteger(parts)) throw new RangeError(`subgroup tile: ${across} lanes do not divide ${lanes}`);
  const { usedKs = 4 } = problem;
  const ks = Array.from({ length: usedKs }, (_, v) => v);
  const alongK = problem.aVector === "k";
  /** What a part loads of A for each k (or group of four k's), and in how many turns. */
  const units = alongK ? rows : rows / 4;
  const loads = divideUp(units, across);
  const loadNames = Array.from({ length: loads }, (_, i) => `${i}`);

  // A subgroup of four is a quad. SwiftShader has one instruction for a quad's broadcast and some ten for a subgroup's; in
  // the weight gradient, whose loop is the longer one, it was slower nevertheless.
  const handRound = lanes === 4 && alongK ? "quadBroadcast" : "subgroupBroadcast";

  /** A at (row i of the tile, k number v of four), handed round from the lane that loaded it. */
  const broadcast = (i: number, v: number) => {
    const unit = alongK ? i : i >> 2;
    const register = Math.floor(unit / across);
    const value = alongK ? `a${register}.${component(v)}` : `a${v}_${register}.${component(i & 3)}`;
    if (parts === 1) return `${handRound}(${value}, ${unit % lanes}u)`;
    return `subgroupShuffle(${value}, firstLane + ${unit % across}u)`;
  };

  const partTile = parts === 1 ? "rowTile" : "partTile";
  const splitLane = `let part = subgroupLane / ${across}u; let firstLane = part * ${across}u;
  let lane = subgroupLane - firstLane; let partTile = rowTile * ${parts}u + part;`;
  const loadsOfA = alongK
    ? unroll(loads, (i) => `let a${i} = ${problem.loadA(`${i}`, "k", 0)};`)
    : unroll(4, (v) => unroll(loads, (i) => `let a${v}_${i} = ${problem.loadA(`${i}`, `k + ${v}u`, v)};`));
  const loadOfB = (j: number) => problem.loadB(`b${j}_`, `${j}`, "k");
  const byColumn = unroll(
    columnVectors,
    (j) => `${loadOfB(j)}
${unroll(rows, (i) => `c${i}_${j} += ${unroll(usedKs, (v) => `${broadcast(i, v)} * b${j}_${v}`, " + ")};`)}`,
  );
  const fused = (i: number, j: number) => ks.reduce((sum, v) => `fma(a${i}at${v}, b${j}_${v}, ${sum})`, `c${i}_${j}`);
  const byRow = `${unroll(columnVectors, loadOfB)}
${unroll(
  rows,
  (i) => `${ks.map((v) => `let a${i}at${v} = vec4f(${broadcast(i, v)});`).join(" ")}
${unroll(columnVectors, (j) => `c${i}_${j} = ${fused(i, j)};`)}`,
)}`;
  const body = `${loadsOfA}\n${order === "column" ? byColumn : byRow}`;

  return defineKernel({
    name: `${problem.name}_subgroup_${parts > 1 ? `${parts}x` : ""}${across}x${rows}x${columnVectors}`,
    inputs: problem.inputs,
    outputs: problem.outputs,
    params: { ...gridParams, ...problem.params },
    workgroupSize: lanes,
    subgroups: true,
    wgsl: `
fn run(group: u32, ${parts === 1 ? "lane" : "subgroupLane"}: u32) {${gridPosition}
  ${parts === 1 ? "" : splitLane}
  ${problem.begin}
  ${unroll(columnVectors, (j) => {
    const index = `columnTile * ${across * columnVectors}u + ${j * across}u + lane`;
    return declareColumn(problem, j, index);
  })}
  ${unroll(loads, (i) => {
    const count = alongK ? "params.rows" : "params.rows / 4u";
    return `let row${i} = min(${partTile} * ${units}u + ${i * across}u + lane, ${count} - 1u);\n${problem.row(`${i}`)}`;
  })}
  ${unroll(rows, (i) => unroll(columnVectors, (j) => `var c${i}_${j} = vec4f();`, " "))}
  ${problem.loop(body, 1, loadNames)}
  ${observeSums(problem, rows, columnVectors)}
  ${stores(problem, tile, partTile)}
  ${problem.finish ?? ""}
}`,
  });
}

/** Stores that are spelt out: all those of a tile of 32×64 take a compiler longer than all else, and are no faster. */
const storesAtATime = 8;

/** Rows of a tile that are stored at a time; four at least, as an observer wants them. */
const rowsAtATime = ({ rows, columnVectors }: SubgroupTile): number =>
  largestDivisor(rows, Math.max(4, storesAtATime / columnVectors));

/** Whether a tile's rows are stored by fours, and are whole blocks, or may be all rows. */
export const hasBlocks = (tile: SubgroupTile, { blockRows }: ColumnObserver): boolean =>
  rowsAtATime(tile) % 4 === 0 && (blockRows === "all" || tile.rows % blockRows === 0);

/** Stores the sums `c<row>_<column>` of a part, some rows at a time; the number of turns is no constant, or they are unrolled. */
function stores(problem: GemmProblem, tile: SubgroupTile, partTile: string): string {
  const { rows, columnVectors } = tile;
  const atATime = rowsAtATime(tile);
  const turns = rows / atATime;
  const { columnLook } = problem;
  /** The sum in row i of a turn. An observer needs it named; named, a weight gradient's take lavapipe three times as long to compile. */
  const sum = (i: number, j: number) =>
    Array.from({ length: turns }, (_, t) => `c${t * atATime + i}_${j}`).reduce(
      (earlier, next, t) => `select(${earlier}, ${next}, turn == ${t}u)`,
    );
  return `
  let firstRow = ${partTile} * ${rows}u;
  ${unroll(columnVectors, (j) => columnLook?.observer.declare(j) ?? "")}
  for (var turn = 0u; (turn < ${turns}u) & (firstRow + turn * ${atATime}u < params.rows); turn++) {
    ${unroll(
      columnVectors,
      (j) => `if (columnIndex${j} < params.columns) {
      ${problem.column?.(`column${j}`) ?? ""}
      ${columnLook ? unroll(atATime, (i) => `let value${i} = ${sum(i, j)};`) : ""}
      ${unroll(atATime, (i) => `{ let row = firstRow + turn * ${atATime}u + ${i}u; if (row < params.rows) { ${problem.store("row", `column${j}`, columnLook ? `value${i}` : sum(i, j))} } }`)}
      ${lookAt(problem, j, atATime)}
    }`,
    )}
  }`;
}

/** Shows the observer `value<i>` of a turn. */
function lookAt({ columnLook }: GemmProblem, j: number, atATime: number): string {
  if (!columnLook) return "";
  const { observer, place } = columnLook;
  const { blockRows } = observer;
  const [block, start, end] =
    blockRows === "all"
      ? ["0u", "0u", "params.rows"]
      : [`row / ${blockRows}u`, `block * ${blockRows}u`, `min((block + 1u) * ${blockRows}u, params.rows)`];
  const rows = Array.from({ length: atATime }, (_, i) => i);
  return `{
        let row = firstRow + turn * ${atATime}u;
        let block = ${block};
        let left = ${end} - row;
        if (row == ${start}) { ${observer.begin(j, "value0", "left")} }
        ${unroll(atATime / 4, (four) => {
          const ofFour = rows.slice(4 * four, 4 * four + 4);
          return observer.add(
            j,
            ofFour.map((i) => `value${i}`),
            ofFour.map((i) => `${i}u < left`),
          );
        })}
        if (left <= ${atATime}u) { ${observer.end(j, "block", place(`column${j}`))} }
      }`;
}

/** The largest divisor of `count` that is not above `most`. */
function largestDivisor(count: number, most: number): number {
  let divisor = Math.min(count, most);
  while (count % divisor !== 0) divisor--;
  return divisor;
}
