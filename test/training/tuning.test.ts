/** Kernels that were measured are a part of the run: with a measurement that is not real, on whatever adapter there is. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { resumeTraining, train } from "../../src/aenet/training/train.ts";
import { memoryStore } from "../../src/kernels/index.ts";
import type { TuneOptions } from "../../src/node/index.ts";
import { differingOutcomes, temporaryFolder, tinyConfig, writeDataSet } from "./runs.ts";
import { settings } from "./settings.ts";

const folder = temporaryFolder();
let data: string;
beforeAll(async () => {
  data = await writeDataSet(folder, { train: 8, val: 3 }, { sound: true });
});

/** As on an adapter that no table knows, where the first candidate is the fastest, or the last. */
function measuring(fastest: "first" | "last"): TuneOptions & { timed: number } {
  const options = {
    timed: 0,
    ignoreTable: true,
    store: memoryStore(),
    now: () => 0,
    stopwatch: async () => {
      options.timed++;
      return { time: async (i: number) => (fastest === "first" ? i + 1 : 100 - i), destroy() {} };
    },
  };
  return options;
}

interface Written {
  kernels: {
    platform: string;
    adapter?: string;
    subgroupSize: number | null;
    tiles?: Record<string, string>;
    algorithms?: Record<string, string>;
  };
}
const configOf = (path: string): Written => JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as Written;
const tilesOf = (path: string) => new Set(Object.values(configOf(path).kernels.tiles ?? {}));

const config = () => tinyConfig(data, { maxSteps: 3 });
const newRun = (name: string) => ({ path: join(folder, name), overwrite: false });

describe("a run's kernels", () => {
  const whole = join(folder, "whole");

  it("are measured before it begins, and recorded with it", async () => {
    const tune = measuring("last");
    await train(config(), newRun("whole"), settings({ tune }));
    expect(tune.timed).toBeGreaterThan(5);
    expect(tilesOf(whole).size).toBeGreaterThan(0);
    // Forward in training and in validation, which has batches of the same size; both gradients. The image has three
    // channels, and the network is as narrow within.
    const kinds = Object.keys(configOf(whole).kernels.tiles!).map((name) => name.split(" ")[0]!);
    expect([...new Set(kinds)].sort()).toEqual([
      "conv2d_forward",
      "conv2d_forward_narrow",
      "conv2d_forward_narrow3",
      "conv2d_input_gradient",
      "conv2d_weight_gradient",
    ]);
  });

  it("are others where something else was measured, and give other bits", async () => {
    await train(config(), newRun("other"), settings({ tune: measuring("first") }));
    expect(tilesOf(join(folder, "other"))).not.toEqual(tilesOf(whole));
    expect(differingOutcomes(join(folder, "other"), whole)).not.toEqual([]);
  });

  it("stay what they were when it is resumed, whatever would be measured then", async () => {
    const path = join(folder, "stopped");
    await train({ ...config(), maxSteps: 1 }, newRun("stopped"), settings({ tune: measuring("last") }));
    const recorded = configOf(path).kernels;
    const other = measuring("first");
    await resumeTraining(path, { maxSteps: 2 }, settings({ tune: other }));
    expect(other.timed).toBe(0);
    await resumeTraining(path, { maxSteps: 3 }, settings({ tune: false }));
    expect(configOf(path).kernels).toEqual(recorded);
    expect(differingOutcomes(path, whole)).toEqual([]);
  });

  it("include each convolution's algorithm, which a resumed run keeps whatever the rule says", async () => {
    const path = join(folder, "algorithms");
    await train({ ...config(), maxSteps: 1 }, newRun("algorithms"), settings({ tune: measuring("last") }));
    const written = configOf(path);
    const names = Object.keys(written.kernels.algorithms!);
    const products = names.map((name) => /^conv2d (\D+) \d/.exec(name)?.[1]);
    expect(new Set(products)).toEqual(new Set(["forward", "input gradient", "weight gradient"]));
    expect(new Set(Object.values(written.kernels.algorithms!))).toEqual(new Set(["direct"])); // so small are its images

    const algorithms = Object.fromEntries(names.map((name) => [name, "winograd"]));
    writeFileSync(
      join(path, "config.json"),
      JSON.stringify({ ...written, kernels: { ...written.kernels, algorithms } }),
    );
    const messages: string[] = [];
    const events = { onMessage: (line: string) => messages.push(line) };
    await resumeTraining(path, { maxSteps: 3 }, settings({ tune: false }), events);
    expect(messages.filter((line) => line.startsWith("note: "))).toEqual([]);
    expect(configOf(path).kernels.algorithms).toEqual(algorithms);
    expect(differingOutcomes(path, whole)).not.toEqual([]);
  });

  it("are the table's where it knows the adapter, and without tuning", async () => {
    const tune = { ...measuring("last"), ignoreTable: false };
    const messages: string[] = [];
    const run = (name: string, more: Parameters<typeof settings>[0]) =>
      train({ ...config(), maxSteps: 1 }, newRun(name), settings(more), { onMessage: (line) => messages.push(line) });
    await run("table", { tune });
    await run("untuned", { tune: false });
    if (configOf(join(folder, "table")).kernels.platform !== "gpu") {
      expect(configOf(join(folder, "table")).kernels).toEqual(configOf(join(folder, "untuned")).kernels);
      expect(messages.filter((line) => line.startsWith("measuring"))).toEqual([]);
    }
  });

  it("that this version or adapter does not have are told, and replaced in the record", async () => {
    const path = join(folder, "untuned");
    const before = configOf(path);
    const resume = async (kernels: Written["kernels"], maxSteps: number) => {
      writeFileSync(join(path, "config.json"), JSON.stringify({ ...before, kernels }));
      const messages: string[] = [];
      await resumeTraining(path, { maxSteps }, settings({ tune: false }), { onMessage: (line) => messages.push(line) });
      expect(configOf(path).kernels).toEqual(before.kernels);
      return messages.filter((line) => line.startsWith("note: "));
    };
    const [name] = Object.keys(before.kernels.tiles!);
    const end = "the run goes on, but not to the same bits";
    expect(await resume({ ...before.kernels, tiles: { [name!]: "shared rows=3" } }, 2)).toEqual([
      `note: the kernel shared rows=3 is not there any more; ${end}`,
    ]);
    expect(await resume({ ...before.kernels, platform: "quantum" }, 3)).toEqual([
      `note: another adapter than before; ${end}`,
    ]);
    const [product] = Object.keys(before.kernels.algorithms!);
    expect(await resume({ ...before.kernels, algorithms: { [product!]: "fourier" } }, 4)).toEqual([
      `note: the kernel fourier is not there any more; ${end}`,
    ]);
    const { adapter, ...withoutAdapter } = before.kernels;
    expect(await resume({ ...before.kernels, adapter: "acme, card" }, 5)).toEqual([
      `note: another adapter or driver than before (acme, card; now ${adapter}); ${end}`,
    ]);
    // Runs from before adapters, algorithms and tiles were recorded.
    expect(await resume(withoutAdapter, 6)).toEqual([]);
    const { algorithms: _, ...former } = withoutAdapter;
    expect(await resume(former, 7)).toEqual([]);
    const { tiles: __, ...older } = former;
    expect(await resume(older, 8)).toEqual([]);
  });
});
