/**
 * Which tiles an adapter may take for a product: a table for what was measured, one safe choice for the rest, and the
 * candidates among which a measurement decides (tuner.ts). Pure.
 */
import type { Device } from "../device.ts";
import { divideUp } from "../kernel.ts";
import { areaOf, type GemmTile } from "./core.ts";
import { type MatrixTile, matrixStorage } from "./matrix.ts";
import type { Texels } from "./problem.ts";
import type { Product } from "./product.ts";
import type { RegisterTile } from "./register.ts";
import type { SharedTile } from "./shared.ts";
import { sharesEvenly } from "./staging.ts";
import type { StationaryTile } from "./stationary.ts";
import type { SubgroupTile } from "./subgroup.ts";

/** What tiles are chosen by. */
export type TileAdapter = Pick<Device, "platform" | "subgroupSize" | "subgroupMatrix" | "limits">;

/** How the operands may be rounded: "f16" allows their products to be taken of halves (sums are f32 either way). */
export type Precision = "f32" | "f16";

const shared = (rows: number, columns: number, rowsPerLane: number, columnsPerLane: number): SharedTile => ({
  strategy: "shared",
  rows,
  columns,
  depth: 16,
  rowsPerLane,
  columnsPerLane,
});

/** The tile that every adapter can run. */
export const sharedTile: GemmTile = shared(64, 64, 8, 8);

const sharedTiles: readonly GemmTile[] = [
  sharedTile,
  shared(128, 128, 8, 8),
  shared(128, 64, 8, 8),
  shared(64, 128, 8, 8),
  shared(64, 64, 4, 4),
  shared(32, 64, 4, 8),
  shared(32, 32, 4, 4),
  shared(16, 64, 2, 8),
];

const register = (
  lanesDown: number,
  lanesAcross: number,
  rowsPerLane: number,
  columnVectors: number,
): RegisterTile => ({ strategy: "register", lanesDown, lanesAcross, rowsPerLane, columnVectors });

const registerTiles: readonly GemmTile[] = [register(8, 8, 8, 1), register(8, 8, 4, 2), register(4, 16, 4, 1)];

/** Subgroups as narrow as this are a software driver's, maybe below a browser: registers are memory there. */
const mostSoftwareLanes = 8;

/** The longest sums of stationary tiles, the shortest for which each is the fastest, and the rows of a turn. Measured. */
const stationaryDepths = [
  { depth: 16, shortest: 5, rows: 8 },
  { depth: 32, shortest: 17, rows: 4 },
  { depth: 64, shortest: 49, rows: 4 },
] as const;

/** Vectors of B that stay in a lane at most: more take software drivers up to ten seconds to compile. */
const mostStationary = 128;

/** Rows that pass a stationary B, which is loaded once for all of them. */
const passingRows = 256;

const stationary = (lanes: number, depth: number, rows: number, columnVectors: number): StationaryTile => ({
  strategy: "stationary",
  lanes,
  depth,
  rows,
  turns: passingRows / rows,
  columnVectors,
});

/** The stationary tile for a sum of `depth` terms, or null where another kind is faster; of fewer columns where need be. */
function stationaryTile(lanes: number, depth: number, columnVectors: number): StationaryTile | null {
  const fitting = stationaryDepths.find(({ depth: longest, shortest }) => depth >= shortest && depth <= longest);
  if (!fitting) return null;
  return stationary(lanes, fitting.depth, fitting.rows, Math.min(columnVectors, mostStationary / fitting.depth));
}

/**
 * lavapipe's, up to a sum's length that other tiles are faster from. B is read but once; but most often it is dy, which the
 * input gradient has left in a texture.
 */
function lavapipeStationary(depth: number, texels: Texels | null): StationaryTile | null {
  const tile = depth <= 32 ? stationaryTile(8, depth, 1) : null;
  return tile && { ...tile, ...(texels && { texels }) };
}

const stationaryTiles = (lanes: number): StationaryTile[] =>
  [1, 2, 4].flatMap((columnVectors) =>
    stationaryDepths
      .filter(({ depth }) => depth * columnVectors <= mostStationary)
      .map(({ depth, rows }) => stationary(lanes, depth, rows, columnVectors)),
  );

/**
 * Whether a tile can compute a product: a stationary one only short sums whose A lies along rows. (So none is measured for
 * a class of products, whose sums differ in length.)
 */
export function suits(tile: GemmTile, { aVector, depth }: Pick<Product, "aVector" | "depth">): boolean {
  return tile.strategy !== "stationary" || (aVector === "rows" && depth <= tile.depth);
}

/** Where C has few columns, parts of a subgroup take rows of their own. */
function subgroupTiles(lanes: number): GemmTile[] {
  const tile = (across: number, rows: number, columnVectors: number): SubgroupTile => ({
    strategy: "subgroup",
    lanes,
    across,
    rows,
    columnVectors,
    order: "row",
  });
  const parts = [lanes, lanes / 2, lanes / 4].filter((across) => across >= 4);
  return [
    ...parts.flatMap((across) => [tile(across, 16, 1), tile(across, 8, 1)]),
    tile(lanes, 8, 2),
    ...(lanes <= mostSoftwareLanes ? [{ ...tile(lanes, 16, 1), order: "column" as const }] : []),
  ];
}

function matrixTiles({ subgroupSize: lanes, subgroupMatrix: matrix }: TileAdapter): MatrixTile[] {
  if (!matrix || !lanes) return [];
  const { m, n, k } = matrix;
  const tile = (rows: number, columns: number, depth: number, down: number, across: number): MatrixTile => ({
    strategy: "matrix",
    lanes,
    m,
    n,
    k,
    rows,
    columns,
    depth: Math.max(depth, k),
    down,
    across,
  });
  const tiles = [tile(64, 64, 32, 2, 2), tile(128, 128, 16, 2, 2), tile(128, 128, 32, 2, 2), tile(32, 64, 32, 2, 2)];
  return tiles.filter((tile) => {
    const { rows, columns, down, across } = tile;
    return rows % (down * m) === 0 && columns % (across * n) === 0 && sharesEvenly(tile, lanes * down * across);
  });
}

/** Whether an adapter can run a tile: by its limits, and by its subgroups where the tile is made for some. */
export function canRun({ limits, subgroupSize }: TileAdapter, tile: GemmTile): boolean {
  const { storage, lanes } = needsOf(tile);
  return (
    !("lanes" in tile && tile.lanes !== subgroupSize) &&
    storage <= limits.maxComputeWorkgroupStorageSize &&
    lanes <= Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX)
  );
}

function needsOf(tile: GemmTile): { storage: number; lanes: number } {
  switch (tile.strategy) {
    case "subgroup":
    case "stationary":
      return { storage: 0, lanes: tile.lanes };
    case "register":
      return { storage: 0, lanes: tile.lanesDown * tile.lanesAcross };
    case "shared": {
      const { rows, columns, depth, rowsPerLane, columnsPerLane } = tile;
      return { storage: 4 * depth * (rows + columns), lanes: (rows / rowsPerLane) * (columns / columnsPerLane) };
    }
    case "matrix":
      return { storage: matrixStorage(tile), lanes: tile.lanes * tile.down * tile.across };
  }
}

/** Every tile that a measurement on the adapter may choose, whatever the product. */
function tilesOf(adapter: TileAdapter, precision: Precision): GemmTile[] {
  return [
    ...(precision === "f16" ? matrixTiles(adapter) : []),
    ...sharedTiles,
    ...registerTiles,
    ...(adapter.subgroupSize ? subgroupTiles(adapter.subgroupSize) : []),
  ].filter((tile) => canRun(adapter, tile));
}

/** A tile that computes this much more than the product needs is not worth a measurement, if others waste less. */
const mostWaste = 2;

/** What a measurement chooses from, in a fixed order. */
export function candidateTiles(adapter: TileAdapter, product: Product, precision: Precision): GemmTile[] {
  const work = (tile: GemmTile) => {
    const { rows, columns } = areaOf(tile);
    return divideUp(product.rows, rows) * rows * divideUp(product.columns, columns) * columns;
  };
  const tiles = tilesOf(adapter, precision);
  const least = Math.min(...tiles.map(work));
  return tiles.filter((tile) => work(tile) <= mostWaste * least);
}

/** Time of a tile relative to its rows: small tiles reuse B less. Measured. */
interface Height {
  readonly rows: number;
  readonly cost: number;
}

/** The one of some sizes, each with its cost, of which tiles that cover `count` take the least time. */
function cheapest<T extends { readonly cost: number }>(
  sizes: readonly T[],
  sizeOf: (size: T) => number,
  count: number,
): T {
  const time = (size: T) => divideUp(count, sizeOf(size)) * sizeOf(size) * size.cost;
  return sizes.reduce((best, size) => (time(size) < time(best) ? size : best));
}

const lavapipeHeights: readonly Height[] = [
  { rows: 32, cost: 1 },
  { rows: 20, cost: 1.1 },
  { rows: 16, cost: 1.15 },
  { rows: 8, cost: 1.6 },
];

/** The height that takes the least time for so many rows. */
const bestHeight = (heights: readonly Height[], rows: number): number =>
  cheapest(heights, (height) => height.rows, rows).rows;

const lavapipeTile = (rows: number, columnVectors: number, texels: Texels | null): SubgroupTile => ({
  strategy: "subgroup",
  lanes: 8,
  across: 8,
  rows,
  columnVectors,
  order: "column",
  ...(texels && { texels }),
});

/** Two vectors of columns in a lane, where C has so many: with 20 rows or more a tenth faster than one. */
const lavapipeWideTile = (rows: number): SubgroupTile => lavapipeTile(rows, 2, "ab");

/**
 * Rows from which lavapipe reads B through a texture. It is copied once and read once for every tile of rows: from two tiles
 * on this saves time, and with one of more than 16 rows it takes no more, but no pipeline of its own either. Measured.
 */
const rowsForTexelsOfB = 17;
/** Columns of C, in vec4f, from which it reads A so: where there is more than one tile of columns. */
const columnsForTexels = 16;

/** Products of less work (rows times columns times depth, of all slices) take any tile in no time. */
const leastWork = 2 ** 17;

/** SwiftShader's, which compiles 32 rows in half a second, with four vectors of columns in a whole one. Measured. */
const swiftShaderHeights: readonly Height[] = [
  { rows: 32, cost: 1 },
  { rows: 16, cost: 1.1 },
];

/** Time of a tile relative to its columns, by the vectors of them that one of the four lanes has. Measured, but for the last. */
const swiftShaderWidths = [
  { columnVectors: 4, cost: 1 },
  { columnVectors: 2, cost: 1.17 },
  { columnVectors: 1, cost: 1.5 },
];

const swiftShaderTile = (rows: number, columnVectors: number): SubgroupTile => ({
  strategy: "subgroup",
  lanes: 4,
  across: 4,
  rows,
  columnVectors,
  order: "row",
});

/** The table: the tile of an adapter that was measured, or null for one that was not. */
export function tableTile(adapter: TileAdapter, product: Product, precision: Precision): GemmTile | null {
  const { columns, aVector, depth } = product;
  const { subgroupSize: lanes, platform } = adapter;
  switch (platform.kind) {
    case "lavapipe": {
      if (lanes !== 8) return sharedTile;
      const { texels, ...tile } = lavapipeTableTile(product);
      // Halves stay in buffers.
      return precision === "f32" && texels ? { ...tile, texels } : tile;
    }
    case "swiftshader": {
      if (lanes !== 4) return sharedTile;
      const { columnVectors } = cheapest(swiftShaderWidths, (width) => lanes * width.columnVectors, columns);
      const still = aVector === "rows" ? stationaryTile(lanes, depth, columnVectors) : null;
      return still ?? swiftShaderTile(bestHeight(swiftShaderHeights, product.rows), columnVectors);
    }
    default:
      return null;
  }
}

function lavapipeTableTile({ kind, rows, columns, aVector, depth, slices }: Product): SubgroupTile | StationaryTile {
  const isWide = columns >= columnsForTexels;
  // What is next to no work (a network's heads) takes the tile of others, for a pipeline less.
  const isAlike = rows * columns * depth * slices < leastWork;
  if (aVector === "rows") {
    const still = lavapipeStationary(depth, isWide ? "ab" : null);
    return still ?? (isWide || isAlike ? lavapipeWideTile(32) : lavapipeTile(32, 1, null));
  }
  // With a bias it is a pipeline of its own anyway: the one that compiles fastest.
  if (isAlike) return kind.startsWith("conv2d_forward") ? lavapipeTile(8, 1, null) : lavapipeWideTile(32);
  const height = bestHeight(lavapipeHeights, rows);
  // The lowest tiles do little else than reading B, once.
  if (!isWide || height < 16) return lavapipeTile(height, 1, null);
  return rows >= rowsForTexelsOfB ? lavapipeWideTile(height) : lavapipeTile(height, 1, "a");
}

/** Workgroups that keep the adapter busy: below this number a sum is split. */
export function parallelism(device: Device): number {
  return device.platform.kind === "gpu" || device.platform.kind === "browser" ? 1024 : 16;
}

/** Every tile that a measurement on the adapter can give, and those of all tables: tests run and compile them elsewhere too. */
export function everyTile(adapter: TileAdapter): GemmTile[] {
  const forLavapipe = [
    ...lavapipeHeights.flatMap(({ rows }) => [
      lavapipeTile(rows, 1, null),
      lavapipeTile(rows, 1, "a"),
      lavapipeWideTile(rows),
    ]),
    ...stationaryDepths.flatMap(({ depth }) => lavapipeStationary(depth, "ab") ?? []),
  ];
  const forSwiftShader = swiftShaderHeights.flatMap(({ rows }) =>
    swiftShaderWidths.map(({ columnVectors }) => swiftShaderTile(rows, columnVectors)),
  );
  const forBoth = [4, 8].flatMap(stationaryTiles);
  return [...tilesOf(adapter, "f16"), ...forLavapipe, ...forSwiftShader, ...forBoth];
}

/** A tile in a line, for files: `shared rows=64 columns=64 depth=16 rowsPerLane=8 columnsPerLane=8`. */
export function tileName({ strategy, ...sizes }: GemmTile): string {
  return [strategy, ...Object.entries(sizes).map(([name, size]) => `${name}=${size}`)].join(" ");
}
