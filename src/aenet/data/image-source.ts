import { DecodeError, type DecodeOptions, decodedSize, decodeImage } from "./decode.ts";
import type { Sample } from "./manifest.ts";

/** What decoded images cost at most when they are kept: 256 MiB. */
export const DEFAULT_CACHE_BYTES: number = 256 * 2 ** 20;

/** Where loaders take decoded images from, by manifest row. */
export interface ImageSource {
  /** S, the side in pixels of what the network sees. */
  readonly imageSize: number;
  /** R, the side in pixels of what `read` gives. */
  readonly decodedSize: number;
  /** uint8 RGB [R, R, 3], not to be changed. @throws DecodeError where the image is missing or damaged. */
  read(row: number): Promise<Uint8Array>;
}

/**
 * Decodes the files of a manifest, and keeps the first images up to `cacheBytes`, so that a small set is decoded once.
 * What is kept never changes what is read. Damaged images are remembered too.
 */
export class FileImages implements ImageSource {
  readonly imageSize: number;
  readonly decodedSize: number;
  readonly #samples: readonly Sample[];
  readonly #options: DecodeOptions;
  readonly #kept = new Map<number, Uint8Array>();
  readonly #damaged = new Map<number, DecodeError>();
  readonly #capacity: number;

  constructor(samples: readonly Sample[], options: DecodeOptions & { cacheBytes?: number }) {
    this.imageSize = options.imageSize;
    this.decodedSize = decodedSize(options);
    this.#samples = samples;
    this.#options = options;
    this.#capacity = Math.floor((options.cacheBytes ?? DEFAULT_CACHE_BYTES) / (this.decodedSize ** 2 * 3));
  }

  async read(row: number): Promise<Uint8Array> {
    const kept = this.#kept.get(row);
    if (kept !== undefined) return kept;
    const damage = this.#damaged.get(row);
    if (damage !== undefined) throw damage;
    try {
      const image = await decodeImage(this.#samples[row]!.absolutePath, this.#options);
      if (this.#kept.size < this.#capacity) this.#kept.set(row, image);
      return image;
    } catch (error) {
      if (error instanceof DecodeError) this.#damaged.set(row, error);
      throw error;
    }
  }
}

/** A row's image, or what is wrong with it; any other failure is thrown. */
export type ReadImage = { row: number; image: Uint8Array } | { row: number; damage: DecodeError };

export async function readOrDamage(images: ImageSource, row: number): Promise<ReadImage> {
  try {
    return { row, image: await images.read(row) };
  } catch (error) {
    if (error instanceof DecodeError) return { row, damage: error };
    throw error;
  }
}
