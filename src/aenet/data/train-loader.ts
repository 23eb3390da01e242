/**
 * Training batches, decoded ahead of the GPU.
 *
 * An epoch visits the training rows in the order of (seed, epoch). Every batch takes the next B sound images of that
 * order and says how far it came (`position`), so that a run resumes there without decoding what went before. Damaged
 * images are left out wherever they stand; as that follows from the files alone, batches are the same whatever the
 * number of workers, the timing and the place of resuming.
 */
import { centreCrop, epochOrder, randomCrop } from "./augment.ts";
import { assembleBatch, type Batch, BatchMemory, type Entry, type Target, targetsOf } from "./batch.ts";
import { type ReadImage, readOrDamage } from "./image-source.ts";
import { aestheticLabel } from "./labels.ts";
import { type LoaderOptions, prefetchOptions } from "./loader.ts";
import type { Sample } from "./manifest.ts";
import { Prefetcher } from "./prefetch.ts";

export interface TrainLoaderOptions extends LoaderOptions {
  seed: number;
  /** Default true. */
  shuffle?: boolean;
  /** Random crops and mirroring; false takes the evaluation's centre. Default true. */
  augment?: boolean;
  /** Whose labels count: rows that have none of them are not trained on. Default both. */
  tasks?: readonly ("aes" | "emo")[];
  /** Nothing is decoded ahead beyond this epoch. Default: none is the last. */
  lastEpoch?: number;
}

export interface TrainBatch extends Batch {
  epoch: number;
  /** How many entries of the epoch's order lie behind after this batch: `epoch(epoch, position)` continues there. */
  position: number;
}

interface Place {
  epoch: number;
  position: number;
}

type ReadPlace = ReadImage & Place;

export class TrainLoader {
  /** The training rows that carry a label of `tasks`, in manifest order, damaged ones included. */
  readonly rows: readonly number[];
  readonly #options: TrainLoaderOptions;
  readonly #targets: Map<number, Target>;
  readonly #memory = new BatchMemory();
  readonly #damaged = new Set<number>();
  #stream: Prefetcher<Place & { row: number }, ReadPlace> | null = null;
  #next: Place | null = null;

  /** @throws Error where no sample of the training split has a label, or an emotion is not among the classes. */
  constructor(options: TrainLoaderOptions) {
    this.#options = options;
    this.rows = trainingRows(options);
    this.#targets = targetsOf(options.samples, this.rows, options.classes);
    prefetchOptions(options);
  }

  /** How many damaged images have been met. */
  get damagedCount(): number {
    return this.#damaged.size;
  }

  /** Full batches in an epoch, at least 1, without the damaged images met so far: exact from the second epoch on. */
  get batchesPerEpoch(): number {
    return Math.max(1, Math.floor((this.rows.length - this.#damaged.size) / this.#options.batchSize));
  }

  /**
   * The batches of an epoch from `position` on (0, or a batch's `position`). A short last batch is dropped unless it is
   * the epoch's only one, which then has `size` = `count` < B.
   * @throws DecodeError under `strict`; ImageSizeError; Error where all images are damaged.
   */
  async *epoch(epoch: number, position = 0): AsyncGenerator<TrainBatch> {
    const { batchSize, images } = this.#options;
    const stream = this.#streamAt({ epoch, position });
    for (let isOnly = position === 0; ; isOnly = false) {
      const entries: Entry[] = [];
      while (entries.length < batchSize && (await stream.peek())?.epoch === epoch) {
        const read = (await stream.next())!;
        this.#next = { epoch, position: read.position + 1 };
        if ("damage" in read) this.#report(read);
        else entries.push(this.#entry(epoch, read.row, read.image));
      }
      if (entries.length < batchSize) this.#next = { epoch: epoch + 1, position: 0 };
      if (entries.length === 0 && isOnly) {
        throw new Error(`training: none of the ${this.rows.length} images of the training split can be decoded`);
      }
      if (entries.length < batchSize && !isOnly) return;
      const batch = assembleBatch(entries, entries.length, images, this.#memory);
      yield { ...batch, epoch, position: entries.length < batchSize ? this.rows.length : this.#next!.position };
      if (entries.length < batchSize) return;
    }
  }

  /** Gives a batch's memory back once its pixels have been sent; optional, and the batch must not be read any more. */
  recycle(batch: Batch): void {
    this.#memory.give(batch);
  }

  /** Stops decoding ahead. */
  close(): void {
    this.#stream?.close();
    this.#stream = null;
  }

  #streamAt(place: Place): Prefetcher<Place & { row: number }, ReadPlace> {
    const goesOn = this.#next?.epoch === place.epoch && this.#next.position === place.position;
    if (this.#stream !== null && goesOn) return this.#stream;
    this.close();
    this.#next = place;
    this.#stream = new Prefetcher(this.#placesFrom(place), prefetchOptions(this.#options), async ({ row, ...at }) => ({
      ...(await readOrDamage(this.#options.images, row)),
      ...at,
    }));
    return this.#stream;
  }

  *#placesFrom(start: Place): Generator<Place & { row: number }> {
    const { seed, shuffle = true, lastEpoch = Number.POSITIVE_INFINITY } = this.#options;
    let position = start.position;
    for (let epoch = start.epoch; epoch <= Math.max(start.epoch, lastEpoch); epoch++) {
      const order = epochOrder(this.rows, { seed, epoch, shuffle });
      for (; position < order.length; position++) yield { epoch, position, row: order[position]! };
      position = 0;
    }
  }

  #entry(epoch: number, row: number, image: Uint8Array): Entry {
    const { images, seed, augment = true } = this.#options;
    const { decodedSize, imageSize } = images;
    const crop = augment
      ? randomCrop({ seed, epoch, row, decodedSize, imageSize })
      : centreCrop(decodedSize, imageSize);
    return { row, image, crop, target: this.#targets.get(row)! };
  }

  #report(read: Extract<ReadImage, { damage: unknown }>): void {
    if (this.#options.strict) throw read.damage;
    if (this.#damaged.has(read.row)) return;
    this.#damaged.add(read.row);
    this.#options.onDamaged?.(read.damage, read.row);
  }
}

/**
 * The batch size that every epoch can fill: `batchSize`, or the number of sound training images where there are fewer.
 * Decodes no more than it needs to know, so that a network can be planned for that size before the first batch.
 */
export async function fillableBatchSize(options: TrainLoaderOptions): Promise<number> {
  const rows = trainingRows(options);
  const stream = new Prefetcher(rows, prefetchOptions(options), (row) => readOrDamage(options.images, row));
  let sound = 0;
  for (let read = await stream.next(); read !== undefined && sound < options.batchSize; read = await stream.next()) {
    if ("image" in read) sound++;
  }
  stream.close();
  if (sound === 0) throw new Error(`training: none of the ${rows.length} images of the training split can be decoded`);
  return sound;
}

function trainingRows({ samples, tasks = ["aes", "emo"] }: TrainLoaderOptions): number[] {
  const labelled = (sample: Sample) =>
    (tasks.includes("aes") && aestheticLabel(sample) !== null) || (tasks.includes("emo") && sample.emotion !== null);
  const rows = samples.flatMap((sample, row) => (sample.split === "train" && labelled(sample) ? [row] : []));
  if (rows.length === 0)
    throw new Error(`training: no sample of the split train has a label for ${tasks.join(" or ")}`);
  return rows;
}
