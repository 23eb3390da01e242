/**
 * A program: the dispatches of a recorded step with their memory, pipelines and bind groups, ready to be replayed.
 */
import { fromHalf, toHalf } from "../half.ts";
import { type Device, GpuError, operationsPerSubmit } from "../kernels/device.ts";
import { bindingsOf, divideUp, foldWorkgroups, packParams, paramsStride } from "../kernels/kernel.ts";
import type { DispatchLabel, PassTimestamps } from "../kernels/profiler.ts";
import { copiesToTexels, type TexelCopy, texelTextureBytes } from "../kernels/texels.ts";
import { bytesMoved } from "../kernels/traffic.ts";
import { watchFinite } from "../kernels/watch.ts";
import { sizeOf } from "./bound-range.ts";
import { alignment, type MemoryPlan } from "./planner.ts";
import { aligned, help, mapValues, type ProgramOptions, type ProgramPlan, planProgram } from "./program-plan.ts";
import type { RecordedDispatch } from "./tape.ts";
import { isFloat, Parameter, pad, RunningStatistic, Storage, Tensor, unpad } from "./tensor.ts";

/** A dispatch as the GPU takes it. */
interface Command extends DispatchLabel {
  /** The dispatch that it is, or is a part of. */
  readonly recorded: RecordedDispatch;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number];
  /** What it reads through textures and is not in them yet. */
  readonly copies: readonly TexelCopy[];
}

export class Program {
  readonly device: Device;
  readonly plan: MemoryPlan;
  readonly commands: readonly Command[];
  readonly #banks: GPUBuffer[];
  readonly #own: (GPUBuffer | GPUTexture)[];
  readonly #poison: boolean;
  /** The commands, a submit each. */
  readonly #parts: readonly (readonly Command[])[];
  readonly #place: (tensor: Tensor) => { buffer: GPUBuffer; offset: number };
  readonly #readable: ReadonlySet<Storage>;
  readonly #inputs: readonly Tensor[];
  #destroyed = false;
  /** Buffers to read through that are free. */
  readonly #staging: GPUBuffer[];

  private constructor(fields: {
    device: Device;
    plan: MemoryPlan;
    commands: Command[];
    banks: GPUBuffer[];
    own: (GPUBuffer | GPUTexture)[];
    poison: boolean;
    place: (tensor: Tensor) => { buffer: GPUBuffer; offset: number };
    readable: ReadonlySet<Storage>;
    inputs: readonly Tensor[];
    staging: GPUBuffer[];
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
    this.#inputs = fields.inputs;
    this.#staging = fields.staging;
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
    const own: (GPUBuffer | GPUTexture)[] = [];
    try {
      return await Program.#allocate(device, planned, inputs, outputs, options, own);
    } catch (error) {
      for (const resource of own) resource.destroy();
      throw error;
    }
  }

  static async #allocate(
    device: Device,
    { dispatches, plan, texels }: ProgramPlan,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    options: ProgramOptions,
    own: (GPUBuffer | GPUTexture)[],
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
    const place = ({ name, shape, dtype, storage }: Tensor) => {
      const found = storage.external ?? places.get(storage);
      // What is planned has a place; parameters have what they were allocated with.
      if (!found) {
        throw new Error(
          `${name} [${shape}]${dtype === "f16" ? " in f16" : ""} has no memory: the parameters were allocated without it`,
        );
      }
      return found;
    };

    const textures: { texture: GPUTexture; view: GPUTextureView }[] = [];
    for (const [i, bytes] of texels.textures.entries()) {
      const label = `texels ${i} of ${texels.textures.length} (${bytes} bytes)`;
      const texture = await device.createTexels(label, bytes);
      own.push(texture);
      textures.push({ texture, view: texture.createView() });
    }
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
      const checked = device.boundsChecks?.check(label, kernel);
      const { pipeline, layout } = await device.compile(checked?.kernel ?? kernel);
      const rangeOf = (name: string) => {
        const { storage, offset = 0, size = storage.byteLength } = bindings[name]!;
        const at = place(dispatch.recorded.bindings[name]!);
        return { buffer: at.buffer, offset: at.offset + offset, size };
      };
      const uses = texels.uses[i]!;
      const inTexture = new Map(uses.map(({ binding, texture }) => [binding, textures[texture]!]));
      const copies = uses.flatMap(({ binding, isHeld }) =>
        isHeld ? [] : copiesToTexels(rangeOf(binding), inTexture.get(binding)!.texture),
      );
      const entries: GPUBindGroupEntry[] = [
        { binding: 0, resource: { buffer: params, offset: i * paramsStride, size: paramsStride } },
        ...bindingsOf(kernel).map(({ name }, b) => ({
          binding: b + 1,
          resource: inTexture.get(name)?.view ?? rangeOf(name),
        })),
      ];
      if (checked) entries.push({ binding: entries.length, resource: checked.resource });
      device.gpu.pushErrorScope("validation");
      const bindGroup = device.gpu.createBindGroup({ label, layout, entries });
      const workgroups = foldWorkgroups(dispatch.workgroups, device.limits.maxComputeWorkgroupsPerDimension);
      const { recorded, operations, bytes = bytesMoved(kernel, mapValues(bindings, sizeOf)) } = dispatch;
      const measured = { operation, kernel: kernel.name, operations, bytes, strategy: kernel.strategy ?? null };
      const command: Command = { ...measured, recorded, pipeline, bindGroup, workgroups, copies };
      // Encoded once by itself, for the validation; what is wrong in a long pass could not be told apart.
      encodeCommands(device.gpu.createCommandEncoder(), [command]).finish();
      faults.push(device.gpu.popErrorScope().then((fault) => ({ label, fault })));
      commands.push(command);
    }
    for (const { label, fault } of await device.wait(Promise.all(faults))) {
      if (fault) throw new GpuError(`${label}: ${fault.message}`);
    }
    device.gpu.queue.writeBuffer(params, 0, packed);
    const readable = new Set([...inputStorages, ...outputs.map((t) => t.storage)]);
    const staging: GPUBuffer[] = [];
    for (const { storage } of outputs) {
      for (let i = 0; i < (options.readsInFlight ?? 0); i++) staging.push(device.createStaging(storage.byteLength));
    }
    own.push(...staging);
    const poison = options.poison ?? false;
    return new Program({ device, plan, commands, banks, own, poison, place, readable, inputs, staging });
  }

  /** Bytes of GPU memory that belong to the program. */
  get bytes(): number {
    return this.#own.reduce((sum, one) => sum + ("size" in one ? one.size : texelTextureBytes(one)), 0);
  }

  /**
   * Writes an input's logical values (bytes for "u8").
   * @throws Error for what is no input and does not persist, and for parameters, which are written by `Parameters.write`: the
   * optimizer keeps track of how large they are, and products in f16 read a copy.
   */
  write(tensor: Tensor, values: ArrayLike<number>): void {
    this.#check();
    if (!this.#inputs.includes(tensor) && !tensor.storage.persistent) {
      throw new Error(`${tensor.name} is not an input of the program`);
    }
    if (tensor instanceof Parameter || tensor instanceof RunningStatistic) {
      throw new Error(`${tensor.name}: a parameter is written by Parameters.write`);
    }
    if (values.length !== tensor.size) {
      throw new RangeError(`${tensor.name}: ${values.length} values for shape [${tensor.shape}]`);
    }
    const { buffer, offset } = this.#place(tensor);
    this.device.gpu.queue.writeBuffer(buffer, offset, encode(tensor, values));
  }

  /** Queues one run; returns at once. @throws GpuError if an earlier operation failed. */
  run(): void {
    const { gpu } = this.device;
    this.#check();
    if (this.#poison) {
      for (const bank of this.#banks) {
        gpu.queue.writeBuffer(bank, 0, new Uint8Array(bank.size).fill(0xff)); // NaN in f32 and in f16
      }
    }
    for (const part of this.#parts) {
      const [first, last] = [part[0]!.operation, part.at(-1)!.operation];
      const label = first === last ? first : `${first} … ${last}`;
      const { profiler } = this.device;
      this.device.submit(label, (encoder) => {
        if (!profiler) encodeCommands(encoder, part);
        else for (const command of part) encodeCommands(encoder, [command], profiler.next(command));
      });
    }
  }

  /**
   * The values of an output (or input) as the last run left them. The copy is queued at once, so the program may run
   * again before the promise resolves.
   */
  async read(tensor: Tensor): Promise<Float32Array> {
    this.#check();
    if (!this.#readable.has(tensor.storage) && !tensor.storage.persistent) {
      throw new Error(`${tensor.name} is not an output of the program`);
    }
    return this.#fetch(tensor);
  }

  async #fetch(tensor: Tensor): Promise<Float32Array> {
    const size = tensor.storage.byteLength;
    const free = this.#staging.findIndex((buffer) => buffer.size === size);
    const staging = free >= 0 ? this.#staging.splice(free, 1)[0]! : this.device.createStaging(size);
    if (free < 0) this.#own.push(staging);
    const { buffer: source, offset } = this.#place(tensor);
    this.device.submit(`reading ${tensor.name}`, (encoder) =>
      encoder.copyBufferToBuffer(source, offset, staging, 0, size),
    );
    const memory = decode(tensor, await this.device.map(staging, size));
    const values = new Float32Array(tensor.size);
    unpad(memory, tensor.shape, tensor.layout, values);
    staging.unmap();
    this.#staging.push(staging);
    return values;
  }

  /**
   * Runs once more, a dispatch at a time, and looks after each at what it wrote (floats; pads included): why did a run
   * fail? Inputs and persistent memory have to be as they were before that run. Takes far longer than a run.
   *
   * @returns The first tensor with a NaN or an infinity, the inputs first of all; null if there is none.
   */
  async findNonFinite(): Promise<NonFinite | null> {
    const { device } = this;
    const stages: Stage[] = [{ operation: null, commands: [], tensors: this.#inputs }];
    for (const command of this.commands) {
      const { kernel, bindings, operation } = command.recorded;
      const last = stages.at(-1)!;
      // A tensor that is written stream by stream is whole only after the last of them.
      if (last.recorded === command.recorded) last.commands.push(command);
      else {
        const tensors = Object.keys(kernel.outputs).map((name) => bindings[name]!);
        stages.push({ recorded: command.recorded, operation, commands: [command], tensors });
      }
    }
    const watch = await this.#buildWatch(stages.map(({ tensors }) => tensors));
    try {
      // What the failed run left must not be taken for what this one writes.
      device.submit("clear", (encoder) => {
        for (const bank of this.#banks) encoder.clearBuffer(bank);
      });
      for (const [i, { recorded, operation, commands, tensors }] of stages.entries()) {
        if (commands.length > 0) device.submit(operation!, (encoder) => encodeCommands(encoder, commands));
        const found = (await watch.look(i)).findIndex((count) => count > 0);
        if (found >= 0) {
          const tensor = tensors[found]!;
          const observed = recorded?.observed;
          const finder = observed?.finds.includes(tensor) ? observed.operation : operation;
          return { operation: finder, tensor, ...firstNonFinite(tensor, await this.#fetch(tensor)) };
        }
      }
      return null;
    } finally {
      watch.destroy();
    }
  }

  /** A program that counts, for each of some lists of tensors of this one, the blocks of each that are not finite. */
  async #buildWatch(lists: readonly (readonly Tensor[])[]) {
    const { device } = this;
    const slots = 4 * Math.ceil(Math.max(...lists.map((tensors) => tensors.length)) / 4);
    const status = new Tensor({ name: "status", shape: [slots], dtype: "i32" });
    const limit = alignment * Math.floor(device.limits.maxStorageBufferBindingSize / alignment);
    const recorded: RecordedDispatch[] = [];
    const ends = lists.map((tensors) => {
      tensors.forEach((tensor, slot) => {
        const { name, dtype, storage } = tensor;
        if (!isFloat(dtype)) return;
        const bytes = dtype === "f16" ? 8 : 16; // of four
        const { buffer, offset } = this.#place(tensor);
        for (let at = 0; at < storage.byteLength; at += limit) {
          const size = divideUp(Math.min(limit, storage.byteLength - at), bytes);
          const view = new Storage(bytes * size, { persistent: true });
          view.external = { buffer, offset: offset + at };
          const x = new Tensor({ name, shape: [4 * size], layout: "flat", dtype, storage: view });
          recorded.push({ ...watchFinite(size, { x, status }, slot), operation: "watch" });
        }
      });
      return recorded.length;
    });
    const program = await Program.build(device, recorded, [status], [status], {});
    return {
      look: async (list: number): Promise<Float32Array> => {
        program.write(status, new Int32Array(slots));
        const commands = program.commands.slice(ends[list - 1] ?? 0, ends[list]);
        device.submit("watch", (encoder) => encodeCommands(encoder, commands));
        return program.read(status);
      },
      destroy: () => program.destroy(),
    };
  }

  /** @throws GpuError if the device failed; Error if the program was destroyed. */
  #check(): void {
    this.device.check();
    if (this.#destroyed) throw new Error("the program was destroyed");
  }

  /** Frees the program's memory. Reads that are under way fail. */
  destroy(): void {
    this.#destroyed = true;
    for (const resource of this.#own) resource.destroy();
  }
}

/** The first value that is not finite in a run. */
export interface NonFinite {
  /** The operation whose dispatch wrote the tensor; null for an input. */
  readonly operation: string | null;
  readonly tensor: Tensor;
  /** How many of the tensor's values are not finite. */
  readonly count: number;
  /** The first of them: its index along each axis (none if only pads are not finite), and the value. */
  readonly index: readonly number[] | null;
  readonly value: number;
}

/** The dispatches that write some tensors, and these. */
interface Stage {
  readonly recorded?: RecordedDispatch;
  readonly operation: string | null;
  readonly commands: Command[];
  readonly tensors: readonly Tensor[];
}

function firstNonFinite({ shape }: Tensor, values: Float32Array): Pick<NonFinite, "count" | "index" | "value"> {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return { count: 0, index: null, value: Number.NaN };
  const count = values.reduce((sum, value) => sum + (Number.isFinite(value) ? 0 : 1), 0);
  let rest = at;
  const index = shape.toReversed().map((size) => {
    const i = rest % size;
    rest = (rest - i) / size;
    return i;
  });
  return { count, index: index.reverse(), value: values[at]! };
}

/** Encodes commands in one pass, or in several where copies come between them; with timestamps, a single command. */
function encodeCommands(
  encoder: GPUCommandEncoder,
  commands: readonly Command[],
  timestamps?: PassTimestamps,
): GPUCommandEncoder {
  let pass: GPUComputePassEncoder | null = null;
  for (const { pipeline, bindGroup, workgroups, copies } of commands) {
    let timestampWrites: GPUComputePassTimestampWrites | undefined = timestamps;
    if (copies.length > 0) {
      pass?.end();
      pass = null;
      if (timestamps) {
        // A copy is part of what it is made for: an empty pass before it says when that began.
        const { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex } = timestamps;
        encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex } }).end();
        timestampWrites = { querySet, endOfPassWriteIndex };
      }
      for (const copy of copies) encoder.copyBufferToTexture(...copy);
    }
    pass ??= encoder.beginComputePass(timestampWrites && { timestampWrites });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
  }
  pass?.end();
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

type Memory = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** A tensor's memory as numbers. */
function decode({ dtype }: Tensor, memory: ArrayBuffer): ArrayLike<number> {
  if (dtype === "f16") return Float32Array.from(new Uint16Array(memory), fromHalf);
  if (dtype === "u8") return new Uint8Array(memory);
  return dtype === "i32" ? new Int32Array(memory) : new Float32Array(memory);
}

const arrays = { u8: Uint8Array, i32: Int32Array, f32: Float32Array };

/** Whether values lie as the tensor's memory does, so that they need not be copied: the images of a step, above all. */
function isMemory(values: ArrayLike<number>, { dtype, layout, paddedSize, size, storage }: Tensor): values is Memory {
  if (dtype === "f16" || layout === "weight" || paddedSize !== size || !(values instanceof arrays[dtype])) return false;
  return values.byteLength === storage.byteLength && values.buffer instanceof ArrayBuffer;
}

function encode(tensor: Tensor, values: ArrayLike<number>): Memory {
  if (isMemory(values, tensor)) return values;
  if (tensor.dtype === "u8") {
    const bytes = new Uint8Array(tensor.storage.byteLength);
    bytes.set(values);
    return bytes;
  }
  if (tensor.dtype === "f16") {
    const halves = new Uint16Array(tensor.storage.byteLength / 2);
    pad(Uint16Array.from(values, toHalf), tensor.shape, tensor.layout, halves);
    return halves;
  }
  const memory = tensor.dtype === "i32" ? new Int32Array(tensor.paddedSize) : new Float32Array(tensor.paddedSize);
  pad(values, tensor.shape, tensor.layout, memory);
  return memory;
}
