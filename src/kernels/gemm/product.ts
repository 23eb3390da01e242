/** A matrix product as a tile is chosen for it: what it is and how large. */
import type { Dispatch } from "../kernel.ts";
import type { GemmTile } from "./core.ts";
import type { GemmProblem } from "./problem.ts";

export interface Product {
  /** The problem's name, which says how its operands are gathered. */
  readonly kind: string;
  readonly aVector: GemmProblem["aVector"];
  /** Of C. */
  readonly rows: number;
  /** Of C, in vec4f. */
  readonly columns: number;
  /** Terms of a sum. */
  readonly depth: number;
  /** Products of this size in one dispatch: streams, phases. */
  readonly slices: number;
  /**
   * The product with a tile, to be timed: handles are the bindings' sizes, in vec4f. It is of fewer images than the product
   * itself where that has more than `operations` (multiplications and additions).
   */
  trial(tile: GemmTile, operations: number): readonly Dispatch<number>[];
}

/** Names a product by its exact size. */
export function productName({ kind, rows, columns, depth, slices }: Product): string {
  return `${kind} ${slices}x${rows}x${4 * columns}x${depth}`;
}

/** More rows or terms than this make a product no different. */
const mostLog2 = 16;

/** Products of a class share what was measured for one of them: the kind, and sizes to the nearest power of two. */
export function shapeClass({ kind, rows, columns, depth, slices }: Product): string {
  const sizes = [slices, rows, 4 * columns, depth].map((size) => Math.min(mostLog2, Math.round(Math.log2(size))));
  return `${kind} ${sizes.map((size) => `2^${size}`).join("x")}`;
}
