/** Timestamps around every dispatch. */
import type { Device } from "./device.ts";

/** What a dispatch does, by name and number. */
export interface DispatchLabel {
  /** The operation that it belongs to: "layer1.0.conv1.conv2d backward". */
  readonly operation: string;
  readonly kernel: string;
  /** Multiplications and additions. */
  readonly operations: number;
  /** Bytes that must move: every bound range, once for being read and once for being written. */
  readonly bytes: number;
  /** Of a matrix product: what holds its operands ("subgroup", "shared", "register", "matrix"); null in all else. */
  readonly strategy: string | null;
}

export interface ProfiledDispatch extends DispatchLabel {
  /** When it began and ended, in nanoseconds of the device's clock; null where the adapter has no timestamps. */
  readonly time: { readonly begin: number; readonly end: number } | null;
}

export type PassTimestamps = Required<GPUComputePassTimestampWrites>;

/** Queries in a set: the most that WebGPU allows. */
const setSize = 4096;

/**
 * Collects the dispatches of what runs while it is the device's profiler. Each gets a pass of its own, because
 * timestamps are written at the borders of passes only: a profiled run is somewhat slower than one in few passes.
 */
export class Profiler {
  readonly #device: Device;
  readonly #isTimed: boolean;
  readonly #labels: DispatchLabel[] = [];
  readonly #sets: GPUQuerySet[] = [];

  constructor(device: Device) {
    this.#device = device;
    this.#isTimed = device.hasTimestamps;
  }

  /** What the pass of the next dispatch has to write. */
  next(label: DispatchLabel): PassTimestamps | undefined {
    const query = 2 * this.#labels.length;
    this.#labels.push(label);
    if (!this.#isTimed) return undefined;
    const index = query % setSize;
    if (index === 0) this.#sets.push(this.#device.gpu.createQuerySet({ type: "timestamp", count: setSize }));
    return { querySet: this.#sets.at(-1)!, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** The dispatches in their order; waits until they are done. */
  async read(): Promise<ProfiledDispatch[]> {
    const labels = this.#labels;
    if (!this.#isTimed || labels.length === 0) return labels.map((label) => ({ ...label, time: null }));
    const size = 16 * labels.length;
    const { QUERY_RESOLVE, COPY_SRC } = GPUBufferUsage;
    const resolved = await this.#device.createBuffer("timestamps", size, QUERY_RESOLVE | COPY_SRC);
    const staging = this.#device.createStaging(size);
    this.#device.submit("timestamps", (encoder) => {
      this.#sets.forEach((set, i) => {
        const count = Math.min(setSize, 2 * labels.length - i * setSize);
        encoder.resolveQuerySet(set, 0, count, resolved, 8 * i * setSize);
      });
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    });
    const stamps = new BigUint64Array(await this.#device.map(staging, size));
    const first = stamps[0]!;
    const at = (i: number) => Number(stamps[i]! - first);
    const dispatches = labels.map((label, i) => ({ ...label, time: { begin: at(2 * i), end: at(2 * i + 1) } }));
    resolved.destroy();
    staging.destroy();
    return dispatches;
  }

  destroy(): void {
    for (const set of this.#sets) set.destroy();
  }
}
