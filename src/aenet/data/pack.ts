/** `data pack`: the images of a manifest, decoded once and for all; see pack-format.ts. */
import { existsSync } from "node:fs";
import { isPack } from "./data-set.ts";
import { type DecodeOptions, decodedSize, decodeImage, ImageSizeError } from "./decode.ts";
import { GrowingPack } from "./growing-pack.ts";
import { readOrDamage } from "./image-source.ts";
import { DEFAULT_WORKERS } from "./loader.ts";
import { parseManifest, pathInManifest, readManifestBytes } from "./manifest.ts";
import { Prefetcher } from "./prefetch.ts";

export interface PackOptions extends DecodeOptions {
  /** The file to write; a pack that is there is replaced once the new one is whole, any other file refused. */
  readonly out: string;
  /** Images decoded at a time. */
  readonly workers?: number;
  /** Milliseconds between notes of how far it is, from which the same command goes on. Default 2000. */
  readonly journalEvery?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onMessage?: (line: string) => void;
}

export interface PackReport {
  readonly out: string;
  readonly manifest: string;
  readonly imageSize: number;
  readonly resize: string;
  /** R, the side of the packed images in pixels. */
  readonly decodedSize: number;
  /** Damaged ones included. */
  readonly images: number;
  /** The size of the file. */
  readonly bytes: number;
  readonly damaged: readonly { path: string; error: string }[];
}

/**
 * Decodes every image of the manifest `data` into the pack `out`. A damaged image is noted in it, and will be left out as
 * if the files themselves were read.
 *
 * @throws Error for a manifest that cannot be read, an `out` that is there and no pack, an image of the wrong size under `none`, too little room on the disk,
 *   or where no image can be decoded.
 */
export async function packManifest(data: string, options: PackOptions): Promise<PackReport> {
  const { out, imageSize, resize, workers = DEFAULT_WORKERS, journalEvery = 2000 } = options;
  const bytes = await readManifestBytes(data);
  const { samples, sha256 } = parseManifest(bytes, data);
  if (existsSync(out) && !(await isPack(out))) {
    throw new Error(`--out ${out}: is there and no pack; give another name, or delete it`);
  }
  const side = decodedSize(options);
  const pack = await GrowingPack.begin(
    out,
    {
      info: { imageSize, resize, data, manifest: pathInManifest(out, data), dataSha256: sha256 },
      count: samples.length,
      manifest: bytes,
    },
    journalEvery,
  );
  try {
    if (pack.rows > 0) options.onMessage?.(`going on after ${pack.rows} of ${samples.length} images`);
    const rows = [...samples.keys()].slice(pack.rows);
    const files = {
      imageSize,
      decodedSize: side,
      read: (row: number) => decodeImage(samples[row]!.absolutePath, options),
    };
    const stream = new Prefetcher(rows, { concurrency: workers, window: 4 * workers }, (row) =>
      readOrDamage(files, row),
    );
    try {
      for (let read = await stream.next(); read !== undefined; read = await stream.next()) {
        await pack.add("image" in read ? read.image : { damage: read.damage.reason });
        options.onProgress?.(pack.rows, samples.length);
      }
    } finally {
      stream.close();
    }
    if (pack.damaged.size === samples.length) {
      await pack.discard();
      throw new Error(`data pack ${data}: none of its ${samples.length} images can be decoded`);
    }
    const size = await pack.finish();
    const damaged = [...pack.damaged].map(([row, error]) => ({ path: samples[row]!.path, error }));
    return { out, manifest: data, imageSize, resize, decodedSize: side, images: samples.length, bytes: size, damaged };
  } catch (error) {
    if (error instanceof ImageSizeError) await pack.discard();
    throw error;
  } finally {
    await pack.close();
  }
}
