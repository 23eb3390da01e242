/**
 * What else can be learnt from a product's values while they are stored, so that it costs no pass of its own: something of
 * every block of rows, for each column. Only the core whose lanes hold whole columns of a tile (gemm/subgroup.ts) can say it.
 */
import type { ElementType } from "./kernel.ts";

/** The WGSL of an observer. `j` numbers the columns (vec4f) of an invocation and is for names of its variables. */
export interface ColumnObserver {
  /** Appended to the kernel's name. */
  readonly name: string;
  readonly outputs: Readonly<Record<string, ElementType>>;
  /** Rows of a block, a multiple of four; the last block may have fewer. */
  readonly blockRows: number;
  /** Declares variables, once. */
  readonly declare: (j: number) => string;
  /** Where a block begins: the value in its first row, and how many it has. */
  readonly begin: (j: number, first: string, count: string) => string;
  /** Four rows that follow each other; `isRow` says of each whether there is such a row. */
  readonly add: (j: number, values: readonly string[], isRow: readonly string[]) => string;
  /** Where it ends: `place` counts blocks of all columns of all streams. */
  readonly end: (j: number, place: string) => string;
}

/** An observer with what it reads and writes, on handles of type T. */
export interface ObserverCall<T> {
  readonly observer: ColumnObserver;
  /** The tensor whose values are looked at. */
  readonly x: T;
  readonly bindings: Readonly<Record<string, T>>;
}
