/**
 * Generators of small data sets in the exact forms in which IAE, AVA, FI and ArtPhoto are published. Every image and
 * every label is made here; nothing is taken from those sets.
 */
import { join } from "node:path";
import { File, ready } from "h5wasm/node";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/index.ts";
import { gradient, write } from "./images.ts";

/** Brightness, [low, high], one-hot emotions; by key of the file. */
export type Hdf5Content = Record<string, { shape: number[]; data: Float32Array | Float64Array | Uint8Array }>;

export async function writeHdf5(file: string, content: Hdf5Content, chunks?: Record<string, number[]>): Promise<void> {
  await ready;
  const opened = new File(file, "w");
  for (const [name, { shape, data }] of Object.entries(content)) {
    const dtype = data instanceof Uint8Array ? "<B" : data instanceof Float64Array ? "<d" : "<f";
    opened.create_dataset({ name, data, shape, dtype, ...(chunks?.[name] ? { chunks: chunks[name] } : {}) });
  }
  opened.close();
}

const RATINGS = [1, 4, 7, 10];

/** Ten ratings of the image i; their mean crosses 5 from one image to another. */
export function ratingsOf(i: number): number[] {
  return Array.from({ length: 10 }, (_, rater) => RATINGS[(i * 3 + rater * (1 + (i % 3))) % 4]!);
}

export const meanOf = (i: number): number => ratingsOf(i).reduce((sum, rating) => sum + rating, 0) / 10;

/** uint8 RGB [side, side, 3] of the image i. */
export async function pixelsOf(i: number, side = 16): Promise<Buffer> {
  return gradient(side, side, i * 17)
    .raw()
    .toBuffer();
}

export const emotionOf = (i: number): string => EIGHT_EMOTIONS[(i * 5) % 8]!;

export function scores(count: number): Hdf5Content {
  const rows = Array.from({ length: count }, (_, i) => [...ratingsOf(i), meanOf(i) * 10]);
  return { score: { shape: [count, 11], data: Float64Array.from(rows.flat()) } };
}

/** `final_aes_emo.h5` as published; `keys` and `white` vary between copies of it. */
export async function iaeHdf5(
  count: number,
  variant: { image?: string; aes?: string; emo?: string; white?: number; channelsFirst?: boolean } = {},
): Promise<Hdf5Content> {
  const { image = "images", aes = "aes", emo = "emo", white = 255, channelsFirst = false } = variant;
  const side = 16;
  const data = new Float32Array(count * side * side * 3);
  for (let i = 0; i < count; i++) {
    const pixels = await pixelsOf(i, side);
    pixels.forEach((value, at) => {
      const to = channelsFirst ? (at % 3) * side * side + Math.floor(at / 3) : at;
      data[i * pixels.length + to] = (value / 255) * white;
    });
  }
  const oneHot = (width: number, indexOf: (i: number) => number) =>
    Float32Array.from({ length: count * width }, (_, at) => (indexOf(Math.floor(at / width)) === at % width ? 1 : 0));
  return {
    [image]: { shape: channelsFirst ? [count, 3, side, side] : [count, side, side, 3], data },
    [aes]: { shape: [count, 2], data: oneHot(2, (i) => (meanOf(i) >= 5 ? 1 : 0)) },
    [emo]: { shape: [count, 8], data: oneHot(8, (i) => EIGHT_EMOTIONS.indexOf(emotionOf(i))) },
  };
}

/** The split of the image i in the archive's lists. */
export const archiveSplit = (i: number): "train" | "val" | "test" =>
  i % 10 < 7 ? "train" : i % 10 === 7 ? "val" : "test";

/** The archive's text lists, by file name. */
export function archiveLists(count: number): Record<string, string> {
  const ids = Array.from({ length: count }, (_, i) => i);
  const list = (split: string, label: (i: number) => number) =>
    ids
      .filter((i) => archiveSplit(i) === split)
      .map((i) => `${i} ${label(i)}\n`)
      .join("");
  return Object.fromEntries(
    ["train", "val", "test"].flatMap((split) => [
      [`${split}_aes_list.txt`, list(split, (i) => (meanOf(i) >= 5 ? 1 : 0))],
      [`${split}_emo_list.txt`, list(split, (i) => EIGHT_EMOTIONS.indexOf(emotionOf(i)))],
    ]),
  );
}

export async function writeArchive(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await write(
      folder,
      `images/${i}.jpg`,
      await gradient(24, 18, i * 17)
        .jpeg()
        .toBuffer(),
    );
  }
  for (const [name, text] of Object.entries(archiveLists(count))) await write(folder, name, text);
  await writeHdf5(join(folder, "scores.h5"), scores(count));
}

/** The ids of AVA are no consecutive numbers. */
export const avaId = (i: number): number => 953_619 - i * 37;

/** Votes for 1 to 10 points. */
export const avaVotes = (i: number): number[] =>
  Array.from({ length: 10 }, (_, points) => 1 + (((i + 3) * (points + 2) * 7) % 53));

export function avaText(count: number): string {
  return Array.from(
    { length: count },
    (_, i) => `${i + 1} ${avaId(i)} ${avaVotes(i).join(" ")} ${i % 60} 0 ${1396 + (i % 5)}\n`,
  ).join("");
}

/** AVA with `count` images, of which those whose place is a multiple of 5 are the official test list. */
export async function writeAva(folder: string, count: number): Promise<void> {
  await write(folder, "AVA.txt", avaText(count));
  const test = Array.from({ length: count }, (_, i) => i).filter((i) => i % 5 === 0);
  await write(folder, "aesthetics_image_lists/generic_test.jpgl", test.map((i) => `${avaId(i)}\n`).join(""));
  for (let i = 0; i < count; i++) {
    await write(folder, `images/${avaId(i)}.jpg`, await gradient(24, 18, i).jpeg().toBuffer());
  }
}

export async function writeFi(folder: string): Promise<void> {
  for (const [i, emotion] of EIGHT_EMOTIONS.entries()) {
    for (let n = 0; n < 3; n++) {
      await write(
        folder,
        `${emotion}/${emotion}_${i * 1000 + n}.jpg`,
        await gradient(24, 18, i * 9 + n)
          .jpeg()
          .toBuffer(),
      );
    }
  }
}

export async function writeArtPhoto(folder: string): Promise<void> {
  // The names of the set itself say sad and content.
  const names = ["amusement", "excitement", "awe", "content", "disgust", "anger", "fear", "sad"];
  for (const [i, name] of names.entries()) {
    for (let n = 1; n <= 2; n++) {
      await write(
        folder,
        `${name}_${String(n).padStart(4, "0")}.jpg`,
        await gradient(24, 18, i * 9 + n)
          .jpeg()
          .toBuffer(),
      );
    }
  }
}
