/**
 * What else can be learnt from a product's values while they are stored, so that it costs no pass of its own: something of
 * every block of rows, for each column. Only the core whose lanes hold whole columns of a tile (gemm/subgroup.ts) can say it.
 */
import type { ElementType, ParamType } from "./kernel.ts";

/** Where what is found of a column belongs: WGSL's expressions for its stream, its index in it, and how many a stream has. */
export interface ColumnPlace {
  readonly stream: string;
  readonly column: string;
  readonly columns: string;
}

/** The WGSL of an observer. `j` numbers the columns (vec4f) of an invocation and is for names of its variables. */
export interface ColumnObserver {
  /** Appended to the kernel's name. */
  readonly name: string;
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly outputs: Readonly<Record<string, ElementType>>;
  readonly params: Readonly<Record<string, ParamType>>;
  /** Rows of a block, a multiple of four; the last block may have fewer. "all" where a tile has to have all rows. */
  readonly blockRows: number | "all";
  /** Declares variables, once. */
  readonly declare: (j: number) => string;
  /** Where a block begins: the value in its first row, and how many it has. */
  readonly begin: (j: number, first: string, count: string) => string;
  /** Four rows that follow each other; `isRow` says of each whether there is such a row. */
  readonly add: (j: number, values: readonly string[], isRow: readonly string[]) => string;
  /** Where it ends. */
  readonly end: (j: number, block: string, place: ColumnPlace) => string;
}

/** An observer with what it reads and writes, on handles of type T. */
export interface ObserverCall<T> {
  readonly observer: ColumnObserver;
  /** The tensor whose values are looked at. */
  readonly x: T;
  readonly bindings: Readonly<Record<string, T>>;
  readonly params: Readonly<Record<string, number>>;
}
