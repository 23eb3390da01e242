/**
 * A program: the dispatches of a recorded step with their memory, pipelines and bind groups, ready to be replayed.
 */
import { type Device, GpuError } from "../kernels/device.ts";
import { bindingsOf, foldWorkgroups, packParams, paramsStride } from "../kernels/kernel.ts";
import type { DispatchLabel } from "../kernels/profiler.ts";
import { bytesMoved } from "../kernels/traffic.ts";
import { alignment, type MemoryPlan, type PlannedTensor, planMemory } from "./planner.ts";
import type { RecordedDispatch } from "./tape.ts";
import { pad, type Storage, type Tensor, unpad } from "./tensor.ts";

export interface ProgramOptions {
  /** Share memory between tensors that are not needed at the same time. Default true. */
  readonly reuse?: boolean;
  /** Fill all planned memory with NaN before every run: whatever is read without having been written shows. */
  readonly poison?: boolean;
}

/** A dispatch as the GPU takes it. */
interface Command extends DispatchLabel {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number];
}

/** What to do where something does not fit. */
const help = "a smaller --micro-batch (or --batch-size, or --image-size) helps";

/** Work in one submit, in multiplications and additions: a desktop GPU resets after about 2 s in one submit. */
const operationsPerSubmit = 2e10;

export class Program {
  readonly device: Device;
  readonly plan: MemoryPlan;
  readonly commands: readonly Command[];
  readonly #banks: GPUBuffer[];
  readonly #own: GPUBuffer[];
  readonly #poison: boolean;
  /** The commands, a submit each. */
  readonly #parts: readonly (readonly Command[])[];
  readonly #place: (storage: Storage) => { buffer: GPUBuffer; offset: number };
  readonly #readable: ReadonlySet<Storage>;
  #staging: { buffer: GPUBuffer; size: number }[] = [];

  private constructor(fields: {
    device: Device;
    plan: MemoryPlan;
    commands: Command[];
    banks: GPUBuffer[];
    own: GPUBuffer[];
    poison: boolean;
    place: (storage: Storage) => { buffer: GPUBuffer; offset: number };
    readable: ReadonlySet<Storage>;
  }) {
    this.device = fields.device;
    this.plan = fields.plan;
    this.commands = fields.commands;
    this.#parts = splitByWork(fields.commands);
    this.#banks = fields.banks;
    this.#own = fields.own;
    this.#poison = fields.poison;
    this.#place = fields.place;
    this.#readable = fields.readable;
  }

  /** @throws GpuError if a tensor or the plan does not fit the adapter, before anything is allocated. */
  static async build(
    device: Device,
    recorded: readonly RecordedDispatch[],
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    options: ProgramOptions,
  ): Promise<Program> {
    const planned = planProgram(device, recorded, inputs, outputs, options);
    const own: GPUBuffer[] = [];
    try {
      return await Program.#allocate(device, planned, inputs, outputs, options, own);
    } catch (error) {
      for (const buffer of own) buffer.destroy();
      throw error;
    }
  }

  static async #allocate(
    device: Device,
    { dispatches, plan }: ProgramPlan,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    options: ProgramOptions,
    own: GPUBuffer[],
  ): Promise<Program> {
    const allocate = async (label: string, size: number, usage: GPUBufferUsageFlags) => {
      const buffer = await device.createBuffer(label, size, usage);
      own.push(buffer);
      return buffer;
    };
    const inputStorages = new Set(inputs.map((t) => t.storage));
    const { STORAGE, COPY_SRC, COPY_DST, UNIFORM } = GPUBufferUsage;
    const banks: GPUBuffer[] = [];
    for (const [i, size] of plan.banks.entries()) {
      const label = `bank ${i} of ${plan.banks.length} (${size} bytes)`;
      try {
        banks.push(await allocate(label, size, STORAGE | COPY_SRC | COPY_DST));
      } catch (error) {
        throw new GpuError(`${(error as Error).message}; ${help}`);
      }
    }
    const places = new Map<Storage, { buffer: GPUBuffer; offset: number }>();
    for (const [tensor, { bank, offset }] of plan.places) {
      places.set(tensor as Storage, { buffer: banks[bank]!, offset });
    }
    let inputBytes = 0;
    const inputOffsets = new Map<Storage, number>();
    for (const storage of inputStorages) {
      inputOffsets.set(storage, inputBytes);
      inputBytes += aligned(storage.byteLength);
    }
    const inputBuffer = await allocate("inputs", inputBytes, STORAGE | COPY_SRC | COPY_DST);
    for (const [storage, offset] of inputOffsets) places.set(storage, { buffer: inputBuffer, offset });
    const place = (storage: Storage) => {
      const found = storage.external ?? places.get(storage);
      if (!found && storage.persistent) throw new Error("the parameters have no memory yet");
      if (!found) throw new Error("a tensor is read that no dispatch writes and that is no input");
      return found;
    };

    const params = await allocate("params", Math.max(1, dispatches.length) * paramsStride, UNIFORM | COPY_DST);
    const packed = new Uint8Array(dispatches.length * paramsStride);
    const commands: Command[] = [];
    const faults: Promise<{ label: string; fault: GPUError | null }>[] = [];
    for (const [i, dispatch] of dispatches.entries()) {
      const { kernel, bindings, operation } = dispatch;
      packed.set(
        new Uint8Array(packParams(kernel, dispatch.params, dispatch.workgroups, dispatch.firstStream)),
        i * paramsStride,
      );
      const label = operation === kernel.name ? operation : `${operation}: ${kernel.name}`;
      const { pipeline, layout } = await device.compile(kernel);
      const entries = [
        { binding: 0, resource: { buffer: params, offset: i * paramsStride, size: paramsStride } },
        ...bindingsOf(kernel).map(({ name }, b) => {
          const { storage, offset = 0, size = storage.byteLength } = bindings[name]!;
          const at = place(storage);
          return { binding: b + 1, resource: { buffer: at.buffer, offset: at.offset + offset, size } };
        }),
      ];
      device.gpu.pushErrorScope("validation");
      const bindGroup = device.gpu.createBindGroup({ label, layout, entries });
      const workgroups = foldWorkgroups(dispatch.workgroups, device.limits.maxComputeWorkgroupsPerDimension);
      const { operations } = dispatch;
      const bytes = bytesMoved(kernel, mapValues(bindings, sizeOf));
      const command: Command = { operation, kernel: kernel.name, operations, bytes, pipeline, bindGroup, workgroups };
      // Encoded once by itself, for the validation; what is wrong in a long pass could not be told apart.
      encodePass(device.gpu.createCommandEncoder(), [command]).finish();
      faults.push(device.gpu.popErrorScope().then((fault) => ({ label, fault })));
      commands.push(command);
    }
    for (const { label, fault } of await device.wait(Promise.all(faults))) {
      if (fault) throw new GpuError(`${label}: ${fault.message}`);
    }
    device.gpu.queue.writeBuffer(params, 0, packed);
    const readable = new Set([...inputStorages, ...outputs.map((t) => t.storage)]);
    return new Program({ device, plan, commands, banks, own, poison: options.poison ?? false, place, readable });
  }

  /** Bytes of GPU memory that belong to the program. */
  get bytes(): number {
    return this.#own.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  /** Writes an input's logical values (bytes for "u8"). */
  write(tensor: Tensor, values: ArrayLike<number>): void {
    if (values.length !== tensor.size) {
      throw new RangeError(`${tensor.name}: ${values.length} values for shape [${tensor.shape}]`);
    }
    const { buffer, offset } = this.#place(tensor.storage);
    this.device.gpu.queue.writeBuffer(buffer, offset, encode(tensor, values));
  }

  /** Queues one run; returns at once. @throws GpuError if an earlier operation failed. */
  run(): void {
    const { gpu } = this.device;
    this.device.check();
    if (this.#poison) {
      for (const bank of this.#banks) {
        gpu.queue.writeBuffer(bank, 0, new Float32Array(bank.size / 4).fill(Number.NaN));
      }
    }
    for (const part of this.#parts) {
      const [first, last] = [part[0]!.operation, part.at(-1)!.operation];
      const label = first === last ? first : `${first} … ${last}`;
      const { profiler } = this.device;
      this.device.submit(label, (encoder) => {
        if (!profiler) encodePass(encoder, part);
        else for (const command of part) encodePass(encoder, [command], profiler.next(command));
      });
    }
  }

  /**
   * The values of an output (or input) as the last run left them. The copy is queued at once, so the program may run
   * again before the promise resolves.
   */
  async read(tensor: Tensor): Promise<Float32Array> {
    if (!this.#readable.has(tensor.storage) && !tensor.storage.persistent) {
      throw new Error(`${tensor.name} is not an output of the program`);
    }
    const size = tensor.storage.byteLength;
    const at = this.#staging.findIndex((s) => s.size === size);
    const staging = at >= 0 ? this.#staging.splice(at, 1)[0]! : { size, buffer: this.device.createStaging(size) };
    const { buffer: source, offset } = this.#place(tensor.storage);
    this.device.submit(`reading ${tensor.name}`, (encoder) =>
      encoder.copyBufferToBuffer(source, offset, staging.buffer, 0, size),
    );
    const memory = new Float32Array(await this.device.map(staging.buffer, size));
    const values = new Float32Array(tensor.size);
    unpad(tensor.dtype === "i32" ? new Int32Array(memory.buffer) : memory, tensor.shape, tensor.layout, values);
    staging.buffer.unmap();
    this.#staging.push(staging);
    return values;
  }

  /** Frees the program's memory. */
  destroy(): void {
    for (const buffer of this.#own) buffer.destroy();
    for (const { buffer } of this.#staging) buffer.destroy();
    this.#staging = [];
  }
}

function encodePass(
  encoder: GPUCommandEncoder,
  commands: readonly Command[],
  timestampWrites?: GPUComputePassTimestampWrites,
): GPUCommandEncoder {
  const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
  for (const { pipeline, bindGroup, workgroups } of commands) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
  }
  pass.end();
  return encoder;
}

/** Stretches of commands for a submit each. */
function splitByWork(commands: readonly Command[]): Command[][] {
  const parts: Command[][] = [];
  let work = Number.POSITIVE_INFINITY;
  for (const command of commands) {
    if (work >= operationsPerSubmit) {
      parts.push([]);
      work = 0;
    }
    parts.at(-1)!.push(command);
    work += command.operations;
  }
  return parts;
}

/** A part of a storage as it is bound. */
interface BoundRange {
  readonly storage: Storage;
  readonly offset?: number;
  readonly size?: number;
}

const sizeOf = ({ storage, size = storage.byteLength }: BoundRange): number => size;

interface BoundDispatch extends Omit<RecordedDispatch, "bindings"> {
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
    return [{ ...dispatch, firstStream: 0, bindings: mapValues(dispatch.bindings, ({ storage }) => ({ storage })) }];
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
  /** Bytes of the inputs. */
  readonly inputBytes: number;
}

/** @throws GpuError if a tensor does not fit the adapter. */
export function planProgram(
  device: Device,
  recorded: readonly RecordedDispatch[],
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  { reuse = true }: ProgramOptions,
): ProgramPlan {
  const dispatches = recorded.flatMap((dispatch) => splitByStream(device, dispatch));
  const inputStorages = new Set(inputs.map((t) => t.storage));
  const isPlanned = (storage: Storage) => !storage.persistent && !inputStorages.has(storage);
  const planned = dispatches.map(({ kernel, bindings }) => {
    const storages = (names: object): PlannedTensor[] =>
      Object.keys(names)
        .map((name) => bindings[name]!.storage)
        .filter(isPlanned);
    return { reads: storages(kernel.inputs), writes: storages(kernel.outputs) };
  });
  const kept = new Set<PlannedTensor>(outputs.map((t) => t.storage));
  const plan = planMemory(planned, kept, { reuse, bankLimit: device.limits.maxBufferSize });
  const inputBytes = [...inputStorages].reduce((sum, s) => sum + aligned(s.byteLength), 0);
  if (inputBytes > device.limits.maxBufferSize) {
    throw new GpuError(
      `inputs: ${inputBytes} bytes are more than the adapter allows in a buffer (${device.limits.maxBufferSize}); ` +
        help,
    );
  }
  return { dispatches, plan, inputBytes };
}

const aligned = (bytes: number) => alignment * Math.ceil(bytes / alignment);

function encode(
  tensor: Tensor,
  values: ArrayLike<number>,
): Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  if (tensor.dtype === "u8") {
    const bytes = new Uint8Array(tensor.storage.byteLength);
    bytes.set(values);
    return bytes;
  }
  const memory = tensor.dtype === "i32" ? new Int32Array(tensor.paddedSize) : new Float32Array(tensor.paddedSize);
  pad(values, tensor.shape, tensor.layout, memory);
  return memory;
}

const isSliceable = ({ byteLength }: Storage, streams: number) => (byteLength / streams) % alignment === 0;

function mapValues<V, W>(record: Readonly<Record<string, V>>, f: (value: V, key: string) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]));
}
