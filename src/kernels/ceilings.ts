/**
 * What the adapter can do at most, measured: multiplications and additions in registers, and copying. Kernels are
 * judged by their share of these, as times alone say nothing on a machine that is busy or changes its clock.
 */
import type { Device } from "./device.ts";
import { defineKernel, foldWorkgroups, packParams, paramsStride, unroll } from "./kernel.ts";

/** Independent sums in an invocation, enough to hide the latency of one. */
const accumulators = 12;
const unrolled = 64;
const turns = 16;
const lanes = 64;

/** a ← a·b + c, unrolled, in registers alone. */
const peakKernel = defineKernel({
  name: "peak",
  inputs: {},
  outputs: { result: "f32" },
  params: {},
  workgroupSize: lanes,
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let b = 0.999;
  let c = f32(lane) * 1e-6;
  ${unroll(accumulators, (i) => `var a${i} = f32(lane + ${i}u);`)}
  for (var turn = 0u; turn < ${turns}u; turn++) {
    ${unroll(unrolled, () => unroll(accumulators, (i) => `a${i} = fma(a${i}, b, c);`, " "))}
  }
  result[lane] = ${unroll(accumulators, (i) => `a${i}`, " + ")};
}`,
});
const operationsPerGroup = 2 * accumulators * unrolled * turns * lanes;

/** Sizes of the copies in bytes; the faster one counts. Smaller ones would measure the caches. */
const copySizes = [64 * 2 ** 20, 128 * 2 ** 20];

/** Work of a sample, in milliseconds: far above what a submit and the waiting for it cost. */
const sampleMs = 30;

export interface CeilingSample {
  /** Multiplications and additions a second, f32. */
  readonly operationsPerSecond: number;
  /** Bytes read and written a second by copyBufferToBuffer. */
  readonly bytesPerSecond: number;
}

/** Samples of both ceilings, to be taken between other measurements. */
export class Ceilings {
  readonly #device: Device;
  readonly #own: GPUBuffer[];
  readonly #peak: (groups: number) => void;
  readonly #copy: (size: number, count: number) => void;
  readonly #copySizes: readonly number[];
  #groups = 128;
  readonly #copies = new Map<number, number>();

  private constructor(fields: {
    device: Device;
    own: GPUBuffer[];
    peak: (groups: number) => void;
    copy: (size: number, count: number) => void;
    copySizes: readonly number[];
  }) {
    this.#device = fields.device;
    this.#own = fields.own;
    this.#peak = fields.peak;
    this.#copy = fields.copy;
    this.#copySizes = fields.copySizes;
  }

  static async create(device: Device): Promise<Ceilings> {
    const { STORAGE, COPY_DST, COPY_SRC, UNIFORM } = GPUBufferUsage;
    const allowed = copySizes.filter((size) => size <= device.limits.maxBufferSize);
    const largest = Math.max(...allowed);
    const source = await device.createBuffer("copy source", largest, COPY_SRC | COPY_DST);
    // Memory that was never written may be one page of zeros over and over.
    const noise = Uint32Array.from({ length: 2 ** 20 }, (_, i) => Math.imul(i, 0x9e3779b1));
    for (let at = 0; at < largest; at += noise.byteLength) device.gpu.queue.writeBuffer(source, at, noise);
    const target = await device.createBuffer("copy target", largest, COPY_SRC | COPY_DST);
    const result = await device.createBuffer("peak", 4 * lanes, STORAGE);
    const params = await device.createBuffer("peak params", paramsStride, UNIFORM | COPY_DST);
    const { pipeline, layout } = await device.compile(peakKernel);
    const resources = [params, result].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bindGroup = device.gpu.createBindGroup({ layout, entries: resources });
    const ceilings = new Ceilings({
      device,
      own: [source, target, result, params],
      copySizes: allowed,
      peak(groups) {
        device.gpu.queue.writeBuffer(params, 0, packParams(peakKernel, {}, groups, 0));
        device.submit("peak", (encoder) => {
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, bindGroup);
          pass.dispatchWorkgroups(...foldWorkgroups(groups, device.limits.maxComputeWorkgroupsPerDimension));
          pass.end();
        });
      },
      copy(size, count) {
        device.submit("copy", (encoder) => {
          for (let i = 0; i < count; i++) encoder.copyBufferToBuffer(source, 0, target, 0, size);
        });
      },
    });
    await ceilings.#calibrate();
    return ceilings;
  }

  async #calibrate(): Promise<void> {
    const { copy, peak } = { copy: this.#copy, peak: this.#peak };
    await this.#time(() => peak(this.#groups)); // compiles
    while ((await this.#time(() => peak(this.#groups))) < sampleMs && this.#groups < 2 ** 24) this.#groups *= 2;
    for (const size of this.#copySizes) {
      let count = 1;
      await this.#time(() => copy(size, count)); // touches the memory
      while ((await this.#time(() => copy(size, count))) < sampleMs && count < 1024) count *= 2;
      this.#copies.set(size, count);
    }
  }

  /** Milliseconds until what `queue` queued is done. */
  async #time(queue: () => void): Promise<number> {
    const start = performance.now();
    queue();
    await this.#device.synchronize();
    return performance.now() - start;
  }

  /** Both ceilings, now. Nothing else should be under way on the device. */
  async sample(): Promise<CeilingSample> {
    const peakMs = await this.#time(() => this.#peak(this.#groups));
    const rates: number[] = [];
    for (const [size, count] of this.#copies) {
      rates.push((2 * size * count * 1000) / (await this.#time(() => this.#copy(size, count))));
    }
    return {
      operationsPerSecond: (this.#groups * operationsPerGroup * 1000) / peakMs,
      bytesPerSecond: Math.max(...rates),
    };
  }

  destroy(): void {
    for (const buffer of this.#own) buffer.destroy();
  }
}
