/**
 * Proof that kernels stay within what is bound: a variant of a kernel that counts every access beyond. WebGPU clamps such
 * accesses silently; where that is turned off for speed (the toggle `disable_robustness`), they would touch foreign memory.
 */
import type { Device } from "./device.ts";
import { bindingsOf, type Kernel } from "./kernel.ts";

/** The name of the additional output: array<atomic<u32>>, a counter for each binding in the order of `bindingsOf`. */
const outOfRange = "outOfRange";

/** Bytes of a dispatch's counters, and the distance of two dispatches'. */
const countersSize = 64;
const countersStride = 256;

/** Accesses of a dispatch beyond a binding. */
export interface OutOfRange {
  readonly operation: string;
  readonly kernel: string;
  readonly binding: string;
  readonly count: number;
}

/** While it is a device's `boundsChecks`, programs are built of checked kernels, and their accesses beyond are counted here. */
export class BoundsChecks {
  readonly #device: Device;
  readonly #counters: GPUBuffer;
  readonly #dispatches: { operation: string; kernel: Kernel }[] = [];

  private constructor(device: Device, counters: GPUBuffer) {
    this.#device = device;
    this.#counters = counters;
  }

  /** Room for `dispatches` recorded dispatches. */
  static async create(device: Device, dispatches: number): Promise<BoundsChecks> {
    const { STORAGE, COPY_SRC } = GPUBufferUsage;
    const size = dispatches * countersStride;
    return new BoundsChecks(device, await device.createBuffer("accesses out of range", size, STORAGE | COPY_SRC));
  }

  /**
   * The kernel to run instead of `kernel`, and what to bind last.
   * @throws RangeError if there is no room for another dispatch.
   */
  check(operation: string, kernel: Kernel): { kernel: Kernel; resource: Required<GPUBufferBinding> } {
    const offset = this.#dispatches.length * countersStride;
    if (offset >= this.#counters.size) throw new RangeError("bounds checks: more dispatches than room was made for");
    this.#dispatches.push({ operation, kernel });
    return { kernel: withBoundsCheck(kernel), resource: { buffer: this.#counters, offset, size: countersSize } };
  }

  /** What was beyond in everything that was queued so far. */
  async found(): Promise<OutOfRange[]> {
    const { size } = this.#counters;
    const staging = this.#device.createStaging(size);
    try {
      this.#device.submit("reading counters", (encoder) =>
        encoder.copyBufferToBuffer(this.#counters, 0, staging, 0, size),
      );
      const counts = new Uint32Array(await this.#device.map(staging, size));
      return this.#dispatches.flatMap(({ operation, kernel }, i) =>
        bindingsOf(kernel).flatMap(({ name: binding }, b) => {
          const count = counts[(i * countersStride) / 4 + b]!;
          return count > 0 ? [{ operation, kernel: kernel.name, binding, count }] : [];
        }),
      );
    } finally {
      staging.destroy();
    }
  }

  destroy(): void {
    this.#counters.destroy();
  }
}

/**
 * The kernel with every `name[index]` and `load_name(index)` of a binding replaced by a checked one, which counts an index
 * beyond the array and then clamps it. All bindings have to be buffers; the last one is `outOfRange`.
 */
function withBoundsCheck(kernel: Kernel): Kernel {
  const bindings = bindingsOf(kernel);
  const checks = bindings.map(
    ({ name }, i) => /* wgsl */ `
fn within_${name}(i: u32) -> u32 {
  let count = arrayLength(&${name});
  if (i >= count) {
    atomicAdd(&${outOfRange}[${i}u], 1u);
  }
  return min(i, count - 1u);
}`,
  );
  const checked = bindings.reduce((wgsl, { name }) => checkAccesses(wgsl, name), kernel.wgsl);
  return {
    ...kernel,
    name: `${kernel.name}_checked`,
    outputs: { ...kernel.outputs, [outOfRange]: "atomic<u32>" },
    wgsl: `${checks.join("")}\n${checked}`,
  };
}

/** Replaces `name[index]` by `name[within_name(index)]`, and loads alike, in indices within indices too. */
function checkAccesses(wgsl: string, name: string): string {
  const access = new RegExp(`(?<![\\w.])(${name}\\[|load_${name}\\()`, "g");
  let result = "";
  let from = 0;
  for (let match = access.exec(wgsl); match; match = access.exec(wgsl)) {
    const start = access.lastIndex;
    const end = closingBracket(wgsl, start);
    result += `${wgsl.slice(from, start)}within_${name}(${checkAccesses(wgsl.slice(start, end), name)})`;
    from = end;
    access.lastIndex = end;
  }
  return result + wgsl.slice(from);
}

/** Where the bracket that was opened before `start` closes. */
function closingBracket(wgsl: string, start: number): number {
  let depth = 1;
  for (let i = start; i < wgsl.length; i++) {
    if ("[(".includes(wgsl[i]!)) depth++;
    else if ("])".includes(wgsl[i]!) && --depth === 0) return i;
  }
  throw new Error("a bracket is not closed");
}
