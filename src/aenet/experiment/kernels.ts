/**
 * Kernels that are measured for an experiment, on an adapter that no table knows: `kernels.json` in its folder keeps what the
 * first process found, and all others take it, as two tiles may add in another order. Node only.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Device } from "../../kernels/device.ts";
import type { TuneOptions } from "../../node/index.ts";
import { replaceSharedFile } from "../durable-file.ts";
import { acquireLock, LockedError } from "../process-lock.ts";

/** As openDevice takes it: what is measured is kept in the folder, and all of it is measured at once. */
export function tuneIn(folder: string): TuneOptions {
  const file = join(folder, "kernels.json");
  const read = async (): Promise<Record<string, string>> =>
    existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : {};
  return {
    store: {
      read: async (adapter) => (await read())[adapter] ?? null,
      write: async (adapter, text) =>
        replaceSharedFile(file, `${JSON.stringify({ ...(await read()), [adapter]: text }, null, 1)}\n`),
    },
    // What was left for another time would be computed with other kernels then.
    budgetMs: Number.POSITIVE_INFINITY,
  };
}

/** Makes a device whose measurements are kept by {@link tuneIn} measure only while no other process of the folder does. */
export function measureAlone({ tiles }: Pick<Device, "tiles">, folder: string): void {
  const measure = tiles.tuner;
  if (!measure) return;
  tiles.tuner = async (classes) => {
    const release = await lock(join(folder, "kernels.lock"));
    try {
      return await measure(classes);
    } finally {
      release();
    }
  };
}

async function lock(path: string): Promise<() => void> {
  for (;;) {
    try {
      return acquireLock(path);
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      await sleep(200);
    }
  }
}
