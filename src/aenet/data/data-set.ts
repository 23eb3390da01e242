/** What `--data` names: a manifest, whose images are decoded as they are needed, or a pack of one. */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DecodeError, type DecodeOptions, decodedSize } from "./decode.ts";
import { FileImages, type ImageSource } from "./image-source.ts";
import { dataSha256, type Manifest, parseManifest, readManifest } from "./manifest.ts";
import {
  type DamagedRows,
  headerLength,
  type PackInfo,
  type PackLayout,
  parseDamaged,
  parsePackHeader,
} from "./pack-format.ts";

export interface DataSet {
  readonly manifest: Manifest;
  /** The manifest as it is named, or was when it was packed: one for runs that see the same images. */
  readonly name: string;
  /**
   * The images as these options have them.
   * @throws Error where they are packed in another way.
   */
  images(options: DecodeOptions): ImageSource;
  /** Has to be called at the end, when no image is read any more. */
  close(): Promise<void>;
}

/**
 * @param file For reading; `named`, as the user called it, is for messages.
 * @throws Error naming what cannot be read; for a pack that is not whole, or whose manifest has changed since.
 */
export async function openDataSet(file: string, named: string = file): Promise<DataSet> {
  const pack = await openPack(file, named);
  if (pack) return pack;
  const manifest = await readManifest(file);
  return {
    manifest,
    name: named,
    images: (options) => new FileImages(manifest.samples, options),
    close: async () => {},
  };
}

/** Whether a file is a pack, whole by its size. */
export async function isPack(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const length = headerLength(await readAt(file, 0, 9, { short: true }));
    if (length === null) return false;
    parsePackHeader(new TextDecoder().decode(await readAt(file, 8, length)), (await file.stat()).size);
    return true;
  } catch {
    return false;
  } finally {
    await file.close();
  }
}

/** Null where the file is no safetensors file, so no pack. */
async function openPack(path: string, named: string): Promise<DataSet | null> {
  const file = await open(path).catch(() => null);
  if (!file) return null; // said by who reads it as a manifest
  let isOpen = false;
  try {
    const length = headerLength(await readAt(file, 0, 9, { short: true }));
    if (length === null) return null;
    const text = new TextDecoder().decode(await readAt(file, 8, length));
    const { info, layout } = parsePackHeader(text, (await file.stat()).size);
    const manifestPath = resolve(dirname(path), info.manifest);
    const bytes = await readAt(file, layout.manifest, layout.damaged - layout.manifest);
    const manifest = parseManifest(bytes, manifestPath);
    if (manifest.sha256 !== info.dataSha256) throw new Error("has another manifest than it was made of; pack it again");
    await checkUnchanged(manifestPath, info);
    const list = await readAt(file, layout.damaged, layout.end - layout.damaged);
    const damaged = parseDamaged(new TextDecoder().decode(list));
    isOpen = true;
    return {
      manifest,
      name: info.data,
      images(options) {
        checkPacked(info, options, named);
        return new PackedImages(file, { info, layout, manifest, damaged });
      },
      close: () => file.close(),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EISDIR") return null;
    throw new Error(`--data ${named}: ${(error as Error).message}`, { cause: error });
  } finally {
    if (!isOpen) await file.close();
  }
}

/** The images of a pack, read one by one. */
class PackedImages implements ImageSource {
  readonly imageSize: number;
  readonly decodedSize: number;
  readonly #file: FileHandle;
  readonly #layout: PackLayout;
  readonly #manifest: Manifest;
  readonly #damaged: DamagedRows;

  constructor(
    file: FileHandle,
    pack: { info: PackInfo; layout: PackLayout; manifest: Manifest; damaged: DamagedRows },
  ) {
    this.imageSize = pack.info.imageSize;
    this.decodedSize = decodedSize(pack.info);
    this.#file = file;
    this.#layout = pack.layout;
    this.#manifest = pack.manifest;
    this.#damaged = pack.damaged;
  }

  async read(row: number): Promise<Uint8Array> {
    const damage = this.#damaged.get(row);
    if (damage !== undefined) throw new DecodeError(this.#manifest.samples[row]!.absolutePath, damage);
    const { images, imageBytes } = this.#layout;
    return readAt(this.#file, images + row * imageBytes, imageBytes);
  }
}

/** A manifest that is still there has to be the one that was packed; where there is none, the pack is enough. */
async function checkUnchanged(manifest: string, { dataSha256: packed }: PackInfo): Promise<void> {
  const found = await readFile(manifest).catch(() => null);
  if (found && dataSha256(found) !== packed) {
    throw new Error(`was not packed from ${manifest} as that is now; pack it again, or give the manifest itself`);
  }
}

function checkPacked({ imageSize, resize, data }: PackInfo, asked: DecodeOptions, named: string): void {
  if (imageSize === asked.imageSize && resize === asked.resize) return;
  const flags = (options: DecodeOptions) => `--image-size ${options.imageSize} --resize ${options.resize}`;
  throw new Error(
    `--data ${named}: was packed for ${flags({ imageSize, resize })}, but ${flags(asked)} is asked for; ` +
      `give those, or pack ${data} again with these`,
  );
}

async function readAt(
  file: FileHandle,
  position: number,
  length: number,
  { short = false }: { short?: boolean } = {},
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0 && short) return bytes.subarray(0, at);
    if (bytesRead === 0) throw new Error(`ends at byte ${position + at}, before what its header says`);
    at += bytesRead;
  }
  return bytes;
}
