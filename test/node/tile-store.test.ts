import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cacheFolder } from "../../src/node/cache.ts";
import { fileStore, tileFile } from "../../src/node/tile-store.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "aenet-tiles-test-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

test("a text is kept by its key, whole, and nothing else is left", async () => {
  expect(await fileStore.read("a")).toBeNull();
  await fileStore.write("a", "1");
  await fileStore.write("b", "2");
  await Promise.all(["3", "4"].map((text) => fileStore.write("a", text)));
  expect(["3", "4"]).toContain(await fileStore.read("a"));
  expect(await fileStore.read("b")).toBe("2");
  expect(readdirSync(cacheFolder())).toHaveLength(2);
  expect(tileFile("a").startsWith(join(home, "aenet-webgpu", "tiles-"))).toBe(true);
});

test("what cannot be read is an error, not an empty store", async () => {
  writeFileSync(tileFile("a"), "x");
  expect(await fileStore.read("a")).toBe("x");
  rmSync(tileFile("a"));
  const { mkdir } = await import("node:fs/promises");
  await mkdir(tileFile("a"));
  await expect(fileStore.read("a")).rejects.toThrow("EISDIR");
});
