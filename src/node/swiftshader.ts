/**
 * SwiftShader, the software Vulkan driver that @sparticuz/chromium carries beside its browser: a driver and a Vulkan
 * loader for Linux on x64 that need neither root nor anything of the system's.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { cached } from "./cache.ts";
import { packageFolder } from "./package-folder.ts";
import { tarFiles } from "./tar.ts";

const manifest = "vk_swiftshader_icd.json";
const loader = "libvulkan.so.1";
const files = ["libvk_swiftshader.so", loader, manifest];

export interface SwiftShader {
  /** The unpacked folder, named by its contents. */
  readonly folder: string;
  /** The driver's manifest, for VK_DRIVER_FILES. */
  readonly manifest: string;
  /** A Vulkan loader, for systems without one. */
  readonly loader: string;
}

/** Why SwiftShader cannot be had here, or null. */
export function swiftShaderObstacle(platform: string = process.platform, arch: string = process.arch): string | null {
  if (platform === "linux" && arch === "x64") return null;
  return `its package has it for Linux on x64, and this is ${platform} on ${arch}`;
}

/** Unpacks SwiftShader into the cache, or finds it there. */
export function unpackSwiftShader(): SwiftShader {
  const packed = readFileSync(join(packageFolder("@sparticuz/chromium"), "bin", "swiftshader.tar.br"));
  const key = createHash("sha256").update(packed).digest("hex").slice(0, 16);
  const folder = cached(`swiftshader-${key}`, files, (target) => {
    const unpacked = tarFiles(brotliDecompressSync(packed));
    for (const file of files) {
      const contents = unpacked.get(file);
      if (!contents) throw new Error(`swiftshader.tar.br has no ${file}`);
      writeFileSync(join(target, file), contents, { mode: 0o755 });
    }
  });
  return { folder, manifest: join(folder, manifest), loader: join(folder, loader) };
}
