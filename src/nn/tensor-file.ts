/** Tensors as files hold them, converted to float32 when they are asked for. */

import { fromHalf } from "../half.ts";

/** A tensor in row-major order: `data` has as many numbers as `shape` multiplies to (one for the empty shape). */
export interface TensorData {
  readonly shape: number[];
  readonly data: Float32Array;
}

/** The tensors of a file, and what it says about them. */
export interface TensorFile {
  /** safetensors' `__metadata__`, in the file's order; empty for formats that have none. */
  metadata: Record<string, string>;
  /** In the file's order. */
  tensors: Map<string, StoredTensor>;
}

/** The dtypes that are read, with the bytes of an element. */
const knownDtypes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

/** Bytes of an element; undefined for a dtype that is not read. */
export function bytesOf(dtype: string): number | undefined {
  return Object.hasOwn(knownDtypes, dtype) ? knownDtypes[dtype] : undefined;
}

/** A tensor in a file's bytes; converted to float32 when `data` is first asked for. */
export class StoredTensor implements TensorData {
  readonly dtype: string;
  readonly shape: number[];
  readonly #bytes: Uint8Array | (() => Uint8Array);
  #data: Float32Array | undefined;

  /** @param bytes In row-major order, little-endian; a function where they have to be gathered first. */
  constructor(dtype: string, shape: number[], bytes: Uint8Array | (() => Uint8Array)) {
    this.dtype = dtype;
    this.shape = shape;
    this.#bytes = bytes;
  }

  /** For F32 a view of the file's own bytes where they are aligned; integers beyond 2^24 and F64 are rounded. */
  get data(): Float32Array {
    this.#data ??= toFloat32(this.dtype, typeof this.#bytes === "function" ? this.#bytes() : this.#bytes);
    return this.#data;
  }
}

/** Little-endian bytes to float32. Only F32 on an aligned address shares memory with `bytes`. */
function toFloat32(dtype: string, bytes: Uint8Array): Float32Array {
  if (dtype === "F32" && bytes.byteOffset % 4 === 0)
    return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length / 4);
  // A copy starts on an aligned address, whatever the header's length was. (Buffer's own slice() would not copy.)
  const aligned = new Uint8Array(bytes).buffer;
  switch (dtype) {
    case "F32":
      return new Float32Array(aligned);
    case "F16":
      return Float32Array.from(new Uint16Array(aligned), fromHalf);
    case "BF16":
      return new Float32Array(Uint32Array.from(new Uint16Array(aligned), (bits) => bits << 16).buffer);
    case "F64":
      return Float32Array.from(new Float64Array(aligned));
    case "I64":
      return Float32Array.from(new BigInt64Array(aligned) as unknown as ArrayLike<bigint>, Number);
    case "U64":
      return Float32Array.from(new BigUint64Array(aligned) as unknown as ArrayLike<bigint>, Number);
    case "I32":
      return Float32Array.from(new Int32Array(aligned));
    case "U32":
      return Float32Array.from(new Uint32Array(aligned));
    case "I16":
      return Float32Array.from(new Int16Array(aligned));
    case "U16":
      return Float32Array.from(new Uint16Array(aligned));
    case "I8":
      return Float32Array.from(new Int8Array(aligned));
    default: // U8 and BOOL: the readers let no other through
      return Float32Array.from(new Uint8Array(aligned));
  }
}
