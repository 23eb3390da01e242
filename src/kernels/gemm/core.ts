/** The choice of a core and a tile for a matrix product. */
import type { Kernel } from "../kernel.ts";
import { divideUp } from "../kernel.ts";
import type { ColumnObserver } from "../observer.ts";
import { withTexels } from "../texels.ts";
import { type MatrixTile, matrixGemm } from "./matrix.ts";
import type { GemmProblem, gridParams } from "./problem.ts";
import { type RegisterTile, registerGemm } from "./register.ts";
import { type SharedTile, sharedGemm } from "./shared.ts";
import { type StationaryTile, stationaryGemm } from "./stationary.ts";
import { hasBlocks, type SubgroupTile, subgroupGemm } from "./subgroup.ts";

export type GemmTile = SubgroupTile | StationaryTile | SharedTile | RegisterTile | MatrixTile;

const kernels = new Map<string, Kernel>();

/** The kernel of a problem with a tile; the same pair gives the same object. */
export function gemm(problem: GemmProblem, tile: GemmTile): Kernel {
  const key = `${problem.name} ${JSON.stringify(tile)}`;
  let kernel = kernels.get(key);
  if (!kernel) {
    const [a, b] = Object.keys(problem.inputs) as [string, string];
    const texels = ("texels" in tile && tile.texels) || "";
    const names = [...(texels.includes("a") ? [a] : []), ...(texels.includes("b") ? [b] : [])];
    kernel = { ...withTexels(generate(problem, tile), names), strategy: tile.strategy };
    kernels.set(key, kernel);
  }
  return kernel;
}

function generate(problem: GemmProblem, tile: GemmTile): Kernel {
  if (problem.columnLook && !showsBlocks(tile, problem.columnLook.observer)) {
    throw new RangeError(`${problem.name}: a tile ${JSON.stringify(tile)} has no blocks of rows to be observed`);
  }
  switch (tile.strategy) {
    case "subgroup":
      return subgroupGemm(problem, tile);
    case "stationary":
      return stationaryGemm(problem, tile);
    case "shared":
      return sharedGemm(problem, tile);
    case "register":
      return registerGemm(problem, tile);
    case "matrix":
      return matrixGemm(problem, tile);
  }
}

/** Whether a kernel with the tile can have the observer. */
export const showsBlocks = (tile: GemmTile, observer: ColumnObserver): tile is SubgroupTile =>
  tile.strategy === "subgroup" && hasBlocks(tile, observer);

/** Whether it sees every block of `rows` rows as a whole. */
export const canObserve = (tile: GemmTile, observer: ColumnObserver, rows: number): boolean =>
  showsBlocks(tile, observer) && (observer.blockRows !== "all" || rows <= tile.rows);

/** How much of C a workgroup computes; columns in vec4f. */
export function areaOf(tile: GemmTile): { rows: number; columns: number } {
  switch (tile.strategy) {
    case "subgroup":
      return { rows: tile.rows * (tile.lanes / tile.across), columns: tile.across * tile.columnVectors };
    case "stationary":
      return { rows: tile.rows * tile.turns, columns: tile.lanes * tile.columnVectors };
    case "register":
      return { rows: tile.lanesDown * tile.rowsPerLane, columns: tile.lanesAcross * tile.columnVectors };
    case "shared":
    case "matrix":
      return { rows: tile.rows, columns: tile.columns / 4 };
  }
}

export interface Grid {
  readonly tiles: number;
  readonly params: Record<keyof typeof gridParams, number>;
}

/** The grid of tiles over C with `rows` rows and `columns` columns (in vec4f); `interleaved` as in gridPosition. */
export function gridOf(tile: GemmTile, rows: number, columns: number, interleaved = 1): Grid {
  const perTile = areaOf(tile);
  const rowTiles = divideUp(rows, perTile.rows);
  const columnTiles = divideUp(columns, perTile.columns);
  // Neighbouring workgroups sweep the smaller operand, which stays in the cache, and share a tile of the larger one.
  const rowsFirst = rows < 4 * columns ? 1 : 0;
  return { tiles: rowTiles * columnTiles, params: { rowTiles, columnTiles, rowsFirst, interleaved, rows, columns } };
}
