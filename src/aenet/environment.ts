/** With what something was computed: this package, Node, the adapter. Node only. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Device } from "../kernels/device.ts";

export interface Environment {
  /** The package's. */
  readonly version: string;
  /** The sources' commit, with `-dirty` behind it where they had been changed since; null where none is known. */
  readonly commit: string | null;
  readonly node: string;
  readonly platform: string;
  readonly adapter: string;
}

export function environmentOf(device: Device): Environment {
  return {
    version: packageVersion(),
    commit: sourceCommit(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    adapter: device.platform.description,
  };
}

/** Environments that differ, each once. */
export function distinctEnvironments(environments: readonly Environment[]): Environment[] {
  return [...new Map(environments.map((environment) => [JSON.stringify(environment), environment])).values()];
}

/** The version in the package.json of this package. */
export function packageVersion(): string {
  const folder = ownFolder();
  if (folder === null) return "unknown";
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version ?? "unknown";
}

/** Written by the build: a bundle's sources are those of its build, whatever the checkout around it holds by now. */
declare const BUILD_COMMIT: string | null | undefined;

let commit: string | null | undefined;

function sourceCommit(): string | null {
  if (typeof BUILD_COMMIT !== "undefined") return BUILD_COMMIT;
  if (commit === undefined) commit = commitOf(ownFolder());
  return commit;
}

/** The commit of a checkout, if the folder is one; results that lie in it are no part of its sources. */
function commitOf(folder: string | null): string | null {
  if (folder === null || !existsSync(join(folder, ".git"))) return null;
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", folder, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return git("rev-parse", "HEAD") + (git("status", "--porcelain", "--", "src", "package-lock.json") ? "-dirty" : "");
  } catch {
    return null; // no git here
  }
}

/** Where this package lies: its package.json is above the sources and above the bundle, at different heights. */
function ownFolder(): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "aenet-webgpu") return folder;
    if (folder === dirname(folder)) return null;
  }
}
