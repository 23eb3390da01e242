/** Small images that the tests make for themselves. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll } from "vitest";

/** A folder that goes away with the test file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aenet-data-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function write(folder: string, name: string, content: Uint8Array | string): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

/** One colour everywhere; 16 bits where `values` is a Uint16Array. */
export function flat(width: number, height: number, values: number[] | Uint16Array): Sharp {
  const channels = values.length as 1 | 2 | 3 | 4;
  const count = width * height * channels;
  const pixels = values instanceof Uint16Array ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) pixels[i] = values[i % channels]!;
  return sharp(pixels, { raw: { width, height, channels } });
}

/** Red grows to the right, green downwards, blue is a pattern by `seed`. */
export function gradient(width: number, height: number, seed = 0): Sharp {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      pixels.set([(255 * x) / width, (255 * y) / height, (x * 37 + y * 59 + seed * 11) & 255], (y * width + x) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}
