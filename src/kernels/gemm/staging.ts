/** How a workgroup brings tiles of A and B into its memory: what the shared and the matrix core have in common. */
import { unroll } from "../kernel.ts";
import type { GemmProblem } from "./problem.ts";

/** Sizes of the staged tiles, multiples of 4: A is rows × depth, B is depth × columns. */
export interface StagedTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** Whether so many lanes can share out the loads of a tile of A. */
export function sharesEvenly({ rows, depth }: StagedTile, lanes: number): boolean {
  return (rows * depth) % (4 * lanes) === 0 && lanes % (depth / 4) === 0 && lanes % (rows / 4) === 0;
}

/** WGSL that stores what was loaded, at places within the tiles. */
export interface Places {
  /** `value` (f32) of A at (row, k), both expressions. */
  readonly a: (row: string, k: string, value: string) => string;
  /** `value` (vec4f) of B at k and a group of four columns. */
  readonly b: (k: string, columns: string, value: string) => string;
}

/**
 * The declarations and the loop of a kernel that computes on staged tiles; rows, columns and k beyond the product's are
 * zeros there, or belong to results that are not stored.
 * @param compute runs after each `depth` k's were staged, between barriers.
 * @throws RangeError if the lanes cannot share out the loads evenly.
 */
export function staged(
  problem: GemmProblem,
  tile: StagedTile,
  lanes: number,
  place: Places,
  compute: string,
): { declarations: string; loop: string } {
  const { rows, columns, depth } = tile;
  const groups = depth / 4;
  const alongK = problem.aVector === "k";
  // Units of loading: a vec4f of A, and the four vec4f of B that belong to a group of four k's.
  const loadsOfA = (rows * groups) / lanes;
  const loadsOfB = Math.ceil(((columns / 4) * groups) / lanes);
  if (!sharesEvenly(tile, lanes)) {
    throw new RangeError(`a ${rows}x${columns}x${depth} tile cannot be loaded evenly by ${lanes} lanes`);
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
      let inTile = lane / ${groups}u + ${(i * lanes) / groups}u;
      let kk = lane % ${groups}u * 4u;
      ${unroll(4, (v) => place.a("inTile", `kk + ${v}u`, `value.${"xyzw"[v]}`), " ")}
    }`,
      )
    : unroll(
        loadsOfA,
        (i) => `{
      let kk = lane / ${rows / 4}u + ${(i * lanes) / (rows / 4)}u;
      ${problem.locate?.("0", "k + kk") ?? ""}
      let value = ${problem.loadA("0", "k + kk", 0)};
      let inTile = lane % ${rows / 4}u * 4u;
      ${unroll(4, (v) => place.a(`inTile + ${v}u`, "kk", `value.${"xyzw"[v]}`), " ")}
    }`,
      );
  const stageB = unroll(
    loadsOfB,
    (j) => `{
      let unit = lane + ${j * lanes}u;
      if (unit < ${(columns / 4) * groups}u) {
        let kGroup = ${alongK ? `min(k + unit / ${columns / 4}u, ${problem.kLimit} - 1u)` : `k + unit / ${columns / 4}u * 4u`};
        ${problem.loadB("b", `${j}`, "kGroup")}
        let kk = unit / ${columns / 4}u * 4u;
        let inTile = unit % ${columns / 4}u;
        ${unroll(4, (v) => place.b(`kk + ${v}u`, "inTile", `b${v}`), " ")}
      }
    }`,
  );
  const body = `
    workgroupBarrier();
    ${stageA}
    ${stageB}
    workgroupBarrier();
    ${compute}`;
  const loop = alongK ? problem.loop : (problem.plainLoop ?? problem.loop);
  return {
    declarations: `${unroll(
      loadsOfB,
      (j) =>
        `let column${j} = min(columnTile * ${columns / 4}u + (lane + ${j * lanes}u) % ${columns / 4}u, params.columns - 1u);
  ${problem.operandColumn?.(`${j}`) ?? ""}`,
    )}
  ${rowDeclarations}`,
    loop: loop(body, groups, rowNames),
  };
}
