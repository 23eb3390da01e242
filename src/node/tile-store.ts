/** What was measured of matrix products, in the cache folder: a file for each adapter and driver. */
import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TileStore } from "../kernels/gemm/tuner.ts";
import { cacheFolder } from "./cache.ts";

/** Where the texts under a key lie. */
export function tileFile(key: string): string {
  return join(cacheFolder(), `tiles-${createHash("sha256").update(key).digest("hex").slice(0, 16)}.json`);
}

export const fileStore: TileStore = {
  async read(key) {
    try {
      return await readFile(tileFile(key), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  },

  /** Replaces the file in one instant, so that processes that start together never see a part of it. */
  async write(key, text) {
    const file = tileFile(key);
    const temporary = `${file}.${randomUUID()}`;
    try {
      await writeFile(temporary, text);
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
  },
};
