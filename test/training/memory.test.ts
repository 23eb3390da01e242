import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolder, tinyConfig, writeDataSet } from "./runs.ts";

const program = fileURLToPath(new URL("memory-child.ts", import.meta.url));

interface Reading {
  readonly step: number;
  readonly resident: number;
  readonly gpu: number;
}

/** Readings around steps 50 and 300 of a run in a process of its own. */
async function readings(leak: number): Promise<{ early: Reading[]; late: Reading[] }> {
  const folder = temporaryFolder();
  const data = await writeDataSet(folder, { train: 40, val: 4 }, { sound: true });
  const config = tinyConfig(data, { epochs: 100, maxSteps: 311, evalEvery: 2, checkpointEvery: 40 });
  // What the allocator keeps free in an arena for each thread, and V8 in the space for young objects, depends on the
  // machine's load and is some 10 of 280 MB; with one arena and a small space it is under 3.
  const flags = ["--expose-gc", "--max-semi-space-size=1", "--import", "tsx"];
  const env = { ...process.env, MALLOC_ARENA_MAX: "1", LEAK: String(leak) };
  const parameters = [...flags, program, join(folder, "run"), JSON.stringify(config)];
  const { stdout } = await promisify(execFile)(process.execPath, parameters, { env });
  const all = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Reading);
  const around = (step: number) => all.filter((reading) => Math.abs(reading.step - step) <= 10);
  expect([around(50).length, around(300).length]).toEqual([21, 21]);
  return { early: around(50), late: around(300) };
}

const median = (readings: Reading[]) => readings.map(({ resident }) => resident).sort((a, b) => a - b)[10]!;

let runs: { sound: Awaited<ReturnType<typeof readings>>; leaking: Awaited<ReturnType<typeof readings>> };
beforeAll(async () => {
  const [sound, leaking] = await Promise.all([readings(0), readings(100_000)]);
  runs = { sound, leaking };
});

it("memory at step 300 is that of step 50: resident within 3 %, the GPU's equal", () => {
  const { early, late } = runs.sound;
  expect(median(late) / median(early)).toBeLessThan(1.03);
  const bytes = new Set([...early, ...late].map(({ gpu }) => gpu));
  expect(bytes.size).toBe(1);
  expect([...bytes][0]).toBeGreaterThan(0);
});

it("and 100 kB that each step kept would be seen", () => {
  const { early, late } = runs.leaking;
  expect(median(late) / median(early)).toBeGreaterThan(1.03);
});
