/**
 * The images of an HDF5 file such as IAE's `final_aes_emo.h5`: key `image` or `images`, [N, H, W, 3] or [N, 3, H, W],
 * uint8, or floats that go from 0 to 1 or from 0 to 255. Red comes first.
 */
import { Hdf5Error, Hdf5File, type Hdf5Numbers } from "./hdf5.ts";

/** uint8 RGB [height, width, 3]. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
}

/** How many images, evenly spread, tell whether brightness goes from 0 to 1 or from 0 to 255. */
const PROBES = 32;

/** How far beyond its range, in 1/255, a brightness may lie: resampling overshoots a little. */
const TOLERANCE = 0.5;

export class Hdf5Images {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  /** What white is in the file: 1 or 255. */
  readonly white: 1 | 255;
  readonly #numbers: Hdf5Numbers;
  readonly #channelsFirst: boolean;

  /** @throws Hdf5Error for another shape, and for values that are no brightness, such as those of normalised images. */
  constructor(file: Hdf5File) {
    this.#numbers = file.dataset("image", "images");
    const { shape } = this.#numbers;
    const isImage = shape.length === 4 && (shape[3] === 3 || shape[1] === 3) && shape.every((length) => length > 0);
    if (!isImage) throw this.#numbers.error(`has shape [${shape}]; [N, H, W, 3] or [N, 3, H, W] is expected`);
    this.#channelsFirst = shape[3] !== 3;
    this.count = shape[0]!;
    this.height = shape[this.#channelsFirst ? 2 : 1]!;
    this.width = shape[this.#channelsFirst ? 3 : 2]!;
    this.white = this.#numbers.isUint8 ? 255 : this.#probe();
  }

  /** @throws Hdf5Error where a value is none, or there is no such image. */
  read(index: number): Pixels {
    if (index >= this.count) throw new Hdf5Error(`there is no image ${index}: the file has ${this.count}`);
    const values = this.#numbers.rows(index, index + 1);
    const { width, height } = this;
    const scale = 255 / this.white;
    const data = new Uint8Array(width * height * 3);
    for (let from = 0; from < values.length; from++) {
      const brightness = values[from]! * scale;
      // Also true of NaN.
      if (!(brightness >= -TOLERANCE && brightness <= 255 + TOLERANCE)) {
        throw new Hdf5Error(`image ${index} holds ${values[from]}, which is not from 0 to ${this.white}`);
      }
      const to = this.#channelsFirst ? (from % (width * height)) * 3 + Math.floor(from / (width * height)) : from;
      data[to] = Math.min(255, Math.max(0, Math.round(brightness)));
    }
    return { data, width, height };
  }

  #probe(): 1 | 255 {
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const probes = Math.min(PROBES, this.count);
    for (let i = 0; i < probes; i++) {
      const index = Math.floor((i * this.count) / probes);
      for (const value of this.#numbers.rows(index, index + 1)) {
        if (value < least) least = value;
        if (value > most) most = value;
      }
    }
    const white = most <= 1 + TOLERANCE / 255 ? 1 : 255;
    if (!(least >= (-TOLERANCE * white) / 255 && most <= 255 + TOLERANCE)) {
      throw this.#numbers.error(
        `holds values from ${least} to ${most}; brightness from 0 to 1 or from 0 to 255 is expected, not normalised images`,
      );
    }
    return white;
  }
}

/** Opened files by path; each stays open, as the images of a data set are asked for one by one, in any order. */
const opened = new Map<string, Promise<Hdf5Images>>();

/** @throws Hdf5Error where the file or its images are not as they have to be. */
export function openHdf5Images(path: string): Promise<Hdf5Images> {
  let images = opened.get(path);
  if (images === undefined) {
    images = Hdf5File.open(path).then((file) => new Hdf5Images(file));
    opened.set(path, images);
    images.catch(() => opened.delete(path)); // it may be there the next time
  }
  return images;
}
