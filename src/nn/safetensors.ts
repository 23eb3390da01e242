/**
 * Reading and writing safetensors files.
 *
 * A file is the header's length (u64, little-endian), the header (JSON, padded with spaces to a multiple of 8 bytes) and
 * the tensors' bytes without gaps. A file that breaks a rule is refused by the fault's name; reading allocates no more
 * than a small multiple of the file's size, whatever the header claims.
 */
import { type HeaderTensor, quote, readHeader, SafetensorsError } from "./safetensors-header.ts";
import { bytesOf, StoredTensor, type TensorData, type TensorFile } from "./tensor-file.ts";

export { SafetensorsError, type SafetensorsFault } from "./safetensors-header.ts";
export type { TensorData, TensorFile as SafetensorsFile } from "./tensor-file.ts";

const maxHeaderBytes = 100_000_000;

const exoticDtypes = new Set(["F4", "F6_E2M3", "F6_E3M2", "F8_E4M3", "F8_E5M2", "F8_E8M0", "C64"]);

/**
 * Parses a whole file.
 *
 * @throws SafetensorsError naming the fault: see SafetensorsFault.
 */
export function parseSafetensors(bytes: Uint8Array): TensorFile {
  if (bytes.length < 8)
    throw new SafetensorsError("truncated file", `${bytes.length} bytes, where the header's length alone takes 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (headerBytes > maxHeaderBytes)
    throw new SafetensorsError("header too large", `${headerBytes} bytes, where ${maxHeaderBytes} are allowed`);
  if (headerBytes > bytes.length - 8)
    throw new SafetensorsError("header beyond the file", `${headerBytes} bytes in a file of ${bytes.length}`);

  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, 8 + headerBytes));
  } catch {
    throw new SafetensorsError("header not UTF-8", `its ${headerBytes} bytes cannot be decoded`);
  }
  if (!text.startsWith("{")) throw new SafetensorsError("header not JSON", "it does not start with {");

  const { metadata, tensors } = readHeader(text);
  const data = bytes.subarray(8 + headerBytes);
  for (const [name, tensor] of tensors) checkLength(name, tensor);
  checkCoverage(tensors, data.length);
  const stored = [...tensors].map(([name, { dtype, shape, begin, end }]): [string, StoredTensor] => [
    name,
    new StoredTensor(dtype, shape, data.subarray(begin, end)),
  ]);
  return { metadata, tensors: new Map(stored) };
}

/** The tensor's dtype is one we read, and its byte range has exactly the length its shape needs. */
function checkLength(name: string, { dtype, shape, begin, end }: HeaderTensor): void {
  const what = `tensor ${quote(name)}`;
  const elementBytes = bytesOf(dtype);
  if (elementBytes === undefined)
    throw exoticDtypes.has(dtype)
      ? new SafetensorsError("unsupported dtype", `${what} is ${dtype}, which is not converted to float32`)
      : new SafetensorsError("unknown dtype", `${what} is ${quote(dtype)}`);
  if (begin > end) throw new SafetensorsError("misordered offsets", `${what} begins at ${begin} and ends at ${end}`);
  let length = elementBytes;
  for (const dimension of shape) {
    length *= dimension;
    if (length > Number.MAX_SAFE_INTEGER)
      throw new SafetensorsError("huge number", `${what} of shape [${shape.join(", ")}] has more than 2^53 bytes`);
  }
  if (end - begin !== length)
    throw new SafetensorsError(
      "wrong byte length",
      `${what} has ${end - begin} bytes, but ${dtype} [${shape.join(", ")}] takes ${length}`,
    );
}

/** The byte ranges cover the data part exactly once: each begins where the one before it ends. */
function checkCoverage(tensors: ReadonlyMap<string, HeaderTensor>, dataBytes: number): void {
  const ordered = [...tensors].sort(([, x], [, y]) => x.begin - y.begin || x.end - y.end);
  let covered = 0;
  for (const [name, { begin, end }] of ordered) {
    const what = `tensor ${quote(name)}`;
    if (begin < covered)
      throw new SafetensorsError("overlap", `${what} begins at byte ${begin}, inside another that ends at ${covered}`);
    if (begin > covered)
      throw new SafetensorsError("hole", `bytes ${covered} to ${begin}, before ${what}, are no one's`);
    if (end > dataBytes)
      throw new SafetensorsError("data beyond the file", `${what} ends at byte ${end} of ${dataBytes} bytes of data`);
    covered = end;
  }
  if (covered < dataBytes)
    throw new SafetensorsError("trailing bytes", `${dataBytes - covered} bytes follow the last tensor`);
}

/**
 * The file's bytes in pieces: the header first, then every tensor's own memory, not copied.
 * Tensors and metadata keys stand in the given order, all tensors are F32, and equal input gives equal bytes.
 *
 * @throws Error where a tensor's data does not fit its shape, or is called `__metadata__`.
 */
export function safetensorsParts(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const header: Record<string, unknown>[] = [];
  const parts: Uint8Array[] = [];
  if (Object.keys(metadata).length > 0) header.push({ __metadata__: metadata });
  let begin = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === "__metadata__") throw new Error("safetensors: a tensor cannot be called __metadata__");
    if (/\p{Surrogate}/u.test(name)) throw new Error(`safetensors: tensor ${quote(name)} has half a surrogate pair`);
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (data.length !== size)
      throw new Error(
        `safetensors: tensor ${quote(name)} has ${data.length} numbers, but [${shape.join(", ")}] ${size}`,
      );
    const end = begin + data.byteLength;
    header.push({ [name]: { dtype: "F32", shape, data_offsets: [begin, end] } });
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    begin = end;
  }
  // One object a member, joined as text: a single object would move names that look like numbers to its front.
  const json = new TextEncoder().encode(`{${header.map((member) => JSON.stringify(member).slice(1, -1)).join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const first = new Uint8Array(8 + padded).fill(0x20);
  new DataView(first.buffer).setBigUint64(0, BigInt(padded), true);
  first.set(json, 8);
  return [first, ...parts];
}

/** {@link safetensorsParts} in one piece. */
export function serializeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const parts = safetensorsParts(tensors, metadata);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
