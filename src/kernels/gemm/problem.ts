/**
 * What the three convolution products have in common: C[rows, columns] = A[rows, K] · B[K, columns], where A is
 * gathered from an image, columns run along channels, and everything is read four floats (one vec4f) at a time.
 *
 * A problem says in WGSL where its operands lie; a core (core.ts names them) says who computes what. Variables that a
 * problem may use: `slice` (the product's index among those of one dispatch), `row<i>` and `column<j>` (clamped into
 * range) and what it declared itself.
 */
import { type ElementType, type ParamType, unroll } from "../kernel.ts";
import type { ColumnObserver, ColumnPlace } from "../observer.ts";

export interface GemmProblem {
  readonly name: string;
  /** A, B and what an epilogue reads. WGSL reads A and B by `load_<name>(index)`. */
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly outputs: Readonly<Record<string, ElementType>>;
  readonly params: Readonly<Record<string, ParamType>>;
  /**
   * Where the four floats of one load of A lie: along "k" (a row each, `row<i>` counts rows), or along "rows"
   * (`row<i>` counts groups of four rows, and one step of the loop covers four k, one load each).
   */
  readonly aVector: "k" | "rows";
  /** Declarations that depend on `slice` alone. */
  readonly begin: string;
  /** Declarations for the load of row `row<i>`. */
  readonly row: (i: string) => string;
  /** Declarations for the loads of column `column<j>`. */
  readonly operandColumn?: (j: string) => string;
  /** For aVector "k": the number of groups of four k's that `k` counts within the innermost loop. */
  readonly kLimit?: string;
  /** How many k's of each group of four may be other than zero, the first ones. A core can leave out the rest. Default 4. */
  readonly usedKs?: number;
  /** The loops over K around `body`, which runs once for `step` groups of four k's. */
  readonly loop: (body: string, step: number, rows: readonly string[]) => string;
  /** For aVector "rows": a loop that leaves it to `locate` to find out where a single k lies. */
  readonly plainLoop?: (body: string, step: number) => string;
  readonly locate?: (v: string, k: string) => string;
  /** vec4f of A, zero where the image ends. For aVector "rows", `k` is one k, whose place is named by `v`. */
  readonly loadA: (i: string, k: string, v: number) => string;
  /** Four vec4f of B, one for each k of a group of four, declared as `<name>0` to `<name>3`. */
  readonly loadB: (name: string, j: string, k: string) => string;
  /** Declarations for the stores of a column. */
  readonly column?: (column: string) => string;
  /** Stores `value` (vec4f) at (row, column); both are in range. */
  readonly store: (row: string, column: string, value: string) => string;
  /**
   * Looks at a value (vec4f) of C, a name. It may lie beyond C's edge, where it is a copy of one that does not: so a core
   * need not ask before, which costs more than looking.
   */
  readonly observe?: (value: string) => string;
  /** Looks at the columns of C, block by block of rows; `place` says which column that is to the observer. */
  readonly columnLook?: {
    readonly observer: ColumnObserver;
    readonly place: (column: string) => ColumnPlace;
  };
  /** What an invocation does when it has seen and stored everything. */
  readonly finish?: string;
}

/** Which operands are read through textures (texels.ts). */
export type Texels = "a" | "b" | "ab";

/** Declares the j-th column of a lane: `columnIndex<j>`, which guards its stores, and `column<j>`, clamped into range. */
export const declareColumn = (problem: GemmProblem, j: number, index: string): string =>
  `let columnIndex${j} = ${index}; let column${j} = min(columnIndex${j}, params.columns - 1u);
  ${problem.operandColumn?.(`${j}`) ?? ""}`;

/** Looks at all sums of an invocation, `c<row>_<column>`. */
export const observeSums = ({ observe }: GemmProblem, rows: number, columns: number): string =>
  observe ? unroll(rows, (i) => unroll(columns, (j) => observe(`c${i}_${j}`), " ")) : "";

/** The parameters that every core needs beside the problem's own: the grid of tiles and the size of C. */
export const gridParams = {
  rowTiles: "u32",
  columnTiles: "u32",
  rowsFirst: "u32",
  interleaved: "u32",
  rows: "u32",
  columns: "u32",
} as const;

/**
 * Declarations of the place of a workgroup in the grid of tiles: rows (`rowsFirst`) or columns fastest, then the other,
 * then slices. Of `interleaved` slices that follow each other, neighbours compute the same tile: where such slices differ
 * in work, every stretch of workgroups has its share of each. (lavapipe gives each of its threads one stretch.)
 */
export const gridPosition = /* wgsl */ `
  let byColumns = params.rowsFirst == 0u;
  let inner = select(params.rowTiles, params.columnTiles, byColumns);
  let outer = select(params.columnTiles, params.rowTiles, byColumns);
  let place = divide(group, params.interleaved);
  let step = divide(place, inner);
  let lap = divide(step, outer);
  let slice = lap * params.interleaved + group - place * params.interleaved;
  let columnTile = select(step - lap * outer, place - step * inner, byColumns);
  let rowTile = select(place - step * inner, step - lap * outer, byColumns);`;
