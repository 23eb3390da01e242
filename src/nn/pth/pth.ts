/**
 * Reading the files of torch.save that hold tensors: the zip archive that it writes today, and the legacy format
 * (`_use_new_zipfile_serialization=False`, and torch before 1.6).
 *
 * Nothing is executed: a file that mentions anything but tensors and plain data is refused by that name. Reading allocates
 * no more than a small multiple of the file's size, whatever it claims.
 *
 * Formats: torch/serialization.py.
 */
import { quote } from "../safetensors-header.ts";
import type { TensorFile } from "../tensor-file.ts";
import { PthError } from "./fault.ts";
import { TorchObjects } from "./objects.ts";
import { Dict, readPickle, Sequence } from "./pickle.ts";
import { findTensors, storedTensors } from "./state-dict.ts";
import { ZipArchive } from "./zip.ts";

export { PthError, type PthFault } from "./fault.ts";

/** The pickled magic number that a legacy file begins with. */
const legacyMagic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
const legacyProtocol = 1001;

/** Whether the file begins as torch's zip archives or legacy files do; no safetensors file does. */
export function isPth(bytes: Uint8Array): boolean {
  return isZip(bytes) || isLegacy(bytes);
}

/** A zip entry's signature; a safetensors header of this length would have its brace at byte 8. */
const isZip = (bytes: Uint8Array) => startsWith(bytes, [0x50, 0x4b, 3, 4]) && bytes[8] !== 0x7b;
/**
 * A pickle: torch's own begins with its magic number, in whatever protocol. A safetensors header of such a length would
 * have its brace at byte 8.
 */
const isLegacy = (bytes: Uint8Array) =>
  startsWith(bytes, legacyMagic.slice(0, 4)) ||
  (bytes[0] === 0x80 && /^[345]$/.test(`${bytes[1]}`) && bytes[8] !== 0x7b);

/**
 * Parses a whole file. See `findTensors` for which of its tensors are meant; the metadata is always empty.
 *
 * @throws PthError naming the fault: see PthFault.
 */
export function parsePth(bytes: Uint8Array): TensorFile {
  if (isZip(bytes)) return { metadata: {}, tensors: parseArchive(bytes) };
  if (isLegacy(bytes)) return { metadata: {}, tensors: parseLegacy(bytes) };
  throw new PthError("not a torch file", "it begins neither as a zip archive nor with torch's magic number");
}

/** ROOT/data.pkl, ROOT/data/KEY for every storage, and small files about the archive. */
function parseArchive(bytes: Uint8Array): TensorFile["tensors"] {
  const archive = new ZipArchive(bytes);
  const root = archive.names[0]?.split("/")[0];
  const entry = (name: string) => `${root}/${name}`;
  if (archive.sizeOf(entry("constants.pkl")) !== undefined)
    throw new PthError("TorchScript archive", "it holds a program; save its state_dict() instead");
  if (archive.sizeOf(entry("byteorder")) !== undefined) {
    const order = String.fromCharCode(...archive.read(entry("byteorder")).subarray(0, 16));
    if (order !== "little") throw new PthError("big-endian", `its byte order is ${quote(order)}`);
  }
  const objects = new TorchObjects();
  const pickle = archive.read(entry("data.pkl"));
  const { value, end } = readPickle(pickle, objects);
  if (end < pickle.length) throw new PthError("trailing bytes", `${pickle.length - end} follow the pickle`);
  const refs = findTensors(value);
  const contents = new Map<string, Uint8Array>();
  return storedTensors(
    refs,
    (key) => {
      const content = contents.get(key) ?? archive.read(entry(`data/${key}`));
      contents.set(key, content);
      return content;
    },
    bytes.length,
  );
}

/** Five pickles (magic number, protocol, about the system, the object, its storages' keys), then the storages. */
function parseLegacy(bytes: Uint8Array): TensorFile["tensors"] {
  const [, protocolOfPickles] = bytes;
  if (protocolOfPickles !== 2) readPickle(bytes, new TorchObjects()); // which refuses it
  if (!startsWith(bytes, legacyMagic)) throw new PthError("not a torch file", "its magic number is another");
  let at = legacyMagic.length;
  const next = (objects = new TorchObjects()) => {
    const { value, end } = readPickle(bytes, objects, at);
    at = end;
    return value;
  };
  const protocol = next();
  if (protocol !== legacyProtocol) throw new PthError("unsupported pickle", `legacy format ${String(protocol)}`);
  const system = next();
  if (!(system instanceof Dict)) throw new PthError("wrong type", "what it says about the system is no dict");
  if (system.entries.get("little_endian") !== true) throw new PthError("big-endian", "it does not say little_endian");
  const objects = new TorchObjects();
  const value = next(objects);
  const keys = next();
  if (!(keys instanceof Sequence)) throw new PthError("wrong type", "its storages' keys are no list");

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const contents = new Map<string, Uint8Array>();
  for (const key of keys.items) {
    const storage = typeof key === "string" ? objects.storages.get(key) : undefined;
    if (!storage) throw new PthError("missing storage", `${quote(String(key))} is listed, but not described`);
    if (contents.has(storage.key)) throw new PthError("duplicate key", `storage ${quote(storage.key)} is listed twice`);
    if (bytes.length - at < 8) throw new PthError("truncated file", `storage ${quote(storage.key)} is not there`);
    const size = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
    at += 8;
    if (size !== storage.size)
      throw new PthError(
        "wrong byte length",
        `storage ${quote(storage.key)} has ${size} elements, but is described with ${storage.size}`,
      );
    if (storage.byteLength > bytes.length - at)
      throw new PthError(
        "truncated file",
        `storage ${quote(storage.key)} takes ${storage.byteLength} bytes of ${bytes.length - at}`,
      );
    contents.set(storage.key, bytes.subarray(at, at + storage.byteLength));
    at += storage.byteLength;
  }
  if (at < bytes.length) throw new PthError("trailing bytes", `${bytes.length - at} follow the last storage`);
  return storedTensors(
    findTensors(value),
    (key) => {
      const content = contents.get(key);
      if (!content) throw new PthError("missing storage", `${quote(key)} is described, but not there`);
      return content;
    },
    bytes.length,
  );
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte);
}
