/** From what a torch file holds to named tensors. */
import { quote } from "../safetensors-header.ts";
import { bytesOf, StoredTensor } from "../tensor-file.ts";
import { PthError } from "./fault.ts";
import { TensorRef } from "./objects.ts";
import { Dict, type Value } from "./pickle.ts";

/** Where training scripts put the weights among what else they save, the likeliest first. */
const wrappers = ["state_dict", "model_state_dict", "model"];

/** What DataParallel puts before every name. */
const parallelPrefix = "module.";

/** All tensors together, as float32, in multiples of the file's size: 4 for bytes, and views may share a storage. */
const largestExpansion = 8;

/**
 * The tensors of the state dict: the first dict among the members `state_dict`, `model_state_dict` and `model` that holds
 * tensors, else the object itself. Other values in it are passed over; `module.` is dropped where every name has it.
 *
 * @throws PthError where there is none.
 */
export function findTensors(value: Value): Map<string, TensorRef> {
  if (!(value instanceof Dict)) throw new PthError("no tensors", "it holds no dict but something else");
  const candidates = [...wrappers.map((name) => value.entries.get(name)), value];
  for (const candidate of candidates) {
    const tensors = candidate instanceof Dict ? tensorsOf(candidate) : [];
    if (tensors.length === 0) continue;
    const isParallel = tensors.every(([name]) => name.startsWith(parallelPrefix));
    return new Map(isParallel ? tensors.map(([name, ref]) => [name.slice(parallelPrefix.length), ref]) : tensors);
  }
  throw new PthError("no tensors", `neither in it nor in its ${wrappers.join(", ")}`);
}

function tensorsOf(dict: Dict): [string, TensorRef][] {
  const found: [string, TensorRef][] = [];
  for (const [name, value] of dict.entries) {
    if (!(value instanceof TensorRef)) continue;
    if (typeof name !== "string") throw new PthError("bad name", `a tensor is called ${String(name)}`);
    found.push([name, value]);
  }
  return found;
}

/**
 * The tensors, their numbers gathered from their storages when asked for.
 *
 * @param contents The bytes of a storage by its key.
 * @throws PthError where views of shared storages add up to much more than a file of `fileBytes` can hold.
 */
export function storedTensors(
  refs: ReadonlyMap<string, TensorRef>,
  contents: (key: string) => Uint8Array,
  fileBytes: number,
): Map<string, StoredTensor> {
  let floats = 0;
  for (const ref of refs.values()) floats += ref.size;
  if (4 * floats > largestExpansion * fileBytes)
    throw new PthError("too many numbers", `its tensors show ${floats} in a file of ${fileBytes} bytes`);
  return new Map(
    [...refs].map(([name, ref]) => {
      const { dtype, key } = ref.storage;
      const bytes = contents(key);
      if (bytes.length !== ref.storage.byteLength)
        throw new PthError(
          "wrong byte length",
          `storage ${quote(key)} has ${bytes.length} bytes, but ${dtype} [${ref.storage.size}] takes ${ref.storage.byteLength}`,
        );
      return [name, new StoredTensor(dtype, [...ref.shape], () => gather(ref, bytes))];
    }),
  );
}

/** The view's elements in row-major order; shares memory with the storage where they lie so already. */
function gather({ storage, offset, shape, strides, size }: TensorRef, bytes: Uint8Array): Uint8Array {
  const width = bytesOf(storage.dtype)!;
  const begin = offset * width;
  // From the last dimension on: as long as a dimension's stride is the number of elements within it, all is in one piece.
  let contiguous = 1;
  let outer = shape.length;
  while (outer > 0 && (shape[outer - 1] === 1 || strides[outer - 1] === contiguous)) contiguous *= shape[--outer]!;
  if (contiguous === size || size === 0) return bytes.subarray(begin, begin + size * width);

  const gathered = new Uint8Array(size * width);
  const index = new Array<number>(outer).fill(0);
  const run = contiguous * width;
  let from = begin;
  for (let to = 0; to < gathered.length; to += run) {
    if (run < 32) for (let i = 0; i < run; i++) gathered[to + i] = bytes[from + i]!;
    else gathered.set(bytes.subarray(from, from + run), to);
    for (let d = outer - 1; d >= 0; d--) {
      from += strides[d]! * width;
      if (++index[d]! < shape[d]!) break;
      from -= strides[d]! * width * shape[d]!;
      index[d] = 0;
    }
  }
  return gathered;
}
