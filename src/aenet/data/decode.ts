/**
 * Image files to uint8 RGB squares [R, R, 3], by sharp: EXIF orientation applied, ICC profile to sRGB, grey replicated,
 * alpha laid on white, 16 bit to 8, CMYK to RGB. A path such as `x.h5#123` stands for an image inside an HDF5 file.
 */
import { readFile } from "node:fs/promises";
import sharp, { type ResizeOptions, type SharpOptions } from "sharp";
import type { ResizeMode } from "../preprocessing.ts";
import { resizedSide } from "./augment.ts";
import { Hdf5Error } from "./hdf5.ts";
import { openHdf5Images } from "./hdf5-images.ts";
import { parseImageReference } from "./image-reference.ts";

// Images are decoded side by side, so each needs one thread; and nothing is decoded twice in a row, so that a cache of
// operations would only hold memory.
sharp.concurrency(1);
sharp.cache(false);

export interface DecodeOptions {
  /** S, the side in pixels of what the network sees. */
  readonly imageSize: number;
  /**
   * - `squash`: R×R whatever the aspect, R = round(S · 256 / 224);
   * - `short-side`: the short side to R, then the centre R×R of that;
   * - `none`: never resampled; the image has to be S×S, and R = S.
   */
  readonly resize: ResizeMode;
}

/** An image that cannot be decoded: missing, truncated, damaged, or no image at all. */
export class DecodeError extends Error {
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options);
    this.name = "DecodeError";
    this.path = path;
    this.reason = reason;
  }
}

/** A sound image of the wrong size under `--resize none`: a mistake in the settings, never skipped as damaged. */
export class ImageSizeError extends Error {
  readonly path: string;

  constructor(path: string, width: number, height: number, imageSize: number) {
    super(
      `${path}: the image is ${width}×${height}, but --resize none never resamples and needs ${imageSize}×${imageSize}; ` +
        "give its size by --image-size, or use --resize squash",
    );
    this.name = "ImageSizeError";
    this.path = path;
  }
}

/** R, the side in pixels of the decoded square. */
export function decodedSize({ imageSize, resize }: DecodeOptions): number {
  return resize === "none" ? imageSize : resizedSide(imageSize);
}

/** What a path stands for: a file's bytes, or pixels that need no decoding. */
export interface ImageContent {
  /** The file, or uint8 RGB [height, width, 3]. */
  bytes: Uint8Array;
  /** The size of pixels; null for a file, whose decoder knows it. */
  raw: { width: number; height: number; channels: 3 } | null;
}

/**
 * Decodes what `path` stands for to uint8 RGB [R, R, 3].
 * @throws DecodeError where it is missing or damaged; ImageSizeError under `none` where it is not S×S.
 */
export async function decodeImage(path: string, options: DecodeOptions): Promise<Uint8Array> {
  return decodeContent(await readImage(path), path, options);
}

/** As `decodeImage`, from a file's content; `path` is for messages. */
export async function decodeBytes(bytes: Uint8Array, path: string, options: DecodeOptions): Promise<Uint8Array> {
  return decodeContent({ bytes, raw: null }, path, options);
}

async function decodeContent({ bytes, raw }: ImageContent, path: string, options: DecodeOptions): Promise<Uint8Array> {
  if (bytes.length === 0) throw new DecodeError(path, "the file is empty");
  const size = decodedSize(options);
  try {
    const input = raw === null ? sharp(await atMost8Bit(bytes), INPUT) : sharp(bytes, { raw });
    const pipeline = input.flatten({ background: "#ffffff" }).toColourspace("srgb");
    if (options.resize !== "none") pipeline.resize(size, size, RESIZE[options.resize]);
    const { data, info } = await pipeline.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    if (options.resize === "none" && (info.width !== size || info.height !== size)) {
      throw new ImageSizeError(path, info.width, info.height, size);
    }
    if (info.channels !== 3) throw new DecodeError(path, `decoded to ${info.channels} channels instead of 3`);
    return data;
  } catch (error) {
    if (error instanceof ImageSizeError || error instanceof DecodeError) throw error;
    throw new DecodeError(path, reasonOf(error), { cause: error });
  }
}

/** The side, in pixels, of the square by which an image is looked through. */
export const INSPECTED_SIDE = 32;

/** An image that was looked through: what it is made of and how it looks, or what is wrong with it. */
export interface Inspection {
  /** null where the file cannot be read. */
  bytes: Uint8Array | null;
  /** uint8 RGB [32, 32, 3], squashed; null where it is damaged. */
  square: Uint8Array | null;
  damage: DecodeError | null;
}

/** Reads and decodes all of what a path stands for. */
export async function inspectImage(path: string): Promise<Inspection> {
  let bytes: Uint8Array | null = null;
  try {
    const content = await readImage(path);
    bytes = content.bytes;
    const square = await decodeContent(content, path, { imageSize: 28, resize: "squash" }); // 28 · 256 / 224 = 32
    return { bytes, square, damage: null };
  } catch (error) {
    if (error instanceof DecodeError) return { bytes, square: null, damage: error };
    throw error;
  }
}

/** @throws DecodeError where it cannot be read. */
export async function readImage(path: string): Promise<ImageContent> {
  const reference = parseImageReference(path);
  if (reference === null) return { bytes: await readBytes(path), raw: null };
  try {
    const { data, width, height } = (await openHdf5Images(reference.file)).read(reference.index);
    return { bytes: data, raw: { width, height, channels: 3 } };
  } catch (error) {
    if (error instanceof Hdf5Error) throw new DecodeError(path, error.message, { cause: error });
    throw error;
  }
}

/** What says nothing of the file: another time it may be read. */
const systemFaults = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EIO"]);

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (systemFaults.has(code)) throw new Error(`${path}: ${reasonOf(error)}`, { cause: error });
    throw new DecodeError(path, code === "ENOENT" ? "no such file" : reasonOf(error), { cause: error });
  }
}

// "warning" counts everything the decoders complain about as damage: truncation as well as data that does not parse.
const INPUT: SharpOptions = { autoOrient: true, failOn: "warning" };

const RESIZE: Record<Exclude<ResizeMode, "none">, ResizeOptions> = {
  squash: { fit: "fill", kernel: "linear", fastShrinkOnLoad: false },
  "short-side": { fit: "cover", position: "centre", kernel: "linear", fastShrinkOnLoad: false },
};

/**
 * The same image with at most 8 bits a channel, its profile kept. sharp takes 16-bit RGB with a profile to P3 and calls
 * that sRGB, and ignores the profile of 16-bit grey; at 8 bits it does both right.
 */
async function atMost8Bit(bytes: Uint8Array): Promise<Uint8Array> {
  const { depth } = await sharp(bytes, INPUT).metadata();
  if (depth === "uchar") return bytes;
  return sharp(bytes, INPUT).keepIccProfile().png({ compressionLevel: 0 }).toBuffer();
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return [...new Set(text.split("\n").map((line) => line.trim()))].filter((line) => line !== "").join("; ");
}
