import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { TrainConfig } from "../../src/aenet/training/config.ts";
import { NonFiniteError, resumeTraining, train } from "../../src/aenet/training/train.ts";
import { parseSafetensors } from "../../src/nn/safetensors.ts";
import {
  differingOutcomes,
  fileOf,
  readMetrics,
  temporaryFolder,
  timelessMetrics,
  tinyConfig,
  writeDataSet,
} from "./runs.ts";
import { settings } from "./settings.ts";
import { differing } from "./tiny.ts";

const folder = temporaryFolder();
/** Four steps an epoch, with damaged images and missing labels, and a validation split. */
let data: string;
let runs = 0;
const newRun = () => join(folder, `run-${runs++}`);

beforeAll(async () => {
  data = await writeDataSet(folder, { train: 19, val: 5, test: 2 });
});

async function run(config: TrainConfig, workers = 2): Promise<string> {
  const path = newRun();
  await train(config, { path, overwrite: false }, settings({ workers }));
  return path;
}

const stepOf = (path: string) => Number(parseSafetensors(fileOf(path, "last.safetensors")).metadata.step);

function expectWholeMetrics(path: string, steps: number): void {
  const records = readMetrics(path);
  const numbers = records.flatMap((record) => (record.type === "step" ? [record.step] : []));
  expect(numbers).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
  const epochs = records.flatMap((record) => (record.type === "epoch" ? [record.epoch] : []));
  expect(epochs).toEqual(epochs.map((_, i) => i));
}

describe("a run that was stopped and resumed", () => {
  const straight = new Map<number | null, string>();

  it.each([null, 1, 3])("has the bytes of one that was not, checkpoints every %s steps", async (checkpointEvery) => {
    const config = tinyConfig(data, { checkpointEvery, maxSteps: 10 });
    const whole = await run(config, 1);
    straight.set(checkpointEvery, whole);
    expect(stepOf(whole)).toBe(10);
    expectWholeMetrics(whole, 10);

    // In the middle of the second epoch, with another number of workers afterwards.
    const path = await run({ ...config, maxSteps: 5 }, 3);
    expect(stepOf(path)).toBe(5);
    const result = await resumeTraining(path, { maxSteps: 10 }, settings({ workers: 1 }));
    expect(result).toMatchObject({ steps: 10, epochs: 2, reason: "done" });
    expect(differingOutcomes(path, whole)).toEqual([]);
    expect(timelessMetrics(path)).toEqual(timelessMetrics(whole));
  });

  it("has the same weights wherever checkpoints were made", () => {
    const weights = [...straight.values()].map((path) => parseSafetensors(fileOf(path, "last.safetensors")).tensors);
    for (const other of weights) expect(differing(other, weights[0]!)).toEqual([]);
  });

  it("goes on over the border of an epoch, where it stopped exactly", async () => {
    const config = tinyConfig(data, { checkpointEvery: 3 });
    const path = await run({ ...config, maxSteps: 8 });
    expect(stepOf(path)).toBe(8);
    expect(readMetrics(path).at(-1)).toMatchObject({ type: "epoch", epoch: 1, split: "val" });
    await resumeTraining(path, { maxSteps: 9 }, settings());
    const result = await resumeTraining(path, { maxSteps: 10 }, settings());
    expect(result.reason).toBe("done");
    expect(differingOutcomes(path, straight.get(3)!)).toEqual([]);
    expect(timelessMetrics(path)).toEqual(timelessMetrics(straight.get(3)!));
  });

  it("may stop after every step, with another number of workers each time", async () => {
    const path = await run(tinyConfig(data, { checkpointEvery: 3, maxSteps: 1 }), 3);
    for (let step = 2; step <= 10; step++) {
      const result = await resumeTraining(path, { maxSteps: step }, settings({ workers: 1 + (step % 3) }));
      expect(result).toMatchObject({ steps: step, reason: "done" });
    }
    expect(differingOutcomes(path, straight.get(3)!)).toEqual([]);
    expect(timelessMetrics(path)).toEqual(timelessMetrics(straight.get(3)!));
  });

  it("goes on after an interruption, at once and later", async () => {
    const config = tinyConfig(data, { checkpointEvery: 3, maxSteps: 10 });
    const path = newRun();
    const early = await train(config, { path, overwrite: false }, settings({ signal: AbortSignal.abort() }));
    expect(early).toMatchObject({ steps: 0, reason: "interrupted" });
    expect(stepOf(path)).toBe(0);
    const controller = new AbortController();
    const later = await resumeTraining(path, {}, settings({ signal: controller.signal }), {
      onStep: ({ step }) => {
        if (step === 4) controller.abort();
      },
    });
    expect(later.reason).toBe("interrupted");
    expect(later.steps).toBeGreaterThanOrEqual(4);
    expect(later.steps).toBeLessThan(7); // the steps in flight are finished, no more are begun
    expect(stepOf(path)).toBe(later.steps);
    expectWholeMetrics(path, later.steps);
    expect(await resumeTraining(path, {}, settings())).toMatchObject({ steps: 10, reason: "done" });
    expect(differingOutcomes(path, straight.get(3)!)).toEqual([]);
    expect(timelessMetrics(path)).toEqual(timelessMetrics(straight.get(3)!));
  });

  it("can be given more epochs, and keeps them when it is resumed once more", async () => {
    const whole = await run(tinyConfig(data, { epochs: 3 }));
    const path = await run(tinyConfig(data, { epochs: 1 }));
    expect(stepOf(path)).toBe(4);
    const controller = new AbortController();
    await resumeTraining(path, { epochs: 3 }, settings({ signal: controller.signal }), {
      onStep: () => controller.abort(),
    });
    expect(await resumeTraining(path, {}, settings())).toMatchObject({ steps: 12, epochs: 3 });
    expect(differingOutcomes(path, whole)).toEqual([]);
  });

  it("does nothing more when it is done", async () => {
    const path = straight.get(null)!;
    const before = parseSafetensors(fileOf(path, "last.state.safetensors"));
    const result = await resumeTraining(path, {}, settings());
    expect(result).toMatchObject({ steps: 10, reason: "done" });
    expect(parseSafetensors(fileOf(path, "last.state.safetensors")).metadata).toEqual(before.metadata);
    expectWholeMetrics(path, 10);
  });
});

describe("a run without validation", () => {
  it("ends with a checkpoint where the steps end with an epoch, and its bests are the last", async () => {
    const other = join(folder, "without-validation.csv");
    writeFileSync(other, readFileSync(data, "utf8").replaceAll(/^val.*\n/gm, ""));
    for (const maxSteps of [8, 9]) {
      const path = await run(tinyConfig(other, { checkpointEvery: 100, maxSteps }));
      expect(stepOf(path)).toBe(maxSteps);
      for (const best of ["best", "best-aes", "best-emo"]) {
        expect(fileOf(path, `${best}.safetensors`).equals(fileOf(path, "last.safetensors")), best).toBe(true);
      }
      expect(readMetrics(path).every(({ type }) => type === "step")).toBe(true);
    }
  });
});

describe("damaged images of the training split", () => {
  it("are counted and named once, and an error under --strict", async () => {
    const damaged: string[] = [];
    const config = tinyConfig(data, { maxSteps: 9 });
    const onDamaged = (path: string) => damaged.push(path);
    const result = await train(config, { path: newRun(), overwrite: false }, settings(), { onDamaged });
    expect(result.skippedImages).toBe(2);
    expect(damaged.sort()).toEqual([join(folder, "train-1.png"), join(folder, "train-5.png")]);
    const strict = train({ ...config, strict: true }, { path: newRun(), overwrite: false }, settings());
    await expect(strict).rejects.toThrow(/train-[15]\.png/);
  });
});

describe("an early stop", () => {
  it("comes when the validation loss no longer falls, and holds when the run is resumed", async () => {
    // The same photographs with the opposite labels to validate on: what is learnt makes the validation worse.
    const sound = temporaryFolder();
    await writeDataSet(sound, { train: 4 }, { sound: true });
    const rows = readFileSync(join(sound, "manifest.csv"), "utf8").trim().split("\n");
    const opposite = rows.slice(1).map((row, i) => {
      copyFileSync(join(sound, `train-${i}.png`), join(sound, `val-${i}.png`));
      const [, , aes] = row.split(",");
      return `val-${i}.png,val,${aes === "high" ? "low" : "high"},`;
    });
    const manifest = join(sound, "opposite.csv");
    writeFileSync(manifest, `${[...rows, ...opposite].join("\n")}\n`);
    const config = tinyConfig(manifest, { epochs: 60, augment: false, lr: 0.05, momentum: 0.5 });
    const path = newRun();
    const result = await train(config, { path, overwrite: false }, settings());
    expect(result.reason).toBe("early-stop");
    expect(result.epochs).toBeGreaterThanOrEqual(21);
    expect(result.epochs).toBeLessThan(60);
    const losses = readMetrics(path).flatMap((record) => (record.type === "epoch" ? [record.loss!] : []));
    expect(losses.indexOf(Math.min(...losses))).toBe(losses.length - 21);
    // The plateau has halved the rate twice on the way.
    const rates = readMetrics(path).flatMap((record) => (record.type === "step" ? [record.lr] : []));
    expect(new Set(rates)).toEqual(new Set([0.05, 0.025, 0.0125]));

    const before = fileOf(path, "last.state.safetensors");
    expect(await resumeTraining(path, {}, settings())).toMatchObject({ reason: "early-stop", steps: result.steps });
    expect(await resumeTraining(path, { epochs: 90 }, settings())).toMatchObject({ reason: "early-stop" });
    expect(fileOf(path, "last.state.safetensors").equals(before)).toBe(true);
  });
});

describe("resuming is refused", () => {
  it("where the manifest or the configuration has changed, and where there is no run", async () => {
    const own = temporaryFolder();
    const manifest = await writeDataSet(own, { train: 6 }, { sound: true });
    const path = join(own, "run");
    await train(tinyConfig(manifest, { maxSteps: 1 }), { path, overwrite: false }, settings());
    const before = fileOf(path, "last.safetensors");
    const config = readFileSync(join(path, "config.json"), "utf8");
    const rows = readFileSync(manifest, "utf8");

    writeFileSync(join(path, "config.json"), config.replace('"lr": 0.01', '"lr": 0.02'));
    await expect(resumeTraining(path, { maxSteps: 2 }, settings())).rejects.toThrow(
      `--resume ${path}: config.json has changed since the run began`,
    );
    writeFileSync(join(path, "config.json"), config);
    writeFileSync(manifest, rows.replace("train-0.png,train,high", "train-0.png,train,low").replace(/$/, "\n"));
    await expect(resumeTraining(path, { maxSteps: 2 }, settings())).rejects.toThrow(
      `--resume ${path}: the manifest ${manifest} has changed since the run began`,
    );
    writeFileSync(manifest, rows);
    await expect(resumeTraining(own, {}, settings())).rejects.toThrow("is not a run folder");
    expect(fileOf(path, "last.safetensors").equals(before)).toBe(true);
    expect(readdirSync(path)).not.toContain(".lock");
    expect(await resumeTraining(path, { maxSteps: 2 }, settings())).toMatchObject({ steps: 2 });
  });
});

describe("a loss that is not finite", () => {
  it("ends the run, and leaves the weights of the step before it on disk", async () => {
    const config = tinyConfig(data, { lr: 1e12 });
    const path = newRun();
    const messages: string[] = [];
    const failed = train(config, { path, overwrite: false }, settings(), { onMessage: (line) => messages.push(line) });
    await expect(failed).rejects.toThrow(NonFiniteError);
    const error = (await failed.catch((reason: Error) => reason)) as Error;
    const step = Number(/^step (\d+): /.exec(error.message)![1]);
    expect(error.message).toContain(`the weights in ${path} are those before that step`);
    expect(stepOf(path)).toBe(step - 1);
    expectWholeMetrics(path, step - 1);
    expect(
      fileOf(path, "last.safetensors").equals(fileOf(await run({ ...config, maxSteps: step - 1 }), "last.safetensors")),
    ).toBe(true);
  });
});
