/**
 * Numbers out of HDF5 files, a few rows at a time: h5wasm reads from the disk what is asked for and no more, so a file
 * may be larger than the memory. Loaded only where such a file is opened.
 */
import type { Dataset, File } from "h5wasm/node";

/** A dataset's numbers in the file's order, whatever their width. */
export type Numbers = Float32Array | Float64Array | Uint8Array | Int8Array | Int16Array | Uint16Array | Int32Array;

/** A file, a key or a shape that is not as it has to be: `file: rule`, or `file, key "aes": rule`. */
export class Hdf5Error extends Error {
  override name = "Hdf5Error";
}

export class Hdf5File {
  readonly path: string;
  readonly #file: File;
  readonly #isDataset: (entity: unknown) => entity is Dataset;

  private constructor(path: string, file: File, isDataset: (entity: unknown) => entity is Dataset) {
    this.path = path;
    this.#file = file;
    this.#isDataset = isDataset;
  }

  /** @throws Hdf5Error where it cannot be opened or is not HDF5. */
  static async open(path: string): Promise<Hdf5File> {
    const { File, Dataset, ready } = await import("h5wasm/node");
    const library = await ready;
    library.activate_throwing_error_handler(); // else the library writes to standard error and goes on
    try {
      return new Hdf5File(path, new File(path, "r"), (entity) => entity instanceof Dataset);
    } catch (error) {
      throw new Hdf5Error(`${path}: cannot be read as HDF5: ${reasonOf(error)}`, { cause: error });
    }
  }

  get keys(): string[] {
    return this.#file.keys();
  }

  /** The first of `names` that is a dataset of numbers. @throws Hdf5Error where there is none. */
  dataset(...names: string[]): Hdf5Numbers {
    const name = names.find((key) => this.keys.includes(key));
    if (name === undefined) {
      throw new Hdf5Error(
        `${this.path}: has no key ${names.map((key) => `"${key}"`).join(" or ")}; there are ${this.keys.join(", ") || "none"}`,
      );
    }
    const entity = this.#file.get(name);
    if (!this.#isDataset(entity)) throw new Hdf5Error(`${this.path}, key "${name}": is a group, not a dataset`);
    return new Hdf5Numbers(this.path, name, entity);
  }

  close(): void {
    this.#file.close();
  }
}

/** A dataset of numbers, read by ranges of its first axis. */
export class Hdf5Numbers {
  readonly file: string;
  readonly name: string;
  readonly shape: readonly number[];
  /** Whole numbers from 0 to 255 by their type. */
  readonly isUint8: boolean;
  readonly #dataset: Dataset;

  /** @throws Hdf5Error where it holds anything but integers up to 32 bits or floats of 32 or 64 bits. */
  constructor(file: string, name: string, dataset: Dataset) {
    this.file = file;
    this.name = name;
    this.#dataset = dataset;
    this.shape = dataset.shape ?? [];
    const { dtype } = dataset;
    const type = typeof dtype === "string" ? dtype.replace(/^[<>|]/, "") : "";
    const { size } = dataset.metadata;
    this.isUint8 = type === "B";
    const readable = /^[fd]$/.test(type) ? size >= 4 : /^[bBhHiI]$/.test(type);
    if (!readable) {
      throw this.error(
        `holds ${JSON.stringify(dtype)} of ${size} bytes; numbers of at most 32 bits, or 64-bit floats, are read`,
      );
    }
  }

  /** The rows from `start` to `end`, the latter not included, flat. @throws Hdf5Error where the file is damaged there. */
  rows(start: number, end: number): Numbers {
    try {
      return this.#dataset.slice([[start, end], ...this.shape.slice(1).map((): [] => [])]) as Numbers;
    } catch (error) {
      throw this.error(`rows ${start} to ${end - 1} cannot be read: ${reasonOf(error)}`);
    }
  }

  error(rule: string): Hdf5Error {
    return new Hdf5Error(`${this.file}, key "${this.name}": ${rule}`);
  }
}

/** The innermost reason of the library's trace, which goes from the outermost call inwards. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const reasons = [...text.matchAll(/^ *#\d+: .*? line \d+ in \S+\(\): (.*)$/gm)].map((match) => match[1]!);
  return (reasons.at(-1) ?? text).replace(/, errno = .*?error message = '([^']*)'.*/, ": $1");
}
