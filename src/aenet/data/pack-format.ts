/**
 * What a pack is: a manifest and its images, decoded, in one file that training reads without decoding. It is a
 * safetensors file, so that anybody's reader can take it apart:
 *
 *   images    U8 [N, R, R, 3]   RGB, one for each row of the manifest; zeros where it is damaged
 *   manifest  U8 [bytes]        the manifest's own bytes
 *   damaged   U8 [bytes]        JSON, [[row, reason], …], ascending
 *
 * `__metadata__` has format and version, image_size and resize as the flags say them, data_sha256 (the manifest's), data
 * (the manifest as the command that packed it named it) and manifest (its place, seen from the pack).
 */
import { readHeader } from "../../nn/safetensors-header.ts";
import { type ResizeMode, resizeModes } from "../preprocessing.ts";
import { type DecodeOptions, decodedSize } from "./decode.ts";

const FORMAT = "aenet-pack";
const VERSION = "1";

/** What a pack says about itself. */
export interface PackInfo extends DecodeOptions {
  /** The manifest as it was named when it was packed. */
  readonly data: string;
  /** The manifest relative to the pack's folder, with forward slashes. */
  readonly manifest: string;
  /** SHA-256 of the manifest's bytes. */
  readonly dataSha256: string;
}

/** Where the parts of a pack lie, in bytes. */
export interface PackLayout {
  /** N. */
  readonly count: number;
  /** R · R · 3. */
  readonly imageBytes: number;
  readonly images: number;
  readonly manifest: number;
  readonly damaged: number;
  /** The end of the file. */
  readonly end: number;
}

/**
 * The layout of a pack whose list of damaged images takes `damagedBytes`, and the bytes before its images. The header is
 * as long for any list, so that it can be written when the list is known.
 */
export function layOutPack(
  info: PackInfo,
  count: number,
  manifestBytes: number,
  damagedBytes: number,
): { layout: PackLayout; head: Uint8Array } {
  const side = decodedSize(info);
  const imageBytes = side * side * 3;
  const manifestAt = count * imageBytes;
  const damagedAt = manifestAt + manifestBytes;
  const header = (bytes: number) =>
    JSON.stringify({
      __metadata__: {
        format: FORMAT,
        version: VERSION,
        image_size: String(info.imageSize),
        resize: info.resize,
        data: info.data,
        manifest: info.manifest,
        data_sha256: info.dataSha256,
      },
      images: { dtype: "U8", shape: [count, side, side, 3], data_offsets: [0, manifestAt] },
      manifest: { dtype: "U8", shape: [manifestBytes], data_offsets: [manifestAt, damagedAt] },
      damaged: { dtype: "U8", shape: [bytes], data_offsets: [damagedAt, damagedAt + bytes] },
    });
  const longest = Buffer.byteLength(header(Number.MAX_SAFE_INTEGER - damagedAt));
  const headerBytes = 64 * Math.ceil((8 + longest) / 64) - 8;
  const head = Buffer.alloc(8 + headerBytes, " ");
  head.writeBigUInt64LE(BigInt(headerBytes));
  head.write(header(damagedBytes), 8);
  const start = head.length;
  return {
    head,
    layout: {
      count,
      imageBytes,
      images: start,
      manifest: start + manifestAt,
      damaged: start + damagedAt,
      end: start + damagedAt + damagedBytes,
    },
  };
}

/** How long the header is that begins with these bytes, or null where they are not the beginning of a safetensors file. */
export function headerLength(first9: Uint8Array): number | null {
  if (first9.length < 9 || first9[8] !== "{".charCodeAt(0)) return null;
  const length = Number(new DataView(first9.buffer, first9.byteOffset).getBigUint64(0, true));
  return length < 2 ** 20 ? length : null;
}

/**
 * Reads a header's text.
 * @throws Error saying what it is that is not a pack of this version, whole.
 */
export function parsePackHeader(text: string, fileBytes: number): { info: PackInfo; layout: PackLayout } {
  const { metadata, tensors } = readHeader(text);
  if (metadata.format !== FORMAT) throw new Error("is a safetensors file, but no pack");
  if (metadata.version !== VERSION)
    throw new Error(`is a pack of version ${metadata.version}, where this program reads version ${VERSION}`);
  const { data = "", manifest = "", data_sha256: dataSha256 = "" } = metadata;
  const imageSize = Number(metadata.image_size);
  const resize = resizeModes.find((mode): mode is ResizeMode => mode === metadata.resize);
  const [count, side] = tensors.get("images")?.shape ?? [];
  const [manifestBytes, damagedBytes] = ["manifest", "damaged"].map((name) => tensors.get(name)?.shape[0]);
  if (!Number.isSafeInteger(imageSize) || imageSize < 1 || !resize || count === undefined) throw malformed();
  if (manifestBytes === undefined || damagedBytes === undefined) throw malformed();
  const info: PackInfo = { imageSize, resize, data, manifest, dataSha256 };
  // A pack has one header only: what it says is checked by writing it again.
  const { layout, head } = layOutPack(info, count, manifestBytes, damagedBytes);
  if (side !== decodedSize(info) || Buffer.from(text).compare(head.subarray(8)) !== 0) throw malformed();
  if (layout.end !== fileBytes)
    throw new Error(`has ${fileBytes} bytes, where its header says ${layout.end}: it is not whole; pack it again`);
  return { info, layout };
}

const malformed = () => new Error("is a pack whose header contradicts itself; pack it again");

/** Images that could not be decoded: why, by row. */
export type DamagedRows = ReadonlyMap<number, string>;

export const formatDamaged = (damaged: DamagedRows): string =>
  JSON.stringify([...damaged].sort(([row], [other]) => row - other));

/** @throws Error where the text is no such list. */
export function parseDamaged(text: string): DamagedRows {
  const entries: unknown = JSON.parse(text);
  const isEntry = (entry: unknown): entry is [number, string] =>
    Array.isArray(entry) && Number.isSafeInteger(entry[0]) && typeof entry[1] === "string";
  if (!Array.isArray(entries) || !entries.every(isEntry)) throw malformed();
  return new Map(entries);
}
