import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseSafetensors, serializeSafetensors } from "../../src/nn/safetensors.ts";
import { runCommand as run } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, ...names);

const data = at("scenes", "manifest.csv");
const tiny = ["--depth", "1,1,1,1", "--base-channels", "4", "--image-size", "32", "--batch-size", "8", "--lr", "0.01"];

describe("help", () => {
  it("lists the commands that work, and no others", async () => {
    const { code, out } = await run(["--help"]);
    expect(code).toBe(0);
    for (const name of ["train", "eval", "predict", "export", "gradcheck", "doctor", "data", "bench", "experiment"])
      expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
    expect(out).not.toContain("serve");
  });

  it.each([
    ["train"],
    ["eval"],
    ["predict"],
    ["export"],
    ["gradcheck"],
    ["doctor"],
    ["data", "import"],
    ["data", "synth"],
    ["data", "check"],
    ["bench", "step"],
    ["experiment", "fig1"],
    ["experiment", "generated"],
    ["experiment", "report"],
    ["experiment", "oasis"],
    ["experiment", "pretrain"],
    ["experiment", "table1"],
    ["experiment", "table2"],
    ["experiment", "all"],
  ])("of %s %s has an example", async (...names) => {
    const { code, out } = await run([...names.filter(Boolean), "--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`aenet ${names.filter(Boolean).join(" ")} `));
  });
});

it("an import loses neither what it reads nor a manifest that none wrote", async () => {
  const table = at("table.csv");
  const text = "file,emotion,photographer\nx.png,awe,me\n";
  for (const [source, message] of [
    [table, "is what is to be read"],
    [at("other.csv"), "is there, and no import wrote it"],
  ] as const) {
    for (const file of [table, source]) writeFileSync(file, text);
    const { code, err } = await run(["data", "import", "csv", source, "--out", table]);
    expect([code, err]).toEqual([2, expect.stringContaining(`--out ${table}: ${message}`)]);
    expect(readFileSync(table, "utf8")).toBe(text);
  }
});

describe("settings", () => {
  const printed = async (args: string[], environment = {}) =>
    JSON.parse((await run(["train", ...args, "--print-config"], environment)).out) as Record<string, unknown>;

  it("hold in the order defaults < config file < environment < flags", async () => {
    expect(await printed([])).toMatchObject({ lr: 1e-4, batchSize: 64, lambda: 0.25, epochs: 100, arch: "aenet" });
    const file = at("config.json");
    writeFileSync(file, JSON.stringify({ lr: 0.5, "batch-size": 3, epochs: 7 }));
    const environment = { AENET_BATCH_SIZE: "4", AENET_EPOCHS: "8" };
    const settings = await printed(["--config", file, "--epochs", "9"], environment);
    expect(settings).toMatchObject({ lr: 0.5, batchSize: 4, epochs: 9 });
  });

  it("that do not exist are refused by name", async () => {
    const file = at("unknown.json");
    writeFileSync(file, JSON.stringify({ learningRate: 1 }));
    const { code, err } = await run(["train", "--config", file, "--print-config"]);
    expect(code).toBe(2);
    expect(err).toContain("learningRate");
  });
});

describe("wrong usage ends with 2 and names what is wrong", () => {
  it.each([
    [["train", "--frobnicate"], "--frobnicate"],
    [["train"], "--data"],
    [["train", "--data", "x.csv", "--out", "y", "--batch-size", "0"], "--batch-size"],
    [["train", "--data", "x.csv", "--out", "y", "--precision", "f64"], "--precision f64"],
    [["train", "--resume", "y", "--lr", "1"], "--lr"],
    [["predict", "a.jpg"], "--checkpoint"],
    [["export", "--checkpoint", "c"], "--onnx"],
    [["data", "import", "iea", "x", "--out", "y.csv"], "folder, csv, oasis, iae, ava, fi, artphoto"],
    [["data", "import", "fi", "x", "--out", "y.csv", "--test-list", "z"], "--test-list: is for ava, not for fi"],
    [["data", "import", "ava", "x", "--out", "y.csv", "--splits", "half"], "published, random"],
    [["data", "check", "x.csv", "--set", "coco"], "iae, ava, fi, artphoto, none"],
    [["eval", "--checkpoint", "c", "--data", "d", "--split", "some"], "some"],
    [["doctor", "--adapter", "quantum"], "quantum"],
    [["experiment", "fig1", "--data", "x.csv"], "--out"],
    [["experiment", "generated", "--precision", "f16", "--dry-run"], "--precision f16: this experiment's protocol"],
    [
      ["experiment", "all", "--generated", "--seeds", "2", "--dry-run"],
      "--seeds: --generated runs the registered protocol",
    ],
  ] as [string[], string][])("%j", async (args, named) => {
    const { code, err } = await run(args);
    expect({ code, named: err.includes(named) }).toEqual({ code: 2, named: true });
  });
});

it("an experiment's list of jobs needs no folder, and tells a time where one is known", async () => {
  const last = async (...args: string[]) =>
    (await run(["experiment", ...args, "--dry-run"])).out.trim().split("\n").at(-1);
  expect(await last("generated")).toMatch(/^\d+ jobs, some 2 hours of one core$/); // as docs/experiment.md and README say
  expect(await last("oasis")).toMatch(/^\d+ jobs, some \d+ minutes of one core$/);
  expect(await last("all", "--generated")).toBe(await last("generated"));
  const table1 = ["table1", "--data", "x", "--ava", "y", "--fi", "z"];
  expect(await last(...table1)).toMatch(/^\d+ jobs$/);
  const listed = async (...more: string[]) =>
    (await run(["experiment", ...table1, "--dry-run", ...more])).out.split("\n");
  const [all, ...parts] = [await listed(), await listed("--shard", "1/2"), await listed("--shard", "2/2")];
  const jobsOf = (lines: readonly string[]) => lines.filter((line) => line.includes("/"));
  expect(parts.flatMap(jobsOf).sort()).toEqual(jobsOf(all).sort());
  for (const part of parts) expect(jobsOf(part).length).toBeGreaterThan(0);
});

it("--print-config of a run to be resumed is refused where there is none, or with what a run has fixed", async () => {
  const missing = await run(["train", "--resume", at("none"), "--print-config"]);
  expect(missing).toMatchObject({ code: 2, out: "", err: expect.stringContaining(at("none", "config.json")) });
  const fixed = await run(["train", "--resume", at("none"), "--lr", "1", "--print-config"]);
  expect(fixed).toMatchObject({ code: 2, out: "", err: expect.stringContaining("--lr") });
});

it("a manifest that is not there ends with 1 and leaves nothing behind", async () => {
  const { code, err } = await run(["train", "--data", at("no.csv"), "--out", at("none"), ...tiny]);
  expect(code).toBe(1);
  expect(err).toContain(at("no.csv"));
  expect(existsSync(at("none"))).toBe(false);
});

it("from generated scenes to predictions", async () => {
  const synth = await run(["data", "synth", "--out", at("scenes"), "--count", "60", "--seed", "1"]);
  expect(synth.code).toBe(0);
  expect((await run(["data", "check", data])).code).toBe(0);

  const shallow = await run(["train", "--data", data, "--out", at("none"), "--depth", "1,2"]);
  expect([shallow.code, shallow.err]).toEqual([2, expect.stringContaining("--depth 1,2")]);

  const out = at("run");
  const plan = JSON.parse((await run(["train", "--data", data, ...tiny, "--dry-run", "--json"])).out);
  expect(plan).toMatchObject({ arch: "aenet", memory: { gradients: plan.memory.parameters } });
  expect(existsSync(out)).toBe(false);

  const trained = await run(["train", "--data", data, "--out", out, ...tiny, "--max-steps", "3", "--seed", "5"]);
  expect([trained.code, trained.out]).toEqual([0, expect.stringContaining(out)]);
  for (const departure of ["--depth 1,1,1,1", "--lr 0.01"]) expect(trained.err).toContain(departure);
  expect((await run(["train", "--data", data, "--out", out, ...tiny])).err).toContain("--overwrite");
  const holds = JSON.parse((await run(["train", "--resume", out, "--max-steps", "5", "--print-config"])).out);
  expect(holds).toMatchObject({ data, lr: 0.01, batchSize: 8, depth: [1, 1, 1, 1], seed: 5, maxSteps: 5, resume: out });
  expect(holds).not.toHaveProperty("kernels");
  // In the shell that began it, whose settings are no order to change it.
  const shell = { AENET_DATA: data, AENET_BATCH_SIZE: "4", AENET_PRECISION: "f32", AENET_EPOCHS: "77" };
  const shorter = { ...shell, AENET_MAX_STEPS: "4" };
  expect((await run(["train", "--resume", out, "--max-steps", "5"], shorter)).code).toBe(0);
  const stored = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
  expect(stored).toMatchObject({ maxSteps: 5, epochs: holds.epochs });
  expect((await run(["train", "--resume", out, "--batch-size", "8"])).code).toBe(0); // its own
  const other = await run(["train", "--resume", out, "--batch-size", "4"]);
  expect(other).toMatchObject({ code: 2, err: expect.stringContaining("--batch-size: a run goes on as it began") });
  // A run's own settings, and those that it goes on with, can be given as a file.
  const file = at("holds.json");
  writeFileSync(file, JSON.stringify(holds));
  expect((await run(["train", "--config", file])).code).toBe(0);
  const again = await run(["train", "--config", join(out, "config.json"), "--dry-run", "--json"]);
  expect([again.code, JSON.parse(again.out)]).toEqual([0, plan]);

  const checkpoint = join(out, "checkpoints", "last.safetensors");
  const evaluated = await run([
    "eval",
    "--checkpoint",
    checkpoint,
    "--data",
    data,
    "--split",
    "test",
    "--json",
    "--per-image",
  ]);
  const report = JSON.parse(evaluated.out);
  expect(evaluated.code).toBe(0);
  expect(report.images).toHaveLength(report.n_aes);

  writeFileSync(at("broken.png"), "no image");
  const image = join(folder, "scenes", report.images[0].path);
  const predicted = await run(["predict", "--checkpoint", checkpoint, image, at("broken.png"), "--json"]);
  expect(predicted.code).toBe(3);
  const [first, second] = JSON.parse(predicted.out);
  expect(first).toMatchObject({ path: image, error: null });
  expect(first.aes_prob).toBeCloseTo(report.images[0].aes_prob, 5);
  expect(second).toMatchObject({ path: at("broken.png"), aes_prob: null, top_emotion: null });
  const damaged = parseSafetensors(readFileSync(checkpoint));
  damaged.tensors.get("head.aes.bias")!.data.fill(Number.NaN);
  writeFileSync(at("nan.safetensors"), serializeSafetensors(damaged.tensors, damaged.metadata));
  const unsure = await run(["predict", "--checkpoint", at("nan.safetensors"), image, "--json"]);
  expect([unsure.code, JSON.parse(unsure.out)[0]]).toEqual([
    3,
    expect.objectContaining({ aes_prob: null, aes_label: null, error: expect.stringContaining("not a number") }),
  ]);
  const csv = (await run(["predict", "--checkpoint", checkpoint, image, "--csv"])).out.split("\n");
  expect(csv[0]).toContain("emotion_awe");
  expect(csv[1]!.split(",")).toHaveLength(csv[0]!.split(",").length);
  const named = ["--classes", "a,b,c,d,e,f,g,h", "--image-size", "24", "--json"];
  const [renamed] = JSON.parse((await run(["predict", "--checkpoint", checkpoint, image, ...named])).out);
  expect(Object.keys(renamed.emotions)).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
  expect(renamed.aes_prob).not.toBe(first.aes_prob); // seen at 24×24
});
