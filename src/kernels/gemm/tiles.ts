/** Which core and tile an adapter gets for a product: a table for what was measured, one safe choice for the rest. */
import type { Device } from "../device.ts";
import { divideUp } from "../kernel.ts";
import type { GemmTile } from "./core.ts";

export const sharedTile: GemmTile = {
  strategy: "shared",
  rows: 64,
  columns: 64,
  depth: 16,
  rowsPerLane: 8,
  columnsPerLane: 8,
};

/** Time of a tile relative to its rows: small tiles reuse B less. Measured on lavapipe. */
const heights = [
  { rows: 32, cost: 1 },
  { rows: 16, cost: 1.15 },
  { rows: 8, cost: 1.6 },
];

/**
 * The tile for a product with `rows` rows and `columns` columns (in vec4f). `aVector` as in GemmProblem: loads of four
 * rows fill a subgroup's lanes only with four rows for each lane.
 */
export function chooseTile(device: Device, rows: number, columns: number, aVector: "k" | "rows"): GemmTile {
  const lanes = device.subgroupSize;
  if (device.gemmStrategy === "shared") return sharedTile;
  switch (device.platform.kind) {
    case "lavapipe": {
      if (lanes !== 8) return sharedTile;
      const height = heights.reduce((best, h) =>
        divideUp(rows, h.rows) * h.rows * h.cost < divideUp(rows, best.rows) * best.rows * best.cost ? h : best,
      );
      const tall = aVector === "rows" ? 32 : height.rows;
      return { strategy: "subgroup", lanes, rows: tall, columnVectors: 1, order: "accumulator" };
    }
    case "swiftshader":
      if (lanes !== 4) return sharedTile;
      return { strategy: "subgroup", lanes, rows: 16, columnVectors: columns > lanes ? 2 : 1, order: "k" };
    default:
      return sharedTile;
  }
}

/** Workgroups that keep the adapter busy: below this number a sum is split. */
export function parallelism(device: Device): number {
  return device.platform.kind === "gpu" || device.platform.kind === "browser" ? 1024 : 16;
}

/** Every tile that the table can give, for the check that all of them compile. */
export const tileTable: readonly GemmTile[] = [
  sharedTile,
  ...heights.map(
    ({ rows }): GemmTile => ({ strategy: "subgroup", lanes: 8, rows, columnVectors: 1, order: "accumulator" }),
  ),
  ...[1, 2].map((columnVectors): GemmTile => ({ strategy: "subgroup", lanes: 4, rows: 16, columnVectors, order: "k" })),
];
