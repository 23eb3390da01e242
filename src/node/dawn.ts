/**
 * Dawn, as the npm package `webgpu` has it, with a Vulkan loader beneath it.
 */

import { constants, copyFileSync, existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { cached } from "./cache.ts";
import { packageFolder, packageVersion } from "./package-folder.ts";
import { swiftShaderObstacle, unpackSwiftShader } from "./swiftshader.ts";

type DawnModule = typeof import("webgpu");

export interface Dawn {
  readonly module: DawnModule;
  /** The Vulkan loader: the system's, the one unpacked with SwiftShader, or none (also where Vulkan is not used). */
  readonly loader: "system" | "unpacked" | "none";
}

/** Whether the dynamic linker finds a Vulkan loader. */
function systemHasLoader(): boolean {
  try {
    process.dlopen({ exports: {} }, "libvulkan.so.1");
    return true;
  } catch (error) {
    // A library that loads is refused only afterwards, for being no addon.
    return error instanceof Error && error.message.includes("did not self-register");
  }
}

/**
 * The package's files copied to where a Vulkan loader lies beside dawn.node, the first place where Dawn looks for one.
 * The copy lies in a folder called node_modules so that bundlers and test runners leave it alone.
 */
function copyWithLoader(loader: string): string {
  const native = join("dist", `${process.platform}-${process.arch}`);
  const source = packageFolder("webgpu");
  const files = ["package.json", "index.js", join(native, "dawn.node")];
  const home = join("node_modules", "webgpu");
  // Published versions never change: version and the loader's hash name the contents.
  const name = `webgpu-${packageVersion("webgpu")}-${process.arch}-${basename(dirname(loader))}`;
  const wanted = [...files, join(native, basename(loader))].map((file) => join(home, file));
  const folder = cached(name, wanted, (target) => {
    mkdirSync(join(target, home, native), { recursive: true });
    for (const file of files) copyFileSync(join(source, file), join(target, home, file), constants.COPYFILE_FICLONE);
    copyFileSync(loader, join(target, home, native, basename(loader)));
  });
  return pathToFileURL(join(folder, home, "index.js")).href;
}

async function load(): Promise<Dawn> {
  let loader: Dawn["loader"] = "none";
  let specifier = "webgpu";
  if (process.platform === "linux") {
    // Mesa warns on stderr without one.
    if (!existsSync(process.env.XDG_RUNTIME_DIR ?? "")) process.env.XDG_RUNTIME_DIR = tmpdir();
    if (systemHasLoader()) {
      loader = "system";
    } else if (!swiftShaderObstacle()) {
      loader = "unpacked";
      specifier = copyWithLoader(unpackSwiftShader().loader);
    }
  }
  try {
    const module: DawnModule = await import(specifier);
    Object.assign(globalThis, module.globals);
    return { module, loader };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Dawn (npm package webgpu) does not load on ${process.platform} ${process.arch}: ${reason}`);
  }
}

let loaded: Promise<Dawn> | undefined;

/**
 * Loads Dawn once, and makes WebGPU's constants and classes (GPUBufferUsage, ...) global as they are in a page.
 * Nothing is loaded before the first call, so that programs which compute nothing start everywhere.
 */
export function loadDawn(): Promise<Dawn> {
  loaded ??= load();
  return loaded;
}

/** If an instance were collected while one of its devices lives, Dawn would abort the process. */
const instances: GPU[] = [];

export interface Toggles {
  readonly enable: readonly string[];
  readonly disable: readonly string[];
}

/**
 * A Dawn instance with one backend. One process can hold several, each with the drivers it was created with.
 * @param name a part of the adapter's name: it then offers the first that has it. Where none has, `requestAdapter` throws,
 *   and lists the adapters that there are.
 */
export async function createInstance(
  backend: "default" | "vulkan" | "null",
  toggles: Toggles,
  name?: string,
): Promise<GPU> {
  const { module } = await loadDawn();
  const flags = [
    ...(backend === "default" ? [] : [`backend=${backend}`]),
    ...(name ? [`adapter=${name}`] : []),
    ...(toggles.enable.length ? [`enable-dawn-features=${toggles.enable.join(",")}`] : []),
    ...(toggles.disable.length ? [`disable-dawn-features=${toggles.disable.join(",")}`] : []),
  ];
  const instance = module.create(flags);
  instances.push(instance);
  return instance;
}
