/** Torch files put together by hand, so that they can lie. Text stands for bytes, a character each. */
import { le, writeZip, type ZipEntry } from "./zip-writer.ts";

export const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

export const string = (value: string): string =>
  `X${text(le([4, Buffer.byteLength(value)]))}${text(Buffer.from(value))}`;
export const global = (module: string, name: string): string => `c${module}\n${name}\n`;
export const tuple = (...items: string[]): string => `(${items.join("")}t`;

/** An integer in as many bytes as it takes. */
export function int(value: number | bigint): string {
  const big = BigInt(value);
  if (big >= 0n && big < 256n) return `K${String.fromCharCode(Number(big))}`;
  const buffer = Buffer.alloc(12);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, big));
  buffer.writeInt32LE(Number(BigInt.asIntN(32, big >> 64n)), 8);
  return `\x8a\x0c${text(buffer)}`;
}

const ordered = global("collections", "OrderedDict");

export interface TensorLie {
  key?: string;
  type?: string;
  storage?: number | bigint;
  offset?: number | bigint;
  shape?: (number | bigint)[] | string;
  strides?: (number | bigint)[] | string;
  /** What the legacy format adds to a persistent id. */
  view?: string;
  metadata?: string;
}

/** A tensor of floats [2] unless told otherwise. */
export function tensor(lie: TensorLie = {}): string {
  const { key = "0", type = "FloatStorage", storage = 2, offset = 0, shape = [2], strides = [1], view = "" } = lie;
  const numbers = (value: (number | bigint)[] | string) =>
    typeof value === "string" ? value : tuple(...value.map((item) => int(item)));
  const id = tuple(string("storage"), global("torch", type), string(key), string("cpu"), int(storage), view);
  const args = [`${id}Q`, int(offset), numbers(shape), numbers(strides), "\x89", `${ordered})R`, lie.metadata ?? ""];
  return `${global("torch._utils", "_rebuild_tensor_v2")}${tuple(...args)}R`;
}

export const dict = (members: readonly (readonly [key: string, value: string])[]): string =>
  `}(${members.map(([key, value]) => string(key) + value).join("")}u`;

export const pickle = (value: string): Uint8Array => latin1(`\x80\x02${value}.`);

const float = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
export const twoFloats: Uint8Array = float(1, 2);

/** The archive of a pickled value; `entries` come behind the pickle, by default storage 0 with two floats. */
export function archive(
  value: string | Uint8Array,
  entries: readonly ZipEntry[] = [{ name: "a/data/0", content: twoFloats }],
  lie: Omit<ZipEntry, "name" | "content"> = {},
): Uint8Array {
  const content = typeof value === "string" ? pickle(value) : value;
  return writeZip([{ name: "a/data.pkl", content, ...lie }, ...entries]);
}

export const magic = "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
export const system: string = dict([
  ["protocol_version", int(1001)],
  ["little_endian", "\x88"],
]);

/** A legacy file; `storages` are key, claimed elements and bytes. */
export function legacy(
  value: string,
  storages: readonly (readonly [key: string, elements: number, bytes: Uint8Array])[] = [["0", 2, twoFloats]],
  {
    head = magic,
    protocol = int(1001),
    about = system,
    keys = "",
  }: Partial<Record<"head" | "protocol" | "about" | "keys", string>> = {},
): Uint8Array {
  const listed = keys || `](${storages.map(([key]) => string(key)).join("")}e`;
  return new Uint8Array(
    Buffer.concat([
      latin1(head),
      ...[protocol, about, value, listed].map(pickle),
      ...storages.flatMap(([, elements, bytes]) => [le([8, elements]), bytes]),
    ]),
  );
}
