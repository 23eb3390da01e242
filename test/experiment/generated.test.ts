import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test, vi } from "vitest";
import { readFrozen } from "../../src/aenet/experiment/frozen.ts";
import { registeredProtocol } from "../../src/aenet/experiment/generated/protocol.ts";
import { listGenerated, runGenerated } from "../../src/aenet/experiment/generated/run.ts";
import { methods } from "../../src/aenet/experiment/methods.ts";
import { readExperiment } from "../../src/aenet/experiment/results.ts";
import { seedOf } from "../../src/aenet/experiment/streams.ts";
import { settings, tinyProtocol } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-experiment-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The folder whose frozen.json has to be there before a test scene of a final seed is drawn. */
let guarded: string | null = null;
const finalScenes = new Set([0, 1].map((index) => seedOf(tinyProtocol.seed, "scenes", "seed", index, "target")));
let testScenesRead = 0;

vi.mock("../../src/aenet/experiment/generated/scenes.ts", async (original) => {
  const scenes = await original<typeof import("../../src/aenet/experiment/generated/scenes.ts")>();
  const sceneSet: typeof scenes.sceneSet = (seed, counts, size) => {
    const set = scenes.sceneSet(seed, counts, size);
    const read = (row: number) => {
      if (finalScenes.has(seed) && row >= counts.train + counts.val) {
        testScenesRead++;
        if (guarded && !existsSync(join(guarded, "frozen.json")))
          throw new Error("a test scene was read before freezing");
      }
      return set.images.read(row);
    };
    return { ...set, images: { ...set.images, read } };
  };
  return { ...scenes, sceneSet };
});

const run = (out: string, more: { again?: boolean; signal?: AbortSignal; onProgress?: () => void } = {}) =>
  runGenerated(
    { protocol: tinyProtocol, out, again: more.again ?? false },
    settings(more.signal),
    more.onProgress ? { onProgress: more.onProgress } : {},
  );

/** What must not depend on how the list was worked off. */
function contentsOf(out: string): Record<string, string> {
  const files = readdirSync(join(out, "results")).map((name) => join("results", name));
  const contents = Object.fromEntries(
    [...files, "frozen.json", "experiment.json"].sort().map((name) => [name, readFileSync(join(out, name), "utf8")]),
  );
  // A commit that was made while this runs is another environment, and no other result.
  const { trained_with: _, ...frozen } = JSON.parse(contents["frozen.json"]!);
  return { ...contents, "frozen.json": JSON.stringify(frozen) };
}

describe("the experiment on generated scenes", () => {
  const whole = join(root, "whole");

  test("nothing of a final seed is trained before choose and pilot, nothing is tested before freeze", () => {
    const jobs = new Map(listGenerated(registeredProtocol).map((job) => [job.id, job]));
    const behind = (id: string) => {
      const found = new Set(jobs.get(id)!.needs);
      for (const needed of found) for (const further of jobs.get(needed)!.needs) found.add(further); // grows meanwhile
      return [...found];
    };
    const final = [...jobs.keys()].filter((id) => id.startsWith("seed-"));
    expect(final.filter((id) => id.includes("/pretrain-")).length).toBeGreaterThan(0);
    for (const id of final) {
      expect([id, ...behind(id)]).toEqual(expect.arrayContaining(["choose", "pilot"]));
      if (id.includes("/test/")) expect([id, ...jobs.get(id)!.needs]).toContain("freeze");
    }
    for (const id of behind("choose")) expect(id).toMatch(/^pilot-/);
  });

  test("runs from pilot to results, and draws no test scene before frozen.json stands", {
    timeout: 600_000,
  }, async () => {
    guarded = whole;
    const { failed, left, reading } = await run(whole);
    guarded = null;
    expect(failed).toEqual([]);
    expect([left, reading]).toEqual([0, 1]);
    expect(testScenesRead).toBeGreaterThan(0); // the guard is where it sees them
    const { experiment, results } = await readExperiment(whole);
    expect(experiment.pilot).toHaveLength(4);
    expect(experiment.primary).toHaveLength(4);
    // Every method once, the three of the primary family and the references twice.
    expect(results).toHaveLength(methods.length + 3 + 2 * 2);
    const aenet = results.find(({ method }) => method === "aenet")!;
    expect(aenet.settings).toMatchObject({ halvings: 0, pretraining_halvings: 0 });
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    const told = { version, node: process.version, adapter: expect.stringMatching(/./) };
    expect((await readFrozen(whole)).trained_with).toEqual([expect.objectContaining(told)]);
    // experiment.json follows from what is done, should it be lost.
    const described = readFileSync(join(whole, "experiment.json"), "utf8");
    rmSync(join(whole, "experiment.json"));
    expect((await run(whole)).left).toBe(0);
    expect(readFileSync(join(whole, "experiment.json"), "utf8")).toBe(described);
    for (const result of results) expect([result.method, result.readings]).toEqual([result.method, 1]);
  });

  test("methods of a seed share scenes, start values and order; seeds share none", async () => {
    const { results } = await readExperiment(whole);
    const trained = results.filter(({ networks }) => networks.length > 0);
    const streams = (seed: number) =>
      new Set(
        trained
          .filter((result) => result.seed === seed)
          .flatMap(({ settings }) => [settings.scenes_seed, settings.init_seed, settings.order_seed]),
      );
    expect([streams(0).size, streams(1).size]).toEqual([3, 3]);
    expect([...streams(0)].filter((seed) => streams(1).has(seed))).toEqual([]);
    const truths = trained.filter(({ seed }) => seed === 0).map(({ predictions }) => predictions.emotion_true.join());
    expect(new Set(truths).size).toBe(1);
  });

  test("interrupted twice and resumed, it ends with the same bytes", { timeout: 900_000 }, async () => {
    const out = join(root, "interrupted");
    for (const after of [9, 40]) {
      const controller = new AbortController();
      let done = 0;
      const onProgress = () => {
        if (++done === after) controller.abort();
      };
      await expect(run(out, { signal: controller.signal, onProgress })).rejects.toMatchObject({ name: "Interrupted" });
    }
    expect(existsSync(join(out, "frozen.json"))).toBe(false);
    const { left } = await run(out);
    expect(left).toBe(0);
    expect(contentsOf(out)).toEqual(contentsOf(whole));
  });

  test("by two processes of one folder, it ends with the same bytes", { timeout: 900_000 }, async () => {
    const out = join(root, "two");
    const main = fileURLToPath(new URL("../../src/aenet/cli/main.ts", import.meta.url));
    const flags = "--seeds 2 --exploratory-seeds 1 --pilot-seeds 2 --trials 2 --rhos 0.5 --train-sizes 16 --epochs 1"
      .concat(
        " --val-size 8 --test-size 12 --pretrain-size 16 --layout-epochs 2 --pretrain-epochs 1 --image-size 16 --batch-size 8",
      )
      .concat(" --base-channels 4 --jobs 2 --json")
      .split(" ");
    const args = ["--import", "tsx", main, "experiment", "generated", "--out", out, ...flags];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(JSON.parse(stdout)).toMatchObject({ left: 0, reading: 1, failed: [] });
    expect(contentsOf(out)).toEqual(contentsOf(whole));
  });

  test("a second reading needs --again, and is counted", { timeout: 600_000 }, async () => {
    const before = contentsOf(whole);
    expect((await run(whole)).reading).toBe(1);
    expect(contentsOf(whole)).toEqual(before); // nothing was read: all was done

    // Killed between its last record and done.json, a reading is done: its result stands.
    const read = testScenesRead;
    const done = join(whole, "jobs/seed-0/test/rho0.5-n16/aenet/reading-1/done.json");
    rmSync(done);
    expect((await run(whole)).failed).toEqual([]);
    expect(readFileSync(done, "utf8")).toBe('{"reading":1}\n');
    expect(contentsOf(whole)).toEqual(before);

    // A result that is taken away is a reading that was done, too; another one brings it back.
    rmSync(done);
    rmSync(join(whole, "results/rho0.5-n16_aenet_seed0_aes-emo.json"));
    const { failed } = await run(whole);
    expect(failed.map(({ error }) => error.message)).toEqual([expect.stringMatching(/--again reads it once more/)]);
    expect(testScenesRead).toBe(read);
    expect((await run(whole, { again: true })).reading).toBe(2);
    const { results } = await readExperiment(whole);
    expect(new Set(results.map(({ readings }) => readings))).toEqual(new Set([2]));
    const told = (text: string) => text.replaceAll('"readings":2', '"readings":1');
    const after = Object.entries(contentsOf(whole)).map(([name, text]) => [name, told(text)]);
    expect(Object.fromEntries(after)).toEqual(before);
  });

  test("weights that were removed are made again where they are needed, and only there", {
    timeout: 600_000,
  }, async () => {
    const weights = (id: string, file: string) => join(whole, "jobs", id, file);
    const needed = weights("seed-1/train/rho0.5-n16/csnet-matched", "network-0.safetensors");
    const needless = weights("seed-0/pretrain-ae-rho0.5", "weights.safetensors");
    const bytes = readFileSync(needed);
    rmSync(needed);
    rmSync(weights("seed-1/pretrain-e-rho0.5", "weights.safetensors")); // which that network starts from
    rmSync(needless);
    rmSync(join(whole, "jobs/seed-1/test/rho0.5-n16/csnet-matched/reading-2/done.json"));
    expect((await run(whole)).failed).toEqual([]);
    expect(readFileSync(needed)).toEqual(bytes);
    expect(existsSync(needless)).toBe(false);
  });

  test("a checkpoint that is not the frozen one is not tested; other settings are refused", {
    timeout: 600_000,
  }, async () => {
    const file = join(whole, "jobs/seed-1/train/rho0.5-n16/aenet/network-0.safetensors");
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    const { failed } = await run(whole, { again: true });
    expect(failed.map(({ id, error }) => [id, error.message])).toEqual([
      ["seed-1/test/rho0.5-n16/aenet/reading-3", expect.stringMatching(/is not the checkpoint that was frozen/)],
    ]);
    const other = { ...tinyProtocol, seeds: 3 };
    await expect(runGenerated({ protocol: other, out: whole, again: false }, settings())).rejects.toThrow(
      /holds an experiment of other settings/,
    );
  });

  test("results without the work behind them, as the published folders are, are not gone on with", async () => {
    const results = join(root, "published");
    cpSync(whole, results, { recursive: true });
    rmSync(join(results, "jobs"), { recursive: true });
    const before = contentsOf(results);
    await expect(run(results)).rejects.toThrow(
      /^--out .*published: holds the results of an experiment \(seed-0\/test\//,
    );
    expect(contentsOf(results)).toEqual(before);
    expect(existsSync(join(results, "jobs"))).toBe(false);
  });
});
