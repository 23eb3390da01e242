/**
 * The few names that a torch file of tensors mentions, and what they stand for here: dtypes, OrderedDict, and tensors as
 * views of storages. Nothing of Python's is looked up or run; any other name is refused.
 */
import { quote } from "../safetensors-header.ts";
import { bytesOf } from "../tensor-file.ts";
import { PthError } from "./fault.ts";
import { Dict, type Meanings, Sequence, type Value } from "./pickle.ts";

/** torch's typed storages by the dtype of their elements, in safetensors' words. */
const storageTypes: Readonly<Record<string, string>> = {
  "torch.FloatStorage": "F32",
  "torch.DoubleStorage": "F64",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
};

const callables = [
  "collections.OrderedDict",
  "torch._utils._rebuild_tensor",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter",
] as const;

class Global {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A stretch of numbers that tensors are views of. */
export class StorageRef {
  readonly key: string;
  readonly dtype: string;
  /** Elements. */
  readonly size: number;

  constructor(key: string, dtype: string, size: number) {
    this.key = key;
    this.dtype = dtype;
    this.size = size;
  }

  get byteLength(): number {
    return this.size * bytesOf(this.dtype)!;
  }
}

/** A view of a storage, in elements; it lies within. */
export class TensorRef {
  readonly storage: StorageRef;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: StorageRef, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /** Elements. */
  get size(): number {
    return this.shape.reduce((product, dimension) => product * dimension, 1);
  }
}

const maxRank = 32;

/** What the names of one file stand for; collects its storages. */
export class TorchObjects implements Meanings {
  /** In the order in which the pickle mentions them. */
  readonly storages: Map<string, StorageRef> = new Map();
  readonly #globals = new Map<string, Global>();

  global(name: string): Global {
    if (!Object.hasOwn(storageTypes, name) && !(callables as readonly string[]).includes(name)) {
      const shown = /^[\w.]{1,100}$/.test(name) ? name : quote(name);
      throw new PthError("refuses", `${shown}: only tensors and plain data are read, and nothing is executed`);
    }
    const known = this.#globals.get(name) ?? new Global(name);
    this.#globals.set(name, known);
    return known;
  }

  call(callee: Value, args: readonly Value[]): Value {
    if (!(callee instanceof Global)) throw new PthError("malformed pickle", "something that is no name is called");
    switch (callee.name as (typeof callables)[number]) {
      case "collections.OrderedDict":
        return orderedDict(args);
      case "torch._utils._rebuild_tensor":
      case "torch._utils._rebuild_tensor_v2":
        return tensor(args);
      case "torch._utils._rebuild_parameter": {
        const [data] = args;
        if (!(data instanceof TensorRef))
          throw new PthError("wrong type", "a parameter of something that is no tensor");
        return data;
      }
      default:
        throw new PthError("refuses", `to call ${callee.name}`);
    }
  }

  /** `("storage", type, key, location, elements)`, and in the legacy format the view's description, which is None. */
  persistent(id: Value): StorageRef {
    const items = id instanceof Sequence ? id.items : [];
    const [kind, type, key, , size, view = null] = items;
    if (kind !== "storage") throw new PthError("refuses", `a persistent ${quote(String(kind))}, which is no storage`);
    if (!(type instanceof Global) || typeof key !== "string" || items.length < 5 || items.length > 6)
      throw new PthError("wrong type", "a storage that is not described as torch does");
    const dtype = Object.hasOwn(storageTypes, type.name) ? storageTypes[type.name] : undefined;
    if (dtype === undefined) throw new PthError("wrong type", `storage ${quote(key)} of ${type.name}`);
    if (view !== null) throw new PthError("unsupported pickle", `storage ${quote(key)} is a view (torch before 0.4)`);
    const storage = new StorageRef(key, dtype, integer(size, `the size of storage ${quote(key)}`));
    if (storage.byteLength > Number.MAX_SAFE_INTEGER)
      throw new PthError("huge number", `storage ${quote(key)} of ${storage.size} elements`);
    const known = this.storages.get(key);
    if (!known) {
      this.storages.set(key, storage);
      return storage;
    }
    if (known.dtype !== dtype || known.size !== storage.size)
      throw new PthError(
        "contradicting storages",
        `${quote(key)} is ${known.dtype} [${known.size}] and ${dtype} [${storage.size}]`,
      );
    return known;
  }
}

/** Empty, or (from Python 2) of a list of pairs. */
function orderedDict(args: readonly Value[]): Dict {
  const dict = new Dict(true);
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!(pairs instanceof Sequence)) throw new PthError("wrong type", "an OrderedDict of something that is no list");
  for (const pair of pairs.items) {
    if (!(pair instanceof Sequence) || pair.items.length !== 2)
      throw new PthError("wrong type", "an OrderedDict of something else than pairs");
    dict.set(pair.items[0]!, pair.items[1]!);
  }
  return dict;
}

/** Arguments: storage, offset, shape, strides; then whether a gradient is wanted, hooks and (if not plain) metadata. */
function tensor(args: readonly Value[]): TensorRef {
  const [storage, first, size, steps, , , metadata = null] = args;
  if (!(storage instanceof StorageRef)) throw new PthError("wrong type", "a tensor of something that is no storage");
  const what = `a tensor of storage ${quote(storage.key)}`;
  if (metadata !== null) throw new PthError("unsupported pickle", `${what} has metadata (a conjugate or negated view)`);
  const offset = integer(first, `the offset of ${what}`);
  const shape = integers(size, `the shape of ${what}`);
  const strides = integers(steps, `the strides of ${what}`);
  if (shape.length !== strides.length)
    throw new PthError("wrong type", `${what} has ${shape.length} dimensions, but ${strides.length} strides`);
  const tensor = new TensorRef(storage, offset, shape, strides);
  const elements = tensor.size;
  // The one index that matters: strides are not negative.
  const last = elements === 0 ? offset - 1 : shape.reduce((sum, n, i) => sum + (n - 1) * strides[i]!, offset);
  if (last >= storage.size)
    throw new PthError("beyond its storage", `${what} reaches element ${last} of ${storage.size}`);
  return tensor;
}

function integer(value: Value | undefined, what: string): number {
  if (typeof value === "bigint") throw new PthError("huge number", `${what} is ${quote(String(value))}`);
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw new PthError("wrong type", `${what} is no integer`);
  if (value < 0) throw new PthError("negative number", `${what} is ${value}`);
  return value;
}

function integers(value: Value | undefined, what: string): number[] {
  if (!(value instanceof Sequence)) throw new PthError("wrong type", `${what} is no tuple`);
  if (value.items.length > maxRank) throw new PthError("too many numbers", `${what} has ${value.items.length}`);
  return value.items.map((item) => integer(item, what));
}
