/** A zip writer that can be told to lie. */
import { deflateRawSync } from "node:zlib";
import { crc32 } from "../../src/nn/pth/zip.ts";

export interface ZipEntry {
  name: string;
  content: Uint8Array;
  deflate?: boolean;
  /** Sizes in 64 bits. */
  wide?: boolean;
  /** Checksum and sizes behind the content, as torch writes them. */
  descriptor?: boolean;
  /** Values that the directory shall have instead of the true ones. */
  lie?: Partial<Record<"method" | "flags" | "crc" | "packed" | "size" | "at" | "name", number | string>>;
}

/** Numbers of 2, 4 or 8 bytes, little-endian. */
export function le(...fields: [bytes: 2 | 4 | 8, value: number][]): Buffer {
  return Buffer.concat(
    fields.map(([bytes, value]) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
      return buffer.subarray(0, bytes);
    }),
  );
}

/** @param wide Whether the end record has a zip64 one before it. */
export function writeZip(entries: readonly ZipEntry[], wide = false): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const put = (...pieces: Uint8Array[]) => {
    parts.push(...pieces);
    at += pieces.reduce((sum, { length }) => sum + length, 0);
  };
  for (const { name, content, deflate = false, wide = false, descriptor = false, lie = {} } of entries) {
    const packed = deflate ? deflateRawSync(content) : content;
    const method = deflate ? 8 : 0;
    const flags = 0x800 | (descriptor ? 8 : 0);
    const [crc, begin] = [crc32(content), at];
    const own = descriptor ? [0, 0, 0] : wide ? [crc, 2 ** 32 - 1, 2 ** 32 - 1] : [crc, packed.length, content.length];
    const localExtra = wide && !descriptor ? le([2, 1], [2, 16], [8, content.length], [8, packed.length]) : le();
    const text = Buffer.from(name);
    const tail = le([2, text.length], [2, localExtra.length]);
    put(le([4, 0x04034b50], [2, 20], [2, flags], [2, method], [4, 0], [4, own[0]!], [4, own[1]!], [4, own[2]!]), tail);
    put(text, localExtra, packed);
    if (descriptor && content.length > 0)
      put(le([4, 0x08074b50], [4, crc], [wide ? 8 : 4, packed.length], [wide ? 8 : 4, content.length]));
    const said = { method, flags, crc, packed: packed.length, size: content.length, at: begin, name, ...lie };
    const saidName = Buffer.from(String(said.name));
    const number = (value: number | string) => (wide ? 2 ** 32 - 1 : Number(value));
    const extra = wide
      ? le([2, 1], [2, 24], [8, Number(said.size)], [8, Number(said.packed)], [8, Number(said.at)])
      : le();
    directory.push(
      le([4, 0x02014b50], [2, 20], [2, 20], [2, Number(said.flags)], [2, Number(said.method)], [4, 0]),
      le([4, Number(said.crc)], [4, number(said.packed)], [4, number(said.size)]),
      le([2, saidName.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, number(said.at)]),
      saidName,
      extra,
    );
  }
  const [begin, size, count] = [at, directory.reduce((sum, { length }) => sum + length, 0), entries.length];
  put(...directory);
  if (wide) {
    const here = at;
    put(le([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, size], [8, begin]));
    put(le([4, 0x07064b50], [4, 0], [8, here], [4, 1]));
  }
  const short = (value: number, bytes: 2 | 4): [2 | 4, number] => [bytes, wide ? 2 ** (8 * bytes) - 1 : value];
  put(le([4, 0x06054b50], [2, 0], [2, 0], short(count, 2), short(count, 2), short(size, 4), short(begin, 4), [2, 0]));
  return new Uint8Array(Buffer.concat(parts));
}
