/**
 * Mesa's lavapipe: which version the system has, and whether Dawn takes it.
 */

import { readFileSync } from "node:fs";
import { driverLibrary, driverManifests, isLavapipeManifest } from "./icd.ts";

/** Dawn refuses Debian 12's 22.3 (no dynamic indexing of uniform arrays); the kernels were proven from 25.0 on. */
export const leastMesa = 25;

/** The version in a driver's description or library, such as "25.0.7" from "llvmpipe: Mesa 25.0.7-2 (LLVM 15.0.6)". */
export function mesaVersion(text: string): string | null {
  return /\bMesa (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1] ?? null;
}

export function isOldMesa(version: string): boolean {
  return Number.parseInt(version, 10) < leastMesa;
}

export function oldMesaReason(version: string): string {
  return `Mesa ${version} is too old, ${leastMesa} or newer is needed (Debian 12 has it in bookworm-backports)`;
}

/** The manifests of a lavapipe that may work, or why there is none. The version is null where no file tells it. */
export function findLavapipe(): { manifests: string[]; version: string | null } | { reason: string } {
  const manifests = driverManifests().filter(isLavapipeManifest);
  if (manifests.length === 0) {
    const listed = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
    return {
      reason:
        listed === undefined
          ? "not installed (Debian and Ubuntu: package mesa-vulkan-drivers)"
          : `VK_DRIVER_FILES or VK_ICD_FILENAMES hides it (${listed})`,
    };
  }
  const library = manifests.map(driverLibrary).find((path) => path !== null);
  const version = library ? mesaVersion(readFileSync(library, "latin1")) : null;
  return version && isOldMesa(version) ? { reason: oldMesaReason(version) } : { manifests, version };
}
