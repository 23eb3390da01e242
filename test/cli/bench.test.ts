import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runCommand as run } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tiny = ["--depth", "1,1,1,1", "--base-channels", "4", "--image-size", "32", "--batch-size", "2", "--steps", "3"];

it("bench step prints what the contract names, with a profile and a trace", async () => {
  const trace = join(folder, "step.json");
  const { code, out, err } = await run(["bench", "step", ...tiny, "--profile", "--trace", trace, "--json"]);
  expect({ code, out, err }).toMatchObject({ code: 0 });
  const report = JSON.parse(out);
  expect(report).toMatchObject({ arch: "aenet", batch_size: 2, image_size: 32, precision: "f32", steps: 3 });
  for (const name of ["ms_median", "images_per_s", "ms_encode", "dispatches", "pipelines", "gpu_bytes", "bytes"])
    expect([name, report[name] > 0]).toEqual([name, true]);
  expect(report.adapter).not.toBe("");
  expect(report.images_per_s).toBeCloseTo(2000 / report.ms_median, 6);
  const { by_kernel, by_kind, by_operation } = report.profile;
  for (const rows of [by_kernel, by_kind, by_operation]) {
    const sum = (key: string) => rows.reduce((total: number, row: Record<string, number>) => total + row[key]!, 0);
    expect([sum("dispatches"), sum("operations"), sum("bytes")]).toEqual([
      report.dispatches,
      report.operations,
      report.bytes,
    ]);
  }
  expect(by_kernel.find(({ name }: { name: string }) => name === "sgd")).toMatchObject({ strategy: null });
  expect(by_kind.find(({ name }: { name: string }) => name === "conv2d").strategy).toMatch(/subgroup|shared|register/);
  if (by_kernel[0].ms !== null) {
    const { traceEvents } = JSON.parse(readFileSync(trace, "utf8"));
    expect(traceEvents.filter(({ cat }: { cat: string }) => cat === "kernel")).toHaveLength(report.dispatches);
  }
});

it("bench step as tables", async () => {
  const { code, out } = await run(["bench", "step", ...tiny, "--profile", "--workers", "1"]);
  expect(code).toBe(0);
  for (const word of ["images", "ceilings", "kernel", "kind of operation", "timestamps"]) expect(out).toContain(word);
});

it.each([
  [["--arch", "vgg"], "--arch vgg"],
  [["--depth", "1,2"], "--depth 1,2"],
  [["--steps", "0"], "--steps"],
  [["--batch-size", "4", "--micro-batch", "3"], "--micro-batch 3"],
])("bench step %j is wrong usage", async (args, named) => {
  const { code, err } = await run(["bench", "step", ...args]);
  expect([code, err]).toEqual([2, expect.stringContaining(named)]);
});
