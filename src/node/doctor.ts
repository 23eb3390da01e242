/**
 * What this machine offers: the adapter taken, what was passed over and why, its features and limits.
 */

import { arch, availableParallelism, release } from "node:os";
import { firstAdapter } from "./adapter.ts";
import { cacheFolder } from "./cache.ts";
import { type AdapterChoice, AdapterError, type Attempt } from "./choice.ts";
import { loadDawn } from "./dawn.ts";
import { packageVersion } from "./package-folder.ts";

/** The limits that decide whether a training step fits, and which kernels can run. */
const limitNames = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "minStorageBufferOffsetAlignment",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** One shape of subgroup matrix product that the adapter offers. */
export interface SubgroupMatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

export interface AdapterReport {
  readonly kind: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** The driver's own words, with its version. */
  readonly driver: string;
  readonly software: boolean;
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<(typeof limitNames)[number], number>>;
  readonly subgroupMatrixConfigs: readonly SubgroupMatrixConfig[];
  /** null when a small kernel computed what it should, else what went wrong. */
  readonly computeError: string | null;
}

/** Plain data: it survives JSON unchanged. */
export interface DoctorReport {
  readonly ok: boolean;
  readonly node: string;
  readonly webgpu: string;
  readonly platform: string;
  readonly cores: number;
  readonly choice: AdapterChoice;
  readonly attempts: readonly Attempt[];
  readonly vulkanLoader: string | null;
  readonly cacheFolder: string | null;
  readonly adapter: AdapterReport | null;
  /** Why there is no adapter. */
  readonly error: string | null;
}

/** y = 3·x + 1 for 64 numbers. */
const probe = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  x[id.x] = 3.0 * x[id.x] + 1.0;
}`;

/** Runs the probe on a device of its own. Returns what went wrong, or null. */
async function probeError(adapter: GPUAdapter): Promise<string | null> {
  const device = await adapter.requestDevice();
  try {
    const size = 64 * 4;
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: probe });
    const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
    const x = device.createBuffer({
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    const result = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(
      x,
      0,
      Float32Array.from({ length: 64 }, (_, i) => i),
    );
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [{ binding: 0, resource: { buffer: x } }];
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(x, 0, result, 0, size);
    device.queue.submit([encoder.finish()]);
    const invalid = await device.popErrorScope();
    if (invalid) return invalid.message;
    await result.mapAsync(GPUMapMode.READ);
    const wrong = new Float32Array(result.getMappedRange().slice(0)).findIndex((y, i) => y !== 3 * i + 1);
    return wrong < 0 ? null : `a small kernel computed element ${wrong} wrongly`;
  } finally {
    device.destroy();
  }
}

async function reportAdapter(adapter: GPUAdapter, kind: string): Promise<AdapterReport> {
  const { info, limits } = adapter;
  // Newer than the type declarations.
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: readonly SubgroupMatrixConfig[] };
  return {
    kind,
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    driver: info.description,
    software: info.isFallbackAdapter,
    subgroupMinSize: info.subgroupMinSize,
    subgroupMaxSize: info.subgroupMaxSize,
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(limitNames.map((name) => [name, limits[name]])) as AdapterReport["limits"],
    subgroupMatrixConfigs: subgroupMatrixConfigs.map(({ componentType, resultComponentType, M, N, K }) => ({
      componentType,
      resultComponentType,
      M,
      N,
      K,
    })),
    computeError: await probeError(adapter),
  };
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Examines the machine as `openDevice` would for this choice. Never throws: what fails is in the report. */
export async function diagnose(choice: AdapterChoice = "auto"): Promise<DoctorReport> {
  let attempts: readonly Attempt[] = [];
  let adapter: AdapterReport | null = null;
  let error: string | null = null;
  try {
    const opened = await firstAdapter({ adapter: choice }, (found, { kind }) => reportAdapter(found, kind));
    adapter = opened.value;
    attempts = opened.attempts;
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof AdapterError) attempts = cause.attempts;
  }
  return {
    ok: adapter !== null && adapter.computeError === null,
    node: process.version,
    webgpu: orNull(() => packageVersion("webgpu")) ?? "not installed",
    platform: `${process.platform} ${arch()} ${release()}`,
    cores: availableParallelism(),
    choice,
    attempts,
    vulkanLoader: await loadDawn().then(
      ({ loader }) => loader,
      () => null,
    ),
    cacheFolder: orNull(cacheFolder),
    adapter,
    error,
  };
}

/** 134217728 as "128 MiB"; counts that are no round number of KiB as they are. */
function bytes(size: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${Number(size.toFixed(2))} ${units[unit]}`;
}

/** The report as lines for people. */
export function formatDoctor(report: DoctorReport): string {
  const { adapter } = report;
  const rows: [string, string][] = [
    ["node", `${report.node}, ${report.platform}, ${report.cores} cores`],
    ["webgpu", `${report.webgpu} (Dawn), Vulkan loader: ${report.vulkanLoader ?? "unknown"}`],
    ["cache", report.cacheFolder ?? "no folder can be written"],
    ["--adapter", report.choice],
    ...report.attempts.map(({ kind, taken, detail }): [string, string] => [
      `  ${kind}`,
      taken ? "taken" : `passed over: ${detail}`,
    ]),
  ];
  if (adapter) {
    const { limits } = adapter;
    const lanes = [...new Set([adapter.subgroupMinSize, adapter.subgroupMaxSize])].join(" to ");
    rows.push(
      ["adapter", [adapter.vendor, adapter.architecture, adapter.device].filter(Boolean).join(", ")],
      ["driver", adapter.driver || "unknown"],
      ["software", adapter.software ? "yes" : "no"],
      [
        "buffer",
        `${bytes(limits.maxBufferSize)}, of which a binding sees ${bytes(limits.maxStorageBufferBindingSize)}`,
      ],
      [
        "bindings",
        `${limits.maxStorageBuffersPerShaderStage} storage buffers, aligned to ${limits.minStorageBufferOffsetAlignment} bytes`,
      ],
      [
        "workgroup",
        `${limits.maxComputeInvocationsPerWorkgroup} invocations, ${bytes(limits.maxComputeWorkgroupStorageSize)}, ${limits.maxComputeWorkgroupsPerDimension} groups a dimension`,
      ],
      ["subgroup", `${lanes} lanes`],
      [
        "matrices",
        adapter.subgroupMatrixConfigs
          .map((c) => `${c.componentType} to ${c.resultComponentType} ${c.M}x${c.N}x${c.K}`)
          .join(", ") || "none",
      ],
      ["features", adapter.features.join(" ")],
      ["compute", adapter.computeError ? `FAILED: ${adapter.computeError}` : "works"],
    );
  }
  if (report.error) rows.push(["error", report.error.split("\n")[0]!]);
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}`).join("\n");
}
