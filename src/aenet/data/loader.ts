/** What the loaders of training and evaluation have in common. */
import { availableParallelism } from "node:os";
import type { DecodeError } from "./decode.ts";
import type { ImageSource } from "./image-source.ts";
import type { Sample } from "./manifest.ts";
import type { PrefetchOptions } from "./prefetch.ts";

export interface LoaderOptions {
  /** The whole manifest: rows are indices into it. */
  samples: readonly Sample[];
  /** The emotions, in the order of the network's outputs. */
  classes: readonly string[];
  images: ImageSource;
  /** B, at least 1. */
  batchSize: number;
  /** How many images are decoded at once; changes the speed, never the batches. libuv's threads (4) bound it too. */
  workers?: number;
  /** How many batches are decoded ahead of the reader. Default 2. */
  prefetchBatches?: number;
  /** A damaged image is an error instead of being left out. Default false. */
  strict?: boolean;
  /** Called once for each damaged image, in the order of reading. */
  onDamaged?: (damage: DecodeError, row: number) => void;
}

export const DEFAULT_WORKERS: number = Math.min(4, availableParallelism());

export function prefetchOptions({
  batchSize,
  workers = DEFAULT_WORKERS,
  prefetchBatches = 2,
}: LoaderOptions): PrefetchOptions {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`loader: batch size ${batchSize} is not an integer from 1`);
  }
  return { concurrency: workers, window: Math.max(workers, batchSize * prefetchBatches) };
}
