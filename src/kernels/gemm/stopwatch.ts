/** Times candidates for a product on the device, by timestamps where there are any, else by the clock. */
import { type Device, GpuError, operationsPerSubmit } from "../device.ts";
import { bindingsOf, type Dispatch, foldWorkgroups, packParams, paramsStride } from "../kernel.ts";

export interface Stopwatch {
  /** Seconds of a candidate. @throws GpuError if the adapter cannot run it. */
  time(candidate: number): Promise<number>;
  destroy(): void;
}

/** Least time of what is timed, in milliseconds: well above the steps of the timestamps, or what waiting adds. */
const leastMs = { timestamps: 1.5, clock: 15 };
/** Most repetitions: beyond that a candidate does next to nothing. */
const mostRepetitions = 256;
/** Milliseconds of work before anything is timed: a GPU that sat idle while kernels were compiled has a slow clock. */
const wakeMs = 50;

/** Repetitions of a candidate's dispatches in one pass, ready to run. */
interface Prepared {
  readonly commands: readonly {
    readonly pipeline: GPUComputePipeline;
    readonly bindGroup: GPUBindGroup;
    readonly workgroups: readonly [number, number];
  }[];
  readonly mostRepetitions: number;
  repetitions: number;
}

/**
 * @param candidates the dispatches of each, on handles that are their bindings' sizes in vec4f.
 * @throws GpuError if the memory for them is not to be had.
 */
export async function trialStopwatch(
  device: Device,
  candidates: readonly (readonly Dispatch<number>[])[],
): Promise<Stopwatch> {
  const own: { destroy(): void }[] = [];
  try {
    return await create(device, candidates, own);
  } catch (error) {
    for (const resource of own) resource.destroy();
    throw error;
  }
}

async function create(
  device: Device,
  candidates: readonly (readonly Dispatch<number>[])[],
  own: { destroy(): void }[],
): Promise<Stopwatch> {
  const { STORAGE, COPY_DST, COPY_SRC, UNIFORM, QUERY_RESOLVE } = GPUBufferUsage;
  const allocate = async (label: string, size: number, usage: GPUBufferUsageFlags) => {
    const buffer = await device.createBuffer(label, size, usage);
    own.push(buffer);
    return buffer;
  };
  // Candidates take turns, so they can share their memory.
  const sizes = new Map<string, number>();
  for (const { bindings } of candidates.flat()) {
    for (const [name, size] of Object.entries(bindings)) sizes.set(name, Math.max(size, sizes.get(name) ?? 0));
  }
  const buffers = new Map<string, GPUBuffer>();
  for (const [name, size] of sizes) buffers.set(name, await allocate(name, 16 * size, STORAGE));

  // Compiled side by side, for the time that it takes; what fails does so again where it is timed.
  await Promise.allSettled(candidates.flat().map(({ kernel }) => device.compile(kernel)));

  const prepared = new Map<number, Prepared>();
  const prepare = async (dispatches: readonly Dispatch<number>[]): Promise<Prepared> => {
    const params = await allocate("params", dispatches.length * paramsStride, UNIFORM | COPY_DST);
    const commands = [];
    for (const [i, dispatch] of dispatches.entries()) {
      const { kernel, bindings, workgroups } = dispatch;
      const packed = packParams(kernel, dispatch.params, workgroups, 0);
      device.gpu.queue.writeBuffer(params, i * paramsStride, packed);
      const { pipeline, layout } = await device.compile(kernel);
      const entries = [
        { binding: 0, resource: { buffer: params, offset: i * paramsStride, size: paramsStride } },
        ...bindingsOf(kernel).map(({ name }, b) => ({
          binding: b + 1,
          resource: { buffer: buffers.get(name)!, size: 16 * bindings[name]! },
        })),
      ];
      const bindGroup = await device.guard(kernel.name, () => device.gpu.createBindGroup({ layout, entries }));
      const folded = foldWorkgroups(workgroups, device.limits.maxComputeWorkgroupsPerDimension);
      commands.push({ pipeline, bindGroup, workgroups: folded });
    }
    const work = dispatches.reduce((sum, { operations }) => sum + operations, 0);
    const fitting = Math.max(1, Math.floor(operationsPerSubmit / work));
    return { commands, repetitions: 1, mostRepetitions: Math.min(mostRepetitions, fitting) };
  };

  const { hasTimestamps } = device;
  const querySet = hasTimestamps ? device.gpu.createQuerySet({ type: "timestamp", count: 2 }) : null;
  if (querySet) own.push(querySet);
  const resolved = querySet && (await allocate("timestamps", 16, QUERY_RESOLVE | COPY_SRC));

  /** Milliseconds of so many repetitions. */
  const run = async ({ commands, repetitions }: Prepared): Promise<number> => {
    const staging = resolved && device.createStaging(16);
    const start = performance.now();
    device.submit("tile trial", (encoder) => {
      const timestampWrites = querySet && { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
      const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
      for (let i = 0; i < repetitions; i++) {
        for (const { pipeline, bindGroup, workgroups } of commands) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, bindGroup);
          pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
        }
      }
      pass.end();
      if (!querySet || !resolved || !staging) return;
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16);
    });
    if (!staging) {
      await device.synchronize();
      return performance.now() - start;
    }
    try {
      const [begin, end] = new BigUint64Array(await device.map(staging, 16));
      return Number(end! - begin!) / 1e6;
    } finally {
      staging.destroy();
    }
  };

  let isAwake = false;
  return {
    async time(candidate) {
      let trial = prepared.get(candidate);
      if (!trial) {
        trial = await prepare(candidates[candidate]!);
        prepared.set(candidate, trial);
        await run(trial); // some drivers compile at the first dispatch
      }
      for (const start = performance.now(); !isAwake; isAwake = performance.now() - start > wakeMs) await run(trial);
      const least = hasTimestamps ? leastMs.timestamps : leastMs.clock;
      let ms = await run(trial);
      while (ms < least && 2 * trial.repetitions <= trial.mostRepetitions) {
        trial.repetitions *= 2;
        ms = await run(trial);
      }
      if (!(ms > 0)) throw new GpuError(`${candidates[candidate]![0]!.kernel.name}: the adapter gives no time for it`);
      return ms / 1000 / trial.repetitions;
    },
    destroy() {
      for (const resource of own) resource.destroy();
    },
  };
}
