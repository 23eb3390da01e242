/**
 * Reading zip archives whose every byte is accounted for.
 *
 * The central directory says what there is; each entry's own header has to agree with it, and headers, contents, directory
 * and end record have to cover the file once, without overlap and without a hole. Entries are stored or deflated.
 *
 * Format: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3 (zip64).
 */
import { quote } from "../safetensors-header.ts";
import { PthError } from "./fault.ts";
import { inflate } from "./inflate.ts";

const [localSignature, centralSignature, endSignature] = [0x04034b50, 0x02014b50, 0x06054b50];
const [end64Signature, locator64Signature, descriptorSignature] = [0x06064b50, 0x07064b50, 0x08074b50];

/** What a file may inflate to, in multiples of its own size: weights hardly shrink, and memory follows this number. */
const largestInflation = 8;
/** Inflation that is allowed to the smallest file. */
const freeInflation = 65_536;

interface Entry {
  name: string;
  flags: number;
  method: number;
  crc: number;
  /** Bytes in the file, and of the content. */
  packed: number;
  size: number;
  /** Where its own header begins. */
  at: number;
}

/** The entries of an archive by name. */
export class ZipArchive {
  readonly #bytes: Uint8Array;
  readonly #entries: ReadonlyMap<string, Entry>;

  /** @throws PthError naming the fault of the archive's structure. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const { entries, begin } = readDirectory(bytes);
    let covered = 0;
    for (const entry of entries.toSorted((x, y) => x.at - y.at)) covered = checkEntry(bytes, entry, covered, begin);
    if (covered < begin) throw new PthError("hole", `bytes ${covered} to ${begin}, before the directory, are no one's`);
    const inflated = entries.reduce((sum, { method, size }) => sum + (method === 0 ? 0 : size), 0);
    if (inflated > freeInflation + largestInflation * bytes.length)
      throw new PthError("zip bomb", `${bytes.length} bytes that would inflate to ${inflated}`);
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Bytes of an entry's content; undefined where there is no such entry. */
  sizeOf(name: string): number | undefined {
    return this.#entries.get(name)?.size;
  }

  /**
   * An entry's content: a view of the file for a stored one.
   *
   * @throws PthError for a missing entry, a damaged stream or a wrong checksum.
   */
  read(name: string): Uint8Array {
    const entry = this.#entries.get(name);
    if (!entry) throw new PthError("missing entry", `there is no ${quote(name)}`);
    const begin = contentOf(this.#bytes, entry);
    const packed = this.#bytes.subarray(begin, begin + entry.packed);
    const content = entry.method === 0 ? packed : inflate(packed, entry.size);
    const found = crc32(content);
    if (found !== entry.crc)
      throw new PthError(
        "wrong checksum",
        `${quote(name)} has CRC ${hex(found)}, the directory says ${hex(entry.crc)}`,
      );
    return content;
  }
}

/** The directory's entries and where it begins. */
function readDirectory(bytes: Uint8Array): { entries: Entry[]; begin: number } {
  const view = viewOf(bytes);
  const end = findEnd(bytes, view);
  let [count, size, begin] = [
    view.getUint16(end + 10, true),
    view.getUint32(end + 12, true),
    view.getUint32(end + 16, true),
  ];
  let diskCount = view.getUint16(end + 8, true);
  let disks = view.getUint16(end + 4, true) + view.getUint16(end + 6, true);
  let behind = end;
  if (end >= 20 && view.getUint32(end - 20, true) === locator64Signature) {
    behind = readUint64(view, end - 12);
    // Its size field does not count itself and the signature: 44 for the record that everyone writes.
    if (
      behind + 56 !== end - 20 ||
      view.getUint32(behind, true) !== end64Signature ||
      readUint64(view, behind + 4) !== 44
    )
      throw new PthError("bad zip record", "the zip64 end record is not where its locator says");
    disks = view.getUint32(behind + 16, true) + view.getUint32(behind + 20, true);
    diskCount = readUint64(view, behind + 24);
    [count, size, begin] = [32, 40, 48].map((field) => readUint64(view, behind + field)) as [number, number, number];
  }
  if (disks !== 0 || diskCount !== count) throw new PthError("bad zip record", "an archive in several parts");
  if (begin + size > behind) throw new PthError("overlap", `the directory ends at ${begin + size}, behind ${behind}`);
  if (begin + size < behind) throw new PthError("hole", `bytes ${begin + size} to ${behind} follow the directory`);
  if (count > size / 46) throw new PthError("lying zip directory", `${count} entries in ${size} bytes`);

  const entries: Entry[] = [];
  const names = new Set<string>();
  let at = begin;
  for (let i = 0; i < count; i++) {
    const { entry, next } = readCentral(bytes, view, at, behind);
    if (names.has(entry.name)) throw new PthError("duplicate entry", `there are two ${quote(entry.name)}`);
    names.add(entry.name);
    entries.push(entry);
    at = next;
  }
  if (at !== behind) throw new PthError("lying zip directory", `${behind - at} bytes more than its ${count} entries`);
  return { entries, begin };
}

/** The end record: the last one whose comment reaches the file's end exactly. */
function findEnd(bytes: Uint8Array, view: DataView): number {
  for (let at = bytes.length - 22; at >= 0 && at >= bytes.length - 22 - 0xffff; at--)
    if (bytes[at] === 0x50 && view.getUint32(at, true) === endSignature)
      if (at + 22 + view.getUint16(at + 20, true) === bytes.length) return at;
  throw new PthError("truncated file", "no zip end record closes it");
}

function readCentral(bytes: Uint8Array, view: DataView, at: number, end: number): { entry: Entry; next: number } {
  if (at + 46 > end || view.getUint32(at, true) !== centralSignature)
    throw new PthError("bad zip record", `no directory entry at byte ${at}`);
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
    number,
    number,
    number,
  ];
  const extra = at + 46 + nameBytes;
  const next = extra + extraBytes + commentBytes;
  if (next > end) throw new PthError("lying zip directory", `the entry at byte ${at} is longer than the directory`);
  const name = decode(bytes.subarray(at + 46, extra));
  // What does not fit 32 bits stands in the zip64 extra field, in this order.
  const wide = zip64Values(view, extra, extra + extraBytes);
  const number = (field: number) => {
    const value = view.getUint32(at + field, true);
    if (value !== 0xffffffff) return value;
    const found = wide.shift();
    if (found === undefined) throw new PthError("bad zip record", `${quote(name)} lacks its zip64 field`);
    return found;
  };
  const [size, packed, offset] = [number(24), number(20), number(42)];
  const entry = {
    name,
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed,
    size,
    at: offset,
  };
  if (view.getUint16(at + 34, true) !== 0) throw new PthError("bad zip record", "an archive in several parts");
  return { entry, next };
}

function zip64Values(view: DataView, at: number, end: number): number[] {
  while (at + 4 <= end) {
    const [id, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (at + 4 + length > end) break;
    if (id === 1) return Array.from({ length: length >> 3 }, (_, i) => readUint64(view, at + 4 + 8 * i));
    at += 4 + length;
  }
  return [];
}

/**
 * An entry begins where the one before it ends, agrees with the directory and ends before it.
 *
 * @returns Where it ends.
 */
function checkEntry(bytes: Uint8Array, entry: Entry, covered: number, directory: number): number {
  const { name, flags, method, crc, packed, size, at } = entry;
  const what = `entry ${quote(name)}`;
  if (at < covered)
    throw new PthError("overlap", `${what} begins at byte ${at}, inside another that ends at ${covered}`);
  if (at > covered) throw new PthError("hole", `bytes ${covered} to ${at}, before ${what}, are no one's`);
  if (flags & 0x2041) throw new PthError("encrypted entry", what);
  if (method !== 0 && method !== 8) throw new PthError("unknown compression", `${what} has method ${method}`);
  if (method === 0 && packed !== size)
    throw new PthError("lying zip directory", `${what} is stored, but ${packed} bytes are to give ${size}`);
  const view = viewOf(bytes);
  if (at + 30 > directory || view.getUint32(at, true) !== localSignature)
    throw new PthError("lying zip directory", `${what} is not at byte ${at}`);
  const begin = contentOf(bytes, entry);
  const end = begin + packed;
  if (end > directory)
    throw new PthError("overlap", `${what} of ${packed} bytes reaches into the directory at byte ${directory}`);
  if (
    view.getUint16(at + 8, true) !== method ||
    ((view.getUint16(at + 6, true) ^ flags) & 0x2049) !== 0 ||
    decode(bytes.subarray(at + 30, at + 30 + view.getUint16(at + 26, true))) !== name
  )
    throw new PthError("lying zip directory", `${what} is called or packed otherwise in its own header`);
  if (flags & 8) return end + descriptorBytes(view, end, directory, entry);
  const agrees = [crc, packed, size].every((value, i) => {
    const own = view.getUint32(at + 14 + 4 * i, true);
    return own === value || (i > 0 && own === 0xffffffff);
  });
  if (!agrees) throw new PthError("lying zip directory", `${what} has another checksum or size in its own header`);
  return end;
}

/** Flag 3: checksum and sizes follow the content, in 4 or 8 bytes each; torch leaves them out behind empty entries. */
function descriptorBytes(view: DataView, at: number, directory: number, { crc, packed, size }: Entry): number {
  for (const wide of [8, 4]) {
    const bytes = 8 + 2 * wide;
    if (at + bytes > directory || view.getUint32(at, true) !== descriptorSignature) continue;
    const read = (field: number) => (wide === 8 ? readUint64(view, field) : view.getUint32(field, true));
    const isTrue = view.getUint32(at + 4, true) === crc && read(at + 8) === packed && read(at + 8 + wide) === size;
    if (isTrue) return bytes;
  }
  return 0;
}

/** Where an entry's content begins, behind its own header, name and padding. */
function contentOf(bytes: Uint8Array, { at }: Entry): number {
  const view = viewOf(bytes);
  return at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Beyond 2^53 a value is only known to be too large, which is all that its readers need. */
function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new PthError("not UTF-8", "an entry's name");
  }
}

const hex = (value: number) => value.toString(16).padStart(8, "0");

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 as zip has it. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
