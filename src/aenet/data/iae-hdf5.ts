/** IAE's first form: `final_aes_emo.h5` with images, [N, 2] one-hot [low, high], and [N, 8] one-hot emotions. */
import { rename, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import sharp from "sharp";
import { makeFolder } from "../durable-file.ts";
import { EIGHT_EMOTIONS } from "./classes.ts";
import { readImage } from "./decode.ts";
import { Hdf5File, type Hdf5Numbers } from "./hdf5.ts";
import { Hdf5Images } from "./hdf5-images.ts";
import type { IaeSource } from "./iae-source.ts";
import { formatImageReference, parseImageReference } from "./image-reference.ts";
import type { FoundImage } from "./import.ts";
import type { AesLabel } from "./labels.ts";

const AES: readonly AesLabel[] = ["low", "high"];

/** @throws Hdf5Error for a key, a shape or a label that is not as it has to be. */
export async function readIaeHdf5(source: string, folder: string): Promise<IaeSource> {
  const path = resolve(source);
  const file = await Hdf5File.open(path);
  try {
    const { count } = new Hdf5Images(file);
    const aes = oneHot(file.dataset("aes", "aes_labels"), count, AES);
    const emotions = oneHot(file.dataset("emo", "emo_labels"), count, EIGHT_EMOTIONS);
    const images = Array.from(
      { length: count },
      (_, index): FoundImage => ({
        absolutePath: formatImageReference({ file: path, index }),
        split: null,
        aesScore: null,
        aesLabel: aes[index]!,
        emotion: emotions[index]!,
      }),
    );
    return { form: "hdf5", images, ids: images.map((_, index) => index), count, folder, ignored: [] };
  } finally {
    file.close();
  }
}

/** The name that each row of [N, K] stands for. */
function oneHot<T extends string>(numbers: Hdf5Numbers, count: number, names: readonly T[]): T[] {
  const { shape } = numbers;
  if (shape.length !== 2 || shape[0] !== count || shape[1] !== names.length) {
    throw numbers.error(
      `has shape [${shape}]; [${count}, ${names.length}] is expected, one-hot in the order ${names.join(", ")}`,
    );
  }
  const values = numbers.rows(0, count);
  return Array.from({ length: count }, (_, index) => {
    const row = Array.from(values.subarray(index * names.length, (index + 1) * names.length));
    const one = row.indexOf(1);
    if (one < 0 || row.some((value, i) => value !== (i === one ? 1 : 0))) {
      throw numbers.error(`row ${index} is [${row.join(", ")}], which is not one-hot`);
    }
    return names[one]!;
  });
}

/**
 * Writes images that lie inside an HDF5 file to FOLDER/INDEX.png and lets them refer to these. Files that are there
 * already, from an extraction that was stopped, are left as they are.
 */
export async function extractImages(
  images: FoundImage[],
  folder: string,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  await makeFolder(folder);
  for (const [done, image] of images.entries()) {
    const { index } = parseImageReference(image.absolutePath)!;
    const target = join(resolve(folder), `${index}.png`);
    if ((await stat(target).catch(() => null)) === null) {
      const { bytes, raw } = await readImage(image.absolutePath);
      const temporary = `${target}.${process.pid}.tmp`;
      await sharp(bytes, { raw: raw! }).png().toFile(temporary);
      await rename(temporary, target);
    }
    image.absolutePath = target;
    onProgress?.(done + 1, images.length);
  }
}
