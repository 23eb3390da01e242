/**
 * From a choice to an open device: a GPU, else Mesa's lavapipe, else the embedded SwiftShader.
 */

import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { Device, type Platform } from "../kernels/device.ts";
import { createTuner, type TunerOptions } from "../kernels/gemm/tuner.ts";
import { type AdapterChoice, AdapterError, type AdapterKind, type Attempt, kindsOf } from "./choice.ts";
import { createInstance, loadDawn, type Toggles } from "./dawn.ts";
import { withEnvironment } from "./environment.ts";
import { driverManifests, isSoftwareManifest } from "./icd.ts";
import { idle } from "./idle.ts";
import { findLavapipe, isOldMesa, mesaVersion, oldMesaReason } from "./lavapipe.ts";
import { swiftShaderObstacle, unpackSwiftShader } from "./swiftshader.ts";
import { fileStore } from "./tile-store.ts";

/** How matrix products are measured, where the defaults (the device, its clock, the cache folder) are not wanted. */
export interface TuneOptions extends Partial<TunerOptions> {
  /** Measures although the table knows the adapter. */
  readonly ignoreTable?: boolean;
}

export interface DeviceOptions {
  /** Default: auto. */
  readonly adapter?: AdapterChoice;
  /** Dawn toggles to enable beside the defaults. */
  readonly toggles?: readonly string[];
  /**
   * Whether indices beyond a binding are clamped, as WebGPU demands. The kernels of this project need it not
   * (test/kernels/bounds.test.ts) and are faster without. Default true, for other kernels' sake.
   */
  readonly robustness?: boolean;
  /** Whether the kernels of matrix products are chosen by measuring where no table knows the adapter. Default true. */
  readonly tune?: boolean | TuneOptions | undefined;
  /** Takes a line for people: that something is measured, that what was kept of it is damaged. */
  readonly note?: ((line: string) => void) | undefined;
}

/** Why a kind of adapter is passed over. */
class PassedOver extends Error {}

/** A part of the name of the GPU to take, where a machine has several; else Dawn takes its first. */
const wantedGpu = (): string | undefined => process.env.AENET_GPU || undefined;

/** Timestamps are otherwise rounded to 65,536 ns. */
const disabledToggles = ["timestamp_quantization"];

/** Subgroup matrices, and f16 on NVIDIA's Vulkan driver. */
const gpuToggles = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia"];

/** Names in /dev and /dev/dri by which Linux shows a GPU; a mere display has no render node. */
export function isGpuNode(name: string): boolean {
  return /^(renderD\d+|nvidia\d+|nvidiactl|dxg|kgsl-3d\d+|mali\d+|nvhost-gpu|nvgpu|pvr.*)$/.test(name);
}

function gpuNodes(): string[] {
  const list = (folder: string) => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  return [...list("/dev"), ...list("/dev/dri")].filter(isGpuNode);
}

/** Variables under which the Vulkan loader sees these drivers and no others, whatever its age. */
function onlyDrivers(manifests: readonly string[]): Record<string, string | undefined> {
  const list = manifests.join(":");
  return {
    VK_DRIVER_FILES: list,
    VK_ICD_FILENAMES: list,
    VK_ADD_DRIVER_FILES: undefined,
    VK_LOADER_DRIVERS_SELECT: undefined,
    VK_LOADER_DRIVERS_DISABLE: undefined,
  };
}

/** An adapter in one line: vendor, architecture, device and driver. */
export function describeAdapter(info: GPUAdapterInfo): string {
  const name = [info.vendor, info.architecture, info.device].filter(Boolean).join(" ");
  return info.description ? `${name} (${info.description})` : name;
}

async function requestGpu(toggles: Toggles, mayLook: boolean): Promise<GPUAdapter> {
  const linux = process.platform === "linux";
  let environment: Record<string, string | undefined> = {};
  if (linux) {
    const nodes = gpuNodes();
    if (!mayLook && nodes.length === 0) {
      throw new PassedOver("no GPU shows in /dev (--adapter gpu tries nevertheless)");
    }
    const manifests = driverManifests();
    const drivers = manifests.filter((path) => !isSoftwareManifest(path));
    if (drivers.length === 0) {
      const found = manifests.length ? `only ${manifests.map((path) => basename(path)).join(", ")}` : "none";
      const shown = nodes.length ? `/dev has ${nodes.join(", ")}, but ` : "";
      throw new PassedOver(`${shown}no Vulkan driver of a GPU is installed (drivers found: ${found})`);
    }
    environment = { VK_DRIVER_FILES: drivers.join(":"), VK_ICD_FILENAMES: drivers.join(":") };
  }
  const all = { ...toggles, enable: [...gpuToggles, ...toggles.enable] };
  const adapter = await withEnvironment(environment, async () => {
    const instance = await createInstance(linux ? "vulkan" : "default", all, wantedGpu());
    return instance.requestAdapter({ powerPreference: "high-performance" });
  });
  if (!adapter) throw new PassedOver("its drivers offer no adapter that Dawn accepts");
  return adapter;
}

async function requestSoftware(name: string, manifests: readonly string[], toggles: Toggles): Promise<GPUAdapter> {
  const { loader } = await loadDawn();
  if (loader === "none") throw new PassedOver("no Vulkan loader (libvulkan.so.1) is installed");
  const adapter = await withEnvironment(onlyDrivers(manifests), async () => {
    const instance = await createInstance("vulkan", toggles);
    return instance.requestAdapter();
  });
  if (!adapter) throw new PassedOver(`${name} (${manifests.join(", ")}) was refused by the Vulkan loader or by Dawn`);
  return adapter;
}

async function requestLavapipe(toggles: Toggles): Promise<GPUAdapter> {
  if (process.platform !== "linux") throw new PassedOver(`it is used on Linux only, and this is ${process.platform}`);
  const found = findLavapipe();
  if ("reason" in found) throw new PassedOver(found.reason);
  const adapter = await requestSoftware(`Mesa ${found.version ?? "(version unknown)"}`, found.manifests, toggles);
  const version = mesaVersion(adapter.info.description);
  if (version && isOldMesa(version)) throw new PassedOver(oldMesaReason(version));
  return adapter;
}

async function requestSwiftShader(toggles: Toggles): Promise<GPUAdapter> {
  const obstacle = swiftShaderObstacle();
  if (obstacle) throw new PassedOver(obstacle);
  return requestSoftware("SwiftShader", [unpackSwiftShader().manifest], toggles);
}

async function requestAdapter(kind: AdapterKind, choice: AdapterChoice, toggles: Toggles): Promise<GPUAdapter> {
  if (kind === "lavapipe") return requestLavapipe(toggles);
  if (kind === "swiftshader") return requestSwiftShader(toggles);
  const adapter = await requestGpu(toggles, choice === "gpu");
  // Elsewhere than on Linux there is nothing to fall back to, so auto takes what Dawn has.
  const mayBeSoftware = choice === "auto" && process.platform !== "linux";
  if (adapter.info.isFallbackAdapter && !mayBeSoftware) {
    throw new PassedOver(`there is only a software adapter: ${describeAdapter(adapter.info)}`);
  }
  return adapter;
}

export interface Opened<T> {
  readonly value: T;
  readonly attempts: readonly Attempt[];
}

/**
 * Tries the kinds that a choice stands for and gives the first adapter on which `open` succeeds.
 * @throws AdapterError with every attempt and its reason.
 */
export async function firstAdapter<T>(
  { adapter: choice = "auto", toggles = [], robustness = true }: DeviceOptions,
  open: (adapter: GPUAdapter, platform: Platform) => Promise<T>,
): Promise<Opened<T>> {
  await loadDawn();
  const enable = [...toggles, ...(robustness ? [] : ["disable_robustness"])];
  const attempts: Attempt[] = [];
  for (const kind of kindsOf(choice, wantedGpu())) {
    try {
      const adapter = await requestAdapter(kind, choice, { enable, disable: disabledToggles });
      const description = describeAdapter(adapter.info);
      const value = await open(adapter, { kind, description, idle });
      attempts.push({ kind, taken: true, detail: description });
      return { value, attempts };
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).trim().replace(/\s*\n\s*/g, " ");
      const named = kind === "gpu" && wantedGpu() !== undefined ? `AENET_GPU=${wantedGpu()}: ` : "";
      attempts.push({ kind, taken: false, detail: `${named}${reason}` });
    }
  }
  throw new AdapterError(choice, attempts);
}

/**
 * Opens a device of the chosen kind of adapter.
 * @throws AdapterError when none opens, with what was tried and why each was passed over.
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  const device = (await firstAdapter(options, (adapter, platform) => Device.request(adapter, platform))).value;
  const { tune = true, note } = options;
  if (tune !== false) {
    const { ignoreTable = false, ...more } = tune === true ? {} : tune;
    device.tiles.usesTable = !ignoreTable;
    device.tiles.tuner = createTuner(device, { store: fileStore, ...(note && { note }), ...more });
  }
  return device;
}

/** A device of Dawn's null backend: it compiles every WGSL, with every feature, and computes nothing. */
export async function openNullDevice(): Promise<Device> {
  const instance = await createInstance("null", { enable: ["allow_unsafe_apis"], disable: [] });
  const adapter = await instance.requestAdapter();
  if (!adapter) throw new Error("Dawn has no null backend");
  return Device.request(adapter, { kind: "null", description: describeAdapter(adapter.info) || "null", idle });
}
