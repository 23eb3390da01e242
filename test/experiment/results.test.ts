import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { historyOf, parseMetrics } from "../../src/aenet/experiment/history.ts";
import {
  type Experiment,
  type RunResult,
  readExperiment,
  readRunResult,
  resultName,
  roundResult,
  writeExperiment,
  writeRunResult,
} from "../../src/aenet/experiment/results.ts";
import { largestIndex } from "../../src/aenet/metrics.ts";
import { formatRecord } from "../../src/aenet/training/metrics-log.ts";
import { makeRun } from "./fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-results-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const experiment: Experiment = {
  format: "aenet-experiment/1",
  title: "generated scenes",
  protocol: "docs/experiment.md",
  methods: [
    { name: "aenet", title: "AENet", role: "paper", paper_row: "aenet" },
    { name: "csnet", title: "CSNet", role: "paper", paper_row: "csnet" },
  ],
  cells: [{ cell: { rho: 0.5, size: 512 }, title: "ρ = 0.5", kind: "primary", seeds: [1, 2], folds: null }],
  primary: [{ method: "aenet", against: "csnet", task: "aes", cell: { rho: 0.5, size: 512 } }],
  alpha: 0.05,
  pilot: [{ method: "aenet", against: "csnet", task: "aes", cell: { rho: 0.5, size: 512 }, differences: [0.01, 0.02] }],
};

it("a run is read back as it was written, in six digits, in little room", async () => {
  const run = makeRun("aenet", 3, { images: 1000 });
  const file = await writeRunResult(folder, run);
  expect(file).toBe(join(folder, "results", "rho0.5-n512_aenet_seed3_aes-emo.json"));
  expect(await readRunResult(file)).toEqual(roundResult(run));
  expect(statSync(file).size).toBeLessThan(120_000);
  const errors = roundResult(run).predictions.aes_prob!.map((p, i) => Math.abs(p - run.predictions.aes_prob![i]!));
  expect(Math.max(...errors)).toBeLessThan(1e-6);
});

it("an experiment is read with all of its runs", async () => {
  const own = join(folder, "whole");
  await writeExperiment(own, experiment);
  expect((await readExperiment(own)).results).toEqual([]);
  for (const method of ["csnet", "aenet"]) await writeRunResult(own, makeRun(method, 1));
  const read = await readExperiment(own);
  expect(read.experiment).toEqual(experiment);
  expect(read.results.map(({ method }) => method)).toEqual(["aenet", "csnet"]);
});

it("rounding never changes what is predicted", () => {
  const run = makeRun("aenet", 1, { images: 2, classes: ["x", "y"] });
  const close: RunResult = {
    ...run,
    predictions: { ...run.predictions, aes_prob: [0.4999999999, 0.5], emo_probs: [0.4999999, 0.5000001, 0.7, 0.3] },
  };
  const { aes_prob, emo_probs } = roundResult(close).predictions;
  expect(aes_prob!.map((p) => p >= 0.5)).toEqual([false, true]);
  expect(largestIndex(emo_probs!.slice(0, 2))).toBe(1);
});

it("a run's name tells seeds, folds, cells and tasks apart, and is a file's", () => {
  const names = [
    makeRun("aenet", 1),
    makeRun("aenet", 2),
    makeRun("aenet", 1, { fold: 0 }),
    makeRun("aenet", 1, { cell: "oasis" }),
    makeRun("aenet", 1, { tasks: ["aes"] }),
    makeRun("../x y", 1),
  ].map(resultName);
  expect(new Set(names).size).toBe(6);
  for (const name of names) expect(name).toMatch(/^[\w.-]+$/);
});

describe("a result that breaks a rule is refused by the field's name", () => {
  const run = makeRun("aenet", 1, { images: 4, groups: true });
  const changed = (predictions: object) => ({ ...run, predictions: { ...run.predictions, ...predictions } });
  it.each([
    ["format", { ...run, format: "2" }],
    ["seed", { ...run, seed: -1 }],
    ["readings", { ...run, readings: 0 }],
    ["networks[0].config_sha256", { ...run, networks: [{ ...run.networks[0], config_sha256: "no" }] }],
    ["predictions.aes_prob[2]", changed({ aes_prob: [0, 1, 1.5, 0] })],
    ["predictions.aes_prob", changed({ aes_prob: [0, 1] })],
    ["predictions.aes_prob", { ...changed({}), tasks: ["emo"] }],
    ["predictions.aes_true[0]", changed({ aes_true: [2, 1, 0, 0] })],
    ["predictions.aes_score[1]", changed({ aes_score: [5, 11, null, 1] })],
    ["predictions.emo_probs", changed({ emo_probs: new Array(32).fill(0.1) })],
    ["predictions.emotion_true[3]", changed({ emotion_true: [0, 1, null, 8] })],
    ["predictions.groups.of[0]", changed({ groups: { names: ["a"], of: [1, 0, 0, 0] } })],
    ["predictions.image", changed({ image: [1, 2, 2, 3] })],
    ["fusion.alpha_s[1]", { ...run, fusion: { ...run.fusion!, alpha_s: [[1, 1, 1, 1, 1], [1], [1]] } }],
    [
      "history[0].epochs[0].loss",
      {
        ...run,
        history: [{ tasks: ["aes"], steps: null, epochs: [{ ...run.history[0]!.epochs[0]!, loss: [1] }] }],
      },
    ],
  ])("%s", async (field, broken) => {
    await expect(writeRunResult(folder, broken as RunResult)).rejects.toThrow(`.json: ${field} `);
  });

  it.each([
    ["primary[0].against", { primary: [{ ...experiment.primary[0], against: "nobody" }] }],
    ["cells", { cells: [experiment.cells[0], experiment.cells[0]] }],
    ["alpha", { alpha: 5 }],
    ["pilot[0].differences", { pilot: [{ ...experiment.pilot![0], differences: [0.1] }] }],
  ])("experiment: %s", async (field, broken) => {
    await expect(writeExperiment(folder, { ...experiment, ...broken } as Experiment)).rejects.toThrow(
      `.json: ${field} `,
    );
  });

  it("files from before histories were lists are read", async () => {
    const { tasks: _, ...history } = run.history[0]!;
    const file = await writeRunResult(folder, run);
    writeFileSync(file, JSON.stringify({ ...run, history }));
    expect((await readRunResult(file)).history).toEqual(run.history);
    writeFileSync(file, JSON.stringify({ ...run, history: null }));
    expect((await readRunResult(file)).history).toEqual([]);
  });

  it("a file that was cut off is named", async () => {
    const file = await writeRunResult(folder, run);
    writeFileSync(file, readFileSync(file, "utf8").slice(0, 100));
    await expect(readRunResult(file)).rejects.toThrow(file);
  });
});

it("a run's history is its metrics.jsonl, steps as means over stretches", () => {
  const step = (i: number) =>
    formatRecord({
      type: "step",
      step: i,
      epoch: 1,
      loss: i,
      loss_aes: i % 2 ? i : null,
      loss_emo: null,
      lr: 1,
      images_per_s: 1,
    });
  const epoch = (i: number, split: "train" | "val") =>
    formatRecord({
      type: "epoch",
      epoch: i,
      split,
      loss: i,
      acc_aes: 0.5,
      acc_emo: null,
      majority_aes: 0.5,
      majority_emo: null,
    });
  const text = [1, 2, 3, 4, 5].map(step).join("") + epoch(1, "train") + epoch(1, "val") + epoch(2, "val");
  expect(historyOf(parseMetrics(text), 3)).toEqual({
    steps: { step: [2, 4, 5], loss: [1.5, 3.5, 5], loss_aes: [1, 3, 5], loss_emo: [null, null, null] },
    epochs: [
      { split: "train", epoch: [1], loss: [1], acc_aes: [0.5], acc_emo: [null] },
      { split: "val", epoch: [1, 2], loss: [1, 2], acc_aes: [0.5, 0.5], acc_emo: [null, null] },
    ],
  });
});
