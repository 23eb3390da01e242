/**
 * Vulkan drivers as the loader finds them: JSON manifests ("ICD files") in well-known folders.
 */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where drivers lie besides the loader's own folders: NVIDIA's in containers, and NixOS's. */
const extraFolders = [
  "/usr/local/nvidia/share/vulkan/icd.d",
  "/usr/local/nvidia/vulkan/icd.d",
  "/run/opengl-driver/share/vulkan/icd.d",
];

/** The folders that the loader searches, by the XDG rules, in its order. */
export function manifestFolders(env: Environment): string[] {
  const home = env.HOME || homedir();
  const roots = [
    env.XDG_CONFIG_HOME || join(home, ".config"),
    ...(env.XDG_CONFIG_DIRS || "/etc/xdg").split(":"),
    "/etc",
    env.XDG_DATA_HOME || join(home, ".local/share"),
    ...(env.XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":"),
  ];
  return [...new Set([...roots.filter(isAbsolute).map((root) => join(root, "vulkan/icd.d")), ...extraFolders])];
}

function manifestsIn(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => name.endsWith(".json"))
      .sort()
      .map((name) => join(path, name));
  } catch {
    return [];
  }
}

/** Every driver manifest that the loader would consider: VK_DRIVER_FILES alone where it is set, else the folders. */
export function driverManifests(env: Environment = process.env): string[] {
  const listed = env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES;
  const added = (env.VK_ADD_DRIVER_FILES ?? "").split(":").filter(Boolean);
  const paths = listed === undefined ? [...added, ...manifestFolders(env)] : listed.split(":").filter(Boolean);
  return [...new Set(paths.flatMap(manifestsIn))];
}

export function isLavapipeManifest(path: string): boolean {
  return /^lvp_icd.*\.json$/i.test(basename(path));
}

export function isSoftwareManifest(path: string): boolean {
  return isLavapipeManifest(path) || /swiftshader/i.test(basename(path));
}

/** The library that a manifest names, as a path that exists, or null where only the dynamic linker could tell. */
export function driverLibrary(manifest: string): string | null {
  let library: unknown;
  try {
    library = JSON.parse(readFileSync(manifest, "utf8"))?.ICD?.library_path;
  } catch {
    return null;
  }
  if (typeof library !== "string") return null;
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const candidates = library.includes("/")
    ? [resolve(dirname(manifest), library)]
    : [`/usr/lib/${triplet}`, "/usr/lib64", "/usr/lib", "/usr/local/lib"].map((folder) => join(folder, library));
  return candidates.find((path) => existsSync(path)) ?? null;
}
