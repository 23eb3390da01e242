/** From recorded dispatches to dispatches that fit the adapter, and the memory that they need; nothing is allocated. */
import { type Device, GpuError } from "../kernels/device.ts";
import { mostTexelBytes, withoutTexels } from "../kernels/texels.ts";
import type { BoundRange } from "./bound-range.ts";
import { mergeDispatches } from "./merge.ts";
import { alignment, type MemoryPlan, type PlannedDispatch, type PlannedTensor, planMemory } from "./planner.ts";
import { asStored } from "./storage-type.ts";
import type { RecordedDispatch } from "./tape.ts";
import type { Storage, Tensor } from "./tensor.ts";
import { planTexels, type TexelPlan, type TexelUse } from "./texel-plan.ts";

/** What to do where something does not fit. */
export const help = "a smaller --micro-batch (or --batch-size, or --image-size) helps";

/**
 * While a program, with the parameters and gradients that it binds, takes no more than this, it keeps textures of what it
 * would copy again. AENet's step at 8×64×64 stays below PyTorch's so (docs/performance.md).
 */
const roomyBytes = 736 * 2 ** 20;

export interface ProgramOptions {
  /** Share memory between tensors that are not needed at the same time. Default true. */
  readonly reuse?: boolean;
  /** Fill all planned memory with NaN before every run: whatever is read without having been written shows. */
  readonly poison?: boolean;
  /** Let kernels take over what follows them, and leave out what nothing reads: see mergeDispatches. Default true. */
  readonly merge?: boolean;
  /**
   * How often each output may be under way to the host at once without another buffer for it: room for that many is made
   * at the start. Default 0: room is made when it is needed, and kept.
   */
  readonly readsInFlight?: number;
}

interface BoundDispatch extends Omit<RecordedDispatch, "bindings"> {
  /** What it is, or is a part of. */
  readonly recorded: RecordedDispatch;
  readonly bindings: Readonly<Record<string, BoundRange>>;
  readonly firstStream: number;
}

/**
 * A dispatch as it fits the adapter's limit on bindings: as it is, or one for each stream.
 * @throws GpuError if even one stream's part is too large.
 */
function splitByStream(device: Device, dispatch: RecordedDispatch): BoundDispatch[] {
  const { maxStorageBufferBindingSize: limit, maxBufferSize } = device.limits;
  const { streams, operation } = dispatch;
  for (const { name, shape, storage } of Object.values(dispatch.bindings)) {
    if (storage.persistent || storage.byteLength <= maxBufferSize) continue;
    throw new GpuError(
      `${operation}: ${name} [${shape}] needs ${storage.byteLength} bytes in one buffer, the adapter allows ` +
        `${maxBufferSize}; ${help}`,
    );
  }
  const tooLarge = Object.values(dispatch.bindings).find((t) => t.storage.byteLength > limit);
  if (!tooLarge) {
    const bindings = mapValues(dispatch.bindings, ({ storage }) => ({ storage }));
    return [{ ...dispatch, recorded: dispatch, firstStream: 0, bindings }];
  }
  const refuse = ({ name, shape }: Tensor, bytes: number) =>
    new GpuError(
      `${operation}: ${name} [${shape}] needs ${bytes} bytes in one binding, the adapter allows ${limit}; ${help}`,
    );
  if (!streams) throw refuse(tooLarge, tooLarge.storage.byteLength);
  const { count, bindings: sliced, parameters = [] } = streams;
  // Parameters are sliced too where every slice can be bound; else they stay whole, and the kernel counts in them.
  const slicesParameters = parameters.every((name) => isSliceable(dispatch.bindings[name]!.storage, count));
  const parts = Array.from({ length: count }, (_, stream) => ({
    ...dispatch,
    recorded: dispatch,
    firstStream: slicesParameters && parameters.length > 0 ? 0 : stream,
    workgroups: dispatch.workgroups / count,
    operations: dispatch.operations / count,
    bindings: mapValues(dispatch.bindings, ({ storage }, name) => {
      if (!sliced.includes(name) && !(slicesParameters && parameters.includes(name))) return { storage };
      const size = storage.byteLength / count;
      return { storage, offset: stream * size, size };
    }),
  }));
  for (const { bindings } of parts) {
    for (const [name, { storage, offset = 0, size = storage.byteLength }] of Object.entries(bindings)) {
      if (offset % alignment !== 0) throw refuse(tooLarge, tooLarge.storage.byteLength); // a slice that cannot be bound
      if (size > limit) throw refuse(dispatch.bindings[name]!, size);
    }
  }
  return parts;
}

/** The dispatches as the adapter takes them and the memory that they need; nothing is allocated. */
export interface ProgramPlan {
  readonly dispatches: readonly BoundDispatch[];
  readonly plan: MemoryPlan;
  readonly texels: TexelPlan;
  /** Bytes of the inputs. */
  readonly inputBytes: number;
}

/** @throws GpuError if a tensor does not fit the adapter. */
export function planProgram(
  device: Device,
  asRecorded: readonly RecordedDispatch[],
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  { reuse = true, merge = true }: ProgramOptions,
): ProgramPlan {
  const fits = (dispatch: RecordedDispatch) => {
    try {
      splitByStream(device, asStored(dispatch));
      return true;
    } catch (error) {
      if (error instanceof GpuError) return false;
      throw error;
    }
  };
  const merged = merge ? mergeDispatches(asRecorded, [...inputs, ...outputs], fits) : asRecorded;
  const recorded = merged.map(asStored);
  const split = recorded.flatMap((dispatch) => splitByStream(device, dispatch));
  // A checked kernel reads everything from buffers.
  const dispatches = device.boundsChecks ? split.map((one) => ({ ...one, kernel: withoutTexels(one.kernel) })) : split;
  const inputStorages = new Set(inputs.map((t) => t.storage));
  const isPlanned = (storage: Storage) => !storage.persistent && !inputStorages.has(storage);
  const written = new Set<Storage>();
  for (const { kernel, bindings, operation } of recorded) {
    for (const name of Object.keys(kernel.inputs)) {
      const { storage, name: tensor, shape } = bindings[name]!;
      if (isPlanned(storage) && !written.has(storage)) {
        throw new Error(`${operation}: ${tensor} [${shape}] is read before anything writes it, and is no input`);
      }
    }
    for (const name of Object.keys(kernel.outputs)) {
      const { storage, name: tensor, shape } = bindings[name]!;
      if (Object.keys(kernel.inputs).some((input) => bindings[input]!.storage === storage)) {
        throw new Error(`${operation}: ${tensor} [${shape}] is read and written by one dispatch, in two bindings`);
      }
      written.add(storage);
    }
  }
  for (const { name, shape, storage } of outputs) {
    if (isPlanned(storage) && !written.has(storage))
      throw new Error(`${name} [${shape}] is to be read, but nothing writes it`);
  }
  const kept = new Set<PlannedTensor>(outputs.map((t) => t.storage));
  const memoryWith = (texels: TexelPlan) => {
    const planned = dispatches.map((dispatch, time) => plannedDispatch(dispatch, texels.uses[time]!, isPlanned));
    return planMemory(planned, kept, { reuse, bankLimit: device.limits.maxBufferSize });
  };
  const inputBytes = sum([...inputStorages].map(({ byteLength }) => aligned(byteLength)));
  if (inputBytes > device.limits.maxBufferSize) {
    throw new GpuError(
      `inputs: ${inputBytes} bytes are more than the adapter allows in a buffer (${device.limits.maxBufferSize}); ` +
        help,
    );
  }
  const fewest = planTexels(dispatches);
  const bytes = persistentBytes(recorded) + inputBytes + sum(memoryWith(fewest).banks) + sum(fewest.textures);
  const texels = planTexels(dispatches, Math.max(0, roomyBytes - bytes));
  const plan = memoryWith(texels);
  const tooLarge = texels.textures.find((bytes) => bytes > mostTexelBytes(device.limits));
  if (tooLarge !== undefined) {
    throw new GpuError(
      `a tensor to be read through a texture needs ${tooLarge} bytes, the adapter allows ` +
        `${mostTexelBytes(device.limits)} in one; ${help}`,
    );
  }
  return { dispatches, plan, texels, inputBytes };
}

/** What a dispatch reads and writes of the planned memory; what textures hold from before it does not read. */
function plannedDispatch(
  { kernel, bindings }: BoundDispatch,
  uses: readonly TexelUse[],
  isPlanned: (storage: Storage) => boolean,
): PlannedDispatch {
  const held = new Set(uses.flatMap(({ binding, isHeld }) => (isHeld ? binding : [])));
  const storages = (names: readonly string[]): PlannedTensor[] =>
    names.map((name) => bindings[name]!.storage).filter(isPlanned);
  const read = Object.keys(kernel.inputs).filter((name) => !held.has(name));
  return { reads: storages(read), writes: storages(Object.keys(kernel.outputs)) };
}

/** Bytes of the persistent memory, such as parameters and their gradients, that dispatches bind. */
function persistentBytes(dispatches: readonly RecordedDispatch[]): number {
  const storages = new Set(dispatches.flatMap(({ bindings }) => Object.values(bindings).map(({ storage }) => storage)));
  return sum([...storages].map(({ persistent, byteLength }) => (persistent ? byteLength : 0)));
}

const sum = (bytes: readonly number[]): number => bytes.reduce((a, b) => a + b, 0);

export const aligned = (bytes: number): number => alignment * Math.ceil(bytes / alignment);

const isSliceable = ({ byteLength }: Storage, streams: number) => (byteLength / streams) % alignment === 0;

export function mapValues<V, W>(
  record: Readonly<Record<string, V>>,
  f: (value: V, key: string) => W,
): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]));
}
