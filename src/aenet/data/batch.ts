import type { Crop } from "./augment.ts";
import type { ImageSource } from "./image-source.ts";
import { aestheticLabel } from "./labels.ts";
import type { Sample } from "./manifest.ts";

/** What goes to the GPU for one step: B places, of which the first `count` hold samples and the rest nothing. */
export interface Batch {
  /** B. */
  size: number;
  count: number;
  /** uint8 RGB [B, R, R, 3]; zeros where there is no sample. */
  images: Uint8Array;
  /** x, y, flip (0 or 1) [B, 3]: see `Crop`. */
  crops: Int32Array;
  /** Manifest rows, from 0 [count]. */
  rows: number[];
  /** 1 high, 0 low or none [B]. */
  aesTarget: Float32Array;
  /** 1 where there is an aesthetics label, else 0 [B]. */
  aesMask: Float32Array;
  /** The class's index, −1 where there is no emotion [B]. */
  emoTarget: Int32Array;
}

/** A sample's labels as the losses take them. */
export interface Target {
  /** 1 high, 0 low, null none. */
  aes: 0 | 1 | null;
  /** The class's index, −1 none. */
  emo: number;
}

/**
 * The targets of some rows, by row. Where no network asks for emotions, one that is not among `classes` is as if it were not
 * given.
 * @throws Error where an emotion is not among `classes`, naming the sample's path.
 */
export function targetsOf(
  samples: readonly Sample[],
  rows: readonly number[],
  classes: readonly string[],
  { tasks = ["aes", "emo"] }: { tasks?: readonly ("aes" | "emo")[] | undefined } = {},
): Map<number, Target> {
  const index = new Map(classes.map((name, i) => [name, i]));
  const targetOf = (sample: Sample): Target => {
    const label = aestheticLabel(sample);
    const emo = sample.emotion === null ? -1 : (index.get(sample.emotion) ?? (tasks.includes("emo") ? undefined : -1));
    if (emo === undefined) {
      throw new Error(`${sample.path}: emotion "${sample.emotion}" is not among the classes ${classes.join(", ")}`);
    }
    return { aes: label === null ? null : label === "high" ? 1 : 0, emo };
  };
  return new Map(rows.map((row) => [row, targetOf(samples[row]!)]));
}

export interface Entry {
  row: number;
  image: Uint8Array;
  crop: Crop;
  target: Target;
}

/** Puts entries together to a batch of `size` places, in `memory` where some of that size was given back. */
export function assembleBatch(
  entries: readonly Entry[],
  size: number,
  source: ImageSource,
  memory: BatchMemory,
): Batch {
  const imageBytes = source.decodedSize ** 2 * 3;
  const images = memory.take(size * imageBytes);
  const batch: Batch = {
    size,
    count: entries.length,
    images,
    crops: new Int32Array(size * 3),
    rows: entries.map(({ row }) => row),
    aesTarget: new Float32Array(size),
    aesMask: new Float32Array(size),
    emoTarget: new Int32Array(size).fill(-1),
  };
  entries.forEach(({ image, crop, target }, i) => {
    images.set(image, i * imageBytes);
    batch.crops.set([crop.x, crop.y, crop.flip ? 1 : 0], i * 3);
    batch.aesTarget[i] = target.aes ?? 0;
    batch.aesMask[i] = target.aes === null ? 0 : 1;
    batch.emoTarget[i] = target.emo;
  });
  images.fill(0, entries.length * imageBytes);
  return batch;
}

/** Batches' pixels that were given back, to be filled again instead of waiting for the garbage collector. */
export class BatchMemory {
  readonly #free: Uint8Array[] = [];

  take(bytes: number): Uint8Array {
    const index = this.#free.findIndex((memory) => memory.length === bytes);
    return index < 0 ? new Uint8Array(bytes) : this.#free.splice(index, 1)[0]!;
  }

  give(batch: Batch): void {
    if (this.#free.length < 4 && !this.#free.includes(batch.images)) this.#free.push(batch.images);
  }
}
