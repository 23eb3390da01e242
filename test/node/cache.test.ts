import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cached, cacheFolder } from "../../src/node/cache.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "aenet-cache-test-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
  mkdirSync(join(home, "tmp"));
  vi.stubEnv("TMPDIR", join(home, "tmp"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const fill = (text: string) => (folder: string) => {
  for (const file of ["a", "b"]) writeFileSync(join(folder, file), text);
};

test("files are made once, and made again when one is missing", () => {
  const folder = cached("key", ["a", "b"], fill("first"));
  expect(folder).toBe(join(home, "aenet-webgpu", "key"));
  cached("key", ["a", "b"], () => expect.unreachable());
  rmSync(join(folder, "b"));
  cached("key", ["a", "b"], fill("second"));
  expect(readFileSync(join(folder, "a"), "utf8")).toBe("second");
  expect(readdirSync(cacheFolder())).toEqual(["key"]);
});

test("a failed filling leaves nothing", () => {
  const broken = () => {
    throw new Error("disk full");
  };
  expect(() => cached("key", ["a"], broken)).toThrow("disk full");
  expect(readdirSync(cacheFolder())).toEqual([]);
});

test("who comes second takes what the first has made", () => {
  const folder = cached("key", ["a", "b"], (target) => {
    cached("key", ["a", "b"], fill("first"));
    fill("second")(target);
  });
  expect(readFileSync(join(folder, "a"), "utf8")).toBe("first");
  expect(readdirSync(cacheFolder())).toEqual(["key"]);
});

test("the folder is private, and one that others may write is not used", () => {
  expect(statSync(cacheFolder()).mode & 0o777).toBe(0o700);
  chmodSync(join(home, "aenet-webgpu"), 0o777);
  expect(cacheFolder().startsWith(join(home, "tmp", "aenet-webgpu-"))).toBe(true);
});

test("where the cache cannot be made, the temporary folder serves", () => {
  writeFileSync(join(home, "file"), "");
  vi.stubEnv("XDG_CACHE_HOME", join(home, "file"));
  expect(cacheFolder().startsWith(join(home, "tmp", "aenet-webgpu-"))).toBe(true);
});
