/**
 * Which tile each product gets on a device. While a step is recorded a choice is made at once; where the adapter's table
 * has none, the product's class is noted, measured by `decide` (tuner.ts), and the step is recorded again.
 */
import type { GemmTile } from "./core.ts";
import { type Product, productName, shapeClass } from "./product.ts";
import { canRun, everyTile, type Precision, sharedTile, type TileAdapter, tableTile, tileName } from "./tiles.ts";

/** Products of a class that no table knows. */
export interface OpenClass {
  /** Names the class, with its precision. */
  readonly name: string;
  /** The first product of it that was met. */
  readonly product: Product;
  readonly precision: Precision;
  /** How many products of it were recorded. */
  readonly count: number;
}

/** Finds tiles for classes: by what is known from before, or by measuring. Classes that it leaves out stay undecided. */
export type Tuner = (classes: readonly OpenClass[]) => Promise<ReadonlyMap<string, GemmTile>>;

export class TileChoices {
  readonly #adapter: TileAdapter;
  readonly #made = new Map<string, GemmTile>();
  #fixed: ReadonlyMap<string, GemmTile> = new Map();
  readonly #decided = new Map<string, GemmTile>();
  readonly #open = new Map<string, OpenClass>();
  /** Without one, what is not in the table gets the safe tile. */
  tuner: Tuner | null = null;
  /** Whether the table is asked; without it every adapter is one that has to be measured. */
  usesTable = true;
  /** Wins over everything, for tests and experiments; null leaves the choice as it is. */
  override: ((product: Product, precision: Precision) => GemmTile | null) | null = null;

  constructor(adapter: TileAdapter) {
    this.#adapter = adapter;
  }

  /** The tile of a product: fixed, from the table, measured, or else one that every adapter can run. */
  choose(product: Product, precision: Precision = "f32"): GemmTile {
    const name = withPrecision(productName(product), precision);
    const tile =
      this.override?.(product, precision) ??
      this.#fixed.get(name) ??
      (this.usesTable ? tableTile(this.#adapter, product, precision) : null) ??
      this.#ofClass(product, precision);
    this.#made.set(name, tile);
    return tile;
  }

  #ofClass(product: Product, precision: Precision): GemmTile {
    const name = withPrecision(shapeClass(product), precision);
    const decided = this.#decided.get(name);
    if (decided) return decided;
    const open = this.#open.get(name);
    this.#open.set(name, open ? { ...open, count: open.count + 1 } : { name, product, precision, count: 1 });
    return sharedTile;
  }

  /**
   * Decides on all classes met so far.
   * @returns whether some product now gets another tile than before: what was recorded has to be recorded again.
   */
  async decide(): Promise<boolean> {
    if (!this.tuner || this.#open.size === 0) return false;
    const classes = [...this.#open.values()];
    this.#open.clear();
    const found = await this.tuner(classes);
    // A class for which there was no time keeps the safe tile in this process, so that its programs agree.
    for (const { name } of classes) this.#decided.set(name, found.get(name) ?? sharedTile);
    return classes.some(({ name }) => this.#decided.get(name) !== sharedTile);
  }

  /** What `record` returns when every product in it has its tile. `record` may run more than once. */
  async settle<T>(record: () => T): Promise<T> {
    let recording = record();
    while (await this.decide()) recording = record();
    return recording;
  }

  /** Every choice made so far, by product, as `fix` takes it. */
  get made(): Record<string, string> {
    const entries = [...this.#made].map(([name, tile]) => [name, tileName(tile)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /**
   * Makes the choices of a former run those of this device, whatever a table or a measurement says now.
   * @returns the tiles among them that this version does not have, or that the adapter cannot run; their products are
   *   chosen anew.
   */
  fix(choices: Readonly<Record<string, string>>): string[] {
    const tiles = everyTile(this.#adapter).filter((tile) => canRun(this.#adapter, tile));
    const known = new Map(tiles.map((tile) => [tileName(tile), tile]));
    const entries = Object.entries(choices);
    this.#fixed = new Map(entries.flatMap(([name, tile]) => (known.has(tile) ? [[name, known.get(tile)!]] : [])));
    return [...new Set(entries.map(([, tile]) => tile).filter((tile) => !known.has(tile)))];
  }
}

function withPrecision(name: string, precision: Precision): string {
  return precision === "f32" ? name : `${name} ${precision}`;
}
