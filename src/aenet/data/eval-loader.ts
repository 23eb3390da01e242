/** Evaluation batches: a split in manifest order, the centre of each image, the last batch padded. */
import { centreCrop } from "./augment.ts";
import { assembleBatch, type Batch, BatchMemory, type Entry, type Target, targetsOf } from "./batch.ts";
import type { DecodeError } from "./decode.ts";
import { readOrDamage } from "./image-source.ts";
import type { Split } from "./labels.ts";
import { type LoaderOptions, prefetchOptions } from "./loader.ts";
import { Prefetcher } from "./prefetch.ts";

export interface EvalLoaderOptions extends LoaderOptions {
  split: Split;
  /** What the network answers. Default: both. */
  tasks?: readonly ("aes" | "emo")[] | undefined;
}

export class EvalLoader {
  /** The split's rows in manifest order, damaged ones included. */
  readonly rows: readonly number[];
  readonly #options: EvalLoaderOptions;
  readonly #targets: Map<number, Target>;
  readonly #memory = new BatchMemory();
  readonly #damaged = new Set<number>();

  /** @throws Error where the split is empty or an emotion of it, if these are asked for, is not among the classes. */
  constructor(options: EvalLoaderOptions) {
    this.#options = options;
    this.rows = options.samples.flatMap(({ split }, row) => (split === options.split ? [row] : []));
    if (this.rows.length === 0) throw new Error(`evaluation: the split ${options.split} has no samples`);
    this.#targets = targetsOf(options.samples, this.rows, options.classes, options);
    prefetchOptions(options);
  }

  /**
   * All batches, from the first; may be called once for every evaluation. A damaged image takes no place in a batch.
   * @throws DecodeError under `strict`; ImageSizeError.
   */
  async *batches(): AsyncGenerator<Batch> {
    const { batchSize, images } = this.#options;
    const crop = centreCrop(images.decodedSize, images.imageSize);
    const stream = new Prefetcher(this.rows, prefetchOptions(this.#options), (row) => readOrDamage(images, row));
    try {
      let entries: Entry[] = [];
      for (let read = await stream.next(); read !== undefined; read = await stream.next()) {
        if ("damage" in read) {
          this.#report(read.damage, read.row);
          continue;
        }
        entries.push({ row: read.row, image: read.image, crop, target: this.#targets.get(read.row)! });
        if (entries.length < batchSize) continue;
        yield assembleBatch(entries, batchSize, images, this.#memory);
        entries = [];
      }
      if (entries.length > 0) yield assembleBatch(entries, batchSize, images, this.#memory);
    } finally {
      stream.close();
    }
  }

  /** Gives a batch's memory back once its pixels have been sent; optional, and the batch must not be read any more. */
  recycle(batch: Batch): void {
    this.#memory.give(batch);
  }

  #report(damage: DecodeError, row: number): void {
    if (this.#options.strict) throw damage;
    if (this.#damaged.has(row)) return;
    this.#damaged.add(row);
    this.#options.onDamaged?.(damage, row);
  }
}
