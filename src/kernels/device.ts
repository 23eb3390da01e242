/**
 * The one place that talks to a GPUDevice: limits, buffers, pipelines, errors and waiting.
 */

import type { BoundsChecks } from "./bounds.ts";
import { TileChoices } from "./gemm/choices.ts";
import type { MatrixShape } from "./gemm/matrix.ts";
import { bindingsOf, type Kernel, moduleSource } from "./kernel.ts";
import { type ProfiledDispatch, Profiler } from "./profiler.ts";
import { texelLayout, texelTexture, texelTextureBytes } from "./texels.ts";
import { AlgorithmChoices } from "./winograd/choices.ts";

/** What differs between a page and Node, and between the drivers below Dawn. */
export interface Platform {
  readonly kind: "gpu" | "lavapipe" | "swiftshader" | "null" | "browser";
  /** One line for people: the adapter and its driver. */
  readonly description: string;
  /** Called between two polls while the GPU works; sleeps where the platform's own waiting would burn a core. */
  idle(): Promise<void>;
}

/** Work in one submit, in multiplications and additions: a desktop GPU resets after about 2 s in one submit. */
export const operationsPerSubmit = 2e10;

/** An error that WebGPU reported, with the name of the operation that caused it where it is known. */
export class GpuError extends Error {
  override name = "GpuError";
}

const wantedFeatures: GPUFeatureName[] = ["timestamp-query", "subgroups", "shader-f16"];

/** Newer than the type declarations, as what it says of sizes. */
const matrixFeature = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The largest shape of f16 matrices with sums in f32 whose sides are multiples of 4, as loads and stores are by four. */
function matrixShape(gpu: GPUDevice, info: GPUAdapterInfo): MatrixShape | null {
  if (![matrixFeature, "shader-f16", "subgroups"].every((feature) => gpu.features.has(feature))) return null;
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  return [...subgroupMatrixConfigs]
    .filter(({ componentType, resultComponentType }) => componentType === "f16" && resultComponentType === "f32")
    .map(({ M: m, N: n, K: k }) => ({ m, n, k }))
    .filter(({ m, n, k }) => [m, n, k].every((side) => side % 4 === 0 && 32 % side === 0))
    .reduce<MatrixShape | null>((best, shape) => (best && volume(best) >= volume(shape) ? best : shape), null);
}

const volume = ({ m, n, k }: MatrixShape) => m * n * k;

const wantedLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
  "maxTextureDimension2D",
] as const;

/** The limits that programs are planned by. */
export type Limits = Readonly<Record<(typeof wantedLimits)[number], number>>;

/** A kernel that was compiled for a device. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export class Device {
  readonly gpu: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  readonly platform: Platform;
  readonly limits: Limits;
  /** Lanes of a subgroup where the adapter has just one size, else null. */
  readonly subgroupSize: number | null;
  /** The shape of matrix that the adapter's matrix units multiply, f16 to f32, or null where there are none. */
  readonly subgroupMatrix: MatrixShape | null;
  /** Which tile each matrix product gets. */
  readonly tiles: TileChoices;
  /** By which algorithm each convolution is computed. */
  readonly algorithms: AlgorithmChoices;
  /** Set to have every access of the programs that are built from then on checked. */
  boundsChecks: BoundsChecks | null = null;
  #pipelines = new Map<string, Promise<CompiledKernel>>();
  #profiler: Profiler | null = null;
  #failure: GpuError | null = null;
  #allocated = 0;
  /** What was queued last. */
  #queued = "";

  private constructor(gpu: GPUDevice, adapterInfo: GPUAdapterInfo, platform: Platform, limits: Limits) {
    this.gpu = gpu;
    this.adapterInfo = adapterInfo;
    this.platform = platform;
    this.limits = limits;
    const { subgroupMinSize: least, subgroupMaxSize: most } = adapterInfo;
    this.subgroupSize = gpu.features.has("subgroups") && least === most && least >= 4 ? least : null;
    this.subgroupMatrix = this.subgroupSize === null ? null : matrixShape(gpu, adapterInfo);
    this.tiles = new TileChoices(this);
    this.algorithms = new AlgorithmChoices(this);
    gpu.addEventListener("uncapturederror", (event) => {
      this.#failure ??= new GpuError(event.error.message);
    });
    void gpu.lost.then((info) => {
      if (info.reason === "destroyed") return;
      const queued = this.#queued && `; last queued was ${this.#queued}`;
      this.#failure ??= new GpuError(`the GPU device was lost: ${info.message}${queued}`);
    });
  }

  /**
   * Opens a device with every feature and limit of the adapter that the kernels can use.
   * @param lower limits to keep to where the adapter would allow more, as if it were a smaller one.
   */
  static async request(adapter: GPUAdapter, platform: Platform, lower: Partial<Limits> = {}): Promise<Device> {
    const requiredFeatures = wantedFeatures.filter((feature) => adapter.features.has(feature));
    if (adapter.features.has(matrixFeature)) requiredFeatures.push(matrixFeature);
    const requiredLimits = Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]]));
    const gpu = await adapter.requestDevice({ label: "aenet", requiredFeatures, requiredLimits });
    const limits = wantedLimits.map((name) => [
      name,
      Math.min(gpu.limits[name], lower[name] ?? Number.POSITIVE_INFINITY),
    ]);
    return new Device(gpu, adapter.info, platform, Object.fromEntries(limits));
  }

  /** Bytes of all buffers and textures created through this object and not destroyed. */
  get allocatedBytes(): number {
    return this.#allocated;
  }

  /**
   * A buffer of `size` bytes, filled with zeros.
   * @throws GpuError when the size is beyond the adapter's limit or the memory is exhausted.
   */
  async createBuffer(label: string, size: number, usage: GPUBufferUsageFlags): Promise<GPUBuffer> {
    if (size > this.limits.maxBufferSize) {
      throw new GpuError(
        `${label}: ${size} bytes are more than the adapter allows in a buffer (${this.limits.maxBufferSize})`,
      );
    }
    const buffer = await this.guard(label, () => this.gpu.createBuffer({ label, size: Math.max(size, 16), usage }));
    return this.#count(buffer, buffer.size);
  }

  /** A texture for tensors of up to `bytes`. @throws GpuError when it is too large or the memory is exhausted. */
  async createTexels(label: string, bytes: number): Promise<GPUTexture> {
    const texture = await this.guard(label, () => this.gpu.createTexture({ label, ...texelTexture(bytes) }));
    return this.#count(texture, texelTextureBytes(texture));
  }

  /** A small buffer to read results from; should it not be valid, the next check says so. */
  createStaging(size: number): GPUBuffer {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return this.#count(this.gpu.createBuffer({ label: "staging", size, usage }), size);
  }

  /** Counts a resource's bytes until it is destroyed. */
  #count<T extends { destroy(): void }>(resource: T, bytes: number): T {
    this.#allocated += bytes;
    const destroy = resource.destroy.bind(resource);
    let live = true;
    resource.destroy = () => {
      if (live) this.#allocated -= bytes;
      live = false;
      return destroy();
    };
    return resource;
  }

  /** The pipeline of a kernel, compiled once for each device. */
  compile(kernel: Kernel): Promise<CompiledKernel> {
    const source = moduleSource(kernel, { integerDivision: this.platform.kind === "swiftshader" });
    let compiled = this.#pipelines.get(source);
    if (!compiled) {
      compiled = this.#compile(kernel, source);
      this.#pipelines.set(source, compiled);
    }
    return compiled;
  }

  /** Whether kernels may read and write f16. */
  get hasHalves(): boolean {
    return this.gpu.features.has("shader-f16");
  }

  /** Whether the adapter can say when a pass began and ended. */
  get hasTimestamps(): boolean {
    return this.gpu.features.has("timestamp-query");
  }

  /** Set while a profile is taken: programs then give every dispatch a pass with its timestamps. */
  get profiler(): Profiler | null {
    return this.#profiler;
  }

  /**
   * All dispatches that `run` queues, with the time of each where the adapter has timestamps.
   * @throws Error if a profile is being taken already.
   */
  async profile(run: () => unknown): Promise<ProfiledDispatch[]> {
    if (this.#profiler) throw new Error("a profile is being taken already");
    const profiler = new Profiler(this);
    this.#profiler = profiler;
    try {
      await run();
      return await profiler.read();
    } finally {
      this.#profiler = null;
      profiler.destroy();
    }
  }

  /** How many distinct pipelines were compiled so far. */
  get pipelineCount(): number {
    return this.#pipelines.size;
  }

  async #compile(kernel: Kernel, code: string): Promise<CompiledKernel> {
    return this.guard(kernel.name, async () => {
      const module = this.gpu.createShaderModule({ label: kernel.name, code });
      const layout = this.gpu.createBindGroupLayout({
        label: kernel.name,
        entries: [
          { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "uniform" } },
          ...bindingsOf(kernel).map(({ type, access }, i) => ({
            binding: i + 1,
            visibility: GPUShaderStage.COMPUTE,
            ...(type === "texels"
              ? { storageTexture: texelLayout }
              : { buffer: { type: access === "read" ? ("read-only-storage" as const) : ("storage" as const) } }),
          })),
        ],
      });
      const pipelineLayout = this.gpu.createPipelineLayout({ label: kernel.name, bindGroupLayouts: [layout] });
      const compute = { module, entryPoint: "main" };
      const descriptor = { label: kernel.name, layout: pipelineLayout, compute };
      try {
        return { layout, pipeline: await this.wait(this.gpu.createComputePipelineAsync(descriptor)) };
      } catch (error) {
        const { messages } = await module.getCompilationInfo();
        const lines = messages.map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
        throw new GpuError(`${kernel.name}: ${lines.join("\n") || (error as Error).message}`);
      }
    });
  }

  /** Runs `make` and turns a validation or out-of-memory error of it into a GpuError that names `label`. */
  async guard<T>(label: string, make: () => T | Promise<T>): Promise<T> {
    this.gpu.pushErrorScope("out-of-memory");
    this.gpu.pushErrorScope("validation");
    let result: T | undefined;
    let thrown: unknown;
    try {
      const value = make();
      // The scopes close before anything is awaited, so that concurrent calls cannot interleave theirs.
      const errors = [this.gpu.popErrorScope(), this.gpu.popErrorScope()];
      try {
        result = await value;
      } catch (error) {
        thrown = error;
      }
      for (const error of await this.wait(Promise.all(errors))) {
        if (error) throw new GpuError(`${label}: ${error.message}`);
      }
    } catch (error) {
      thrown ??= error;
    }
    if (thrown) {
      if (thrown instanceof GpuError) throw thrown;
      throw new GpuError(`${label}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
    return result as T;
  }

  /** Queues what `record` encodes; `label` names it in errors. */
  submit(label: string, record: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.gpu.createCommandEncoder({ label });
    record(encoder);
    this.gpu.queue.submit([encoder.finish()]);
    this.#queued = label;
  }

  /** The first `size` bytes of a staging buffer, mapped. @throws GpuError if anything queued before has failed. */
  async map(staging: GPUBuffer, size: number): Promise<ArrayBuffer> {
    try {
      await this.wait(staging.mapAsync(GPUMapMode.READ, 0, size));
    } catch (error) {
      await new Promise<void>((resolve) => setTimeout(resolve, 0)); // the loss of the device is told after this
      this.check();
      throw new GpuError(`${staging.label}: ${(error as Error).message}`);
    }
    this.check();
    return staging.getMappedRange(0, size);
  }

  /** @throws GpuError if the device was lost or an operation failed before. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /**
   * Waits for a promise of the GPU: a short spin for quick answers, then the platform's own idling.
   * (While a promise of dawn.node is pending Node's event loop spins; on two cores that halves a software driver.)
   */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const settled = () => {
      done = true;
    };
    promise.then(settled, settled);
    for (let turn = 0; turn < 4 && !done; turn++) await new Promise<void>((resolve) => setTimeout(resolve, 0));
    while (!done) await this.platform.idle();
    return promise;
  }

  /** Waits until all submitted work is done. @throws GpuError if any of it failed. */
  async synchronize(): Promise<void> {
    await this.wait(this.gpu.queue.onSubmittedWorkDone());
    this.check();
  }

  /** Frees everything of the device; whatever is asked of it afterwards is refused. */
  destroy(): void {
    this.#failure ??= new GpuError("the device was destroyed");
    this.gpu.destroy();
  }
}
