import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { AdapterError, type AdapterKind, diagnose, formatDoctor, openDevice } from "../../src/node/index.ts";
import { findLavapipe } from "../../src/node/lavapipe.ts";
import { swiftShaderObstacle } from "../../src/node/swiftshader.ts";
import { double } from "./support/double.ts";

const hasSwiftShader = swiftShaderObstacle() === null;
const hasLavapipe = process.platform === "linux" && "manifests" in findLavapipe();

interface Outcome {
  opened: { kind: AdapterKind; right: boolean }[];
  libraries: string[];
  runtimeDir: string;
}

const scratch = mkdtempSync(join(tmpdir(), "aenet-adapter-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

/** Runs support/open.ts in a process of its own; rejects unless that ends by itself with exit code 0. */
async function open(choices: string[], variables: Record<string, string | undefined> = {}): Promise<Outcome> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--expose-gc", "--import", "tsx", "test/node/support/open.ts", ...choices],
    { env: { ...process.env, ...variables }, timeout: 60_000 },
  );
  return JSON.parse(stdout);
}

test("an adapter opens by default and computes", async () => {
  const device = await openDevice({ robustness: false });
  expect(device.platform.description).not.toBe("");
  expect(await double(device, new Float32Array(128).fill(1.5))).toEqual(new Float32Array(128).fill(3));
});

test("a GPU asked for by name is named where it is not there, and no processor takes its place", async () => {
  vi.stubEnv("AENET_GPU", "no such card");
  await expect(openDevice()).rejects.toThrow(
    /^--adapter auto: no adapter could be opened\n {2}gpu was passed over: AENET_GPU=no such card: .*$/,
  );
});

describe.runIf(hasSwiftShader)("SwiftShader", () => {
  test("opens whatever the environment says of Vulkan drivers, and restores it", async () => {
    vi.stubEnv("VK_DRIVER_FILES", "/nonexistent.json");
    vi.stubEnv("VK_LOADER_DRIVERS_DISABLE", "*");
    const device = await openDevice({ adapter: "swiftshader" });
    expect(device.platform.kind).toBe("swiftshader");
    expect(await double(device, new Float32Array(64).fill(1))).toEqual(new Float32Array(64).fill(2));
    expect(process.env.VK_DRIVER_FILES).toBe("/nonexistent.json");
    expect(process.env.VK_ICD_FILENAMES).toBeUndefined();
  });

  test("needs no Vulkan of the system's: with an empty cache and without a loader the unpacked one serves", async () => {
    // The linker stops at the first file of the name, whatever is in it, as if there were no loader.
    const hidden = join(scratch, "hidden");
    mkdirSync(hidden);
    writeFileSync(join(hidden, "libvulkan.so.1"), "");
    const cache = join(scratch, "cache");
    const { opened, libraries } = await open(["auto"], {
      LD_LIBRARY_PATH: hidden,
      VK_DRIVER_FILES: "/nonexistent.json",
      XDG_CACHE_HOME: cache,
    });
    expect(opened).toEqual([{ kind: "swiftshader", right: true }]);
    expect(libraries.length).toBeGreaterThanOrEqual(3);
    expect(libraries.filter((path) => !path.startsWith(cache))).toEqual([]);
  });

  test("several processes may unpack it at once", async () => {
    const variables = { XDG_CACHE_HOME: join(scratch, "shared") };
    const outcomes = await Promise.all([1, 2, 3].map(() => open(["swiftshader"], variables)));
    for (const { opened } of outcomes) expect(opened).toEqual([{ kind: "swiftshader", right: true }]);
  });

  test("XDG_RUNTIME_DIR is an existing folder afterwards", async () => {
    expect((await open(["swiftshader"], { XDG_RUNTIME_DIR: undefined })).runtimeDir).toBe(tmpdir());
  });
});

describe.runIf(hasLavapipe)("lavapipe", () => {
  test("opens and computes", async () => {
    const device = await openDevice({ adapter: "lavapipe" });
    expect(device.platform.kind).toBe("lavapipe");
    expect(device.platform.description).toMatch(/llvmpipe.*Mesa \d+/);
    expect(await double(device, new Float32Array(64).fill(1))).toEqual(new Float32Array(64).fill(2));
  });

  test.runIf(hasSwiftShader)("lives beside SwiftShader in one process, which ends by itself", async () => {
    const { opened } = await open(["lavapipe", "swiftshader", "lavapipe"]);
    expect(opened).toEqual([
      { kind: "lavapipe", right: true },
      { kind: "swiftshader", right: true },
      { kind: "lavapipe", right: true },
    ]);
  });
});

describe.runIf(process.platform === "linux")("a kind that cannot be had", () => {
  test("lavapipe hidden by the environment", async () => {
    vi.stubEnv("VK_DRIVER_FILES", "/nonexistent.json");
    const failure = openDevice({ adapter: "lavapipe" });
    await expect(failure).rejects.toBeInstanceOf(AdapterError);
    await expect(failure).rejects.toThrow(/^--adapter lavapipe: .*\n {2}lavapipe was passed over: VK_DRIVER_FILES/);
  });

  test("an old lavapipe is named by its version without being loaded", async () => {
    writeFileSync(join(scratch, "libvulkan_lvp.so"), "\0Mesa 22.3.6 (LLVM 15.0.6)\0");
    const manifest = join(scratch, "lvp_icd.json");
    writeFileSync(manifest, JSON.stringify({ ICD: { library_path: "./libvulkan_lvp.so", api_version: "1.3.230" } }));
    vi.stubEnv("VK_DRIVER_FILES", manifest);
    await expect(openDevice({ adapter: "lavapipe" })).rejects.toThrow("Mesa 22.3.6 is too old, 25 or newer is needed");
  });

  test("gpu takes no software driver", async () => {
    vi.stubEnv("VK_DRIVER_FILES", join(scratch, "lvp_icd.json"));
    writeFileSync(join(scratch, "lvp_icd.json"), "{}");
    await expect(openDevice({ adapter: "gpu" })).rejects.toThrow(
      /gpu was passed over: .*no Vulkan driver of a GPU is installed \(drivers found: only lvp_icd\.json\)/,
    );
  });
});

test("the doctor's report is plain data, computes, and reads as lines", async () => {
  const report = await diagnose("auto");
  expect(report).toMatchObject({ ok: true, choice: "auto", webgpu: "0.6.2", error: null });
  expect(report.adapter).toMatchObject({ computeError: null });
  expect(report.adapter!.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(128 * 1024 * 1024);
  expect(report.attempts.at(-1)).toMatchObject({ taken: true, kind: report.adapter!.kind });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  expect(formatDoctor(report)).toMatch(/^compute +works$/m);
});

test.runIf(process.platform === "linux")("the doctor tells of a failure without throwing", async () => {
  vi.stubEnv("VK_DRIVER_FILES", "/nonexistent.json");
  const report = await diagnose("lavapipe");
  expect(report).toMatchObject({ ok: false, adapter: null, attempts: [{ kind: "lavapipe", taken: false }] });
  expect(formatDoctor(report)).toMatch(/passed over: .*\nerror +--adapter lavapipe: no adapter could be opened$/);
});
