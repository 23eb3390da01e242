import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type EvaluationReport, evaluate } from "../../src/aenet/evaluate.ts";
import { Inference } from "../../src/aenet/inference.ts";
import { predict } from "../../src/aenet/predict.ts";
import { train } from "../../src/aenet/training/train.ts";
import { testDevice } from "../support/device.ts";
import { differingOutcomes, fileOf, temporaryFolder, timelessMetrics, tinyConfig, writeDataSet } from "./runs.ts";
import { settings } from "./settings.ts";
import { decodedSize, noiseBatch, partOf, tinyNetwork, tinyPreprocessing } from "./tiny.ts";

/** Logits of 7 images, in batches of `batchSize`, in the order given. */
async function logitsOf(batchSize: number, order: readonly number[]): Promise<number[][]> {
  const network = tinyNetwork();
  const options = { batchSize, decodedSize, preprocessing: tinyPreprocessing };
  const inference = await Inference.create(await testDevice(), network, options);
  network.parameters.write(network.parameters.initialValues(3));
  const images = noiseBatch(7);
  const result: number[][] = [];
  for (let first = 0; first < order.length; first += batchSize) {
    const parts = order.slice(first, first + batchSize).map((i) => partOf(images, i, 1));
    const pixels = Uint8Array.from(parts.flatMap((part) => [...part.images]));
    const crops = Int32Array.from(parts.flatMap((part) => [...part.crops]));
    const { aes, emo } = await inference.run(pixels, crops);
    const classes = emo!.length / batchSize;
    for (let i = 0; i < batchSize; i++) result.push([aes![i]!, ...emo!.slice(i * classes, (i + 1) * classes)]);
  }
  inference.destroy();
  network.parameters.destroy();
  return result;
}

it("logits are the same bits in any order, and nearly so at any batch size", async () => {
  const straight = [0, 1, 2, 3, 4, 5, 6];
  const shuffled = [4, 0, 6, 2, 5, 1, 3];
  const expected = await logitsOf(7, straight);
  const reordered = await logitsOf(7, shuffled);
  expect(shuffled.map((i) => expected[i])).toEqual(reordered);
  const single = await logitsOf(1, straight);
  const largest = Math.max(...expected.flat().map(Math.abs));
  const differences = expected.flatMap((row, i) => row.map((logit, j) => Math.abs(logit - single[i]![j]!)));
  expect(new Set(expected.map(String)).size).toBe(7);
  expect(Math.max(...differences)).toBeLessThanOrEqual(1e-5 * largest);
});

it("two runs from one seed are equal in every byte; another seed is not", async () => {
  const folder = temporaryFolder();
  const data = await writeDataSet(folder, { train: 44, val: 5 }, { sound: true });
  const run = async (name: string, seed: number, workers: number) => {
    const path = join(folder, name);
    const config = tinyConfig(data, { maxSteps: 20, seed });
    const result = await train(config, { path, overwrite: false }, settings({ workers }));
    expect(result.steps).toBe(20);
    return path;
  };
  const [a, b, other] = [await run("a", 0, 1), await run("b", 0, 3), await run("other", 1, 1)];
  expect(differingOutcomes(a, b)).toEqual([]);
  expect(timelessMetrics(a)).toEqual(timelessMetrics(b));
  expect(fileOf(other, "last.safetensors").equals(fileOf(a, "last.safetensors"))).toBe(false);
});

it("eval reports the contract's fields; predict keeps the order and tells damaged files by their rows", async () => {
  const folder = temporaryFolder();
  const data = await writeDataSet(folder, { train: 8, val: 4, test: 5 }, { sound: true });
  const run = join(folder, "run");
  await train(tinyConfig(data, { epochs: 1 }), { path: run, overwrite: false }, settings());
  const checkpoint = join(run, "checkpoints", "last.safetensors");
  writeFileSync(join(folder, "test-3.png"), "damaged");
  const { adapter } = settings();
  const common = { checkpoint, data, split: "test" as const, adapter, perImage: true };

  const report = await evaluate({ ...common, batchSize: 3 });
  const fields: (keyof EvaluationReport)[] = [
    ...([
      "checkpoint",
      "split",
      "classes",
      "n_aes",
      "n_emo",
      "loss",
      "loss_aes",
      "loss_emo",
      "acc_aes",
      "acc_emo",
    ] as const),
    ...(["majority_aes", "majority_emo", "images", "errors"] as const),
  ];
  expect(Object.keys(report)).toEqual(fields);
  expect(Object.keys(report.images![0]!)).toEqual([
    "path",
    "aes_logit",
    "aes_prob",
    "aes_true",
    "emo_logits",
    "emotion",
    "emotion_true",
  ]);
  expect(report).toMatchObject({ split: "test", n_aes: 4, n_emo: 4 });
  expect(report.errors.map(({ path }) => path)).toEqual(["test-3.png"]);
  expect(report.images!.map(({ path }) => path)).toEqual(["test-0.png", "test-1.png", "test-2.png", "test-4.png"]);
  for (const { aes_logit, aes_prob, emo_logits } of report.images!) {
    expect(aes_prob).toBeCloseTo(1 / (1 + Math.exp(-aes_logit!)), 12);
    expect(emo_logits).toHaveLength(report.classes.length);
  }
  expect((await evaluate({ ...common, batchSize: 3 })).images).toEqual(report.images);

  const paths = ["test-4.png", "test-3.png", "test-0.png", "nowhere.png"].map((name) => join(folder, name));
  const { predictions } = await predict({ checkpoint, paths, batchSize: 2, adapter });
  expect(predictions.map(({ path }) => path)).toEqual(paths);
  expect(predictions.map(({ error }) => error !== null)).toEqual([false, true, false, true]);
  for (const { emotions, top_emotion, aes_prob, aes_label } of predictions.filter(({ error }) => error === null)) {
    const values = Object.values(emotions!);
    expect(values.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
    expect(emotions![top_emotion!]).toBe(Math.max(...values));
    expect(aes_label).toBe(aes_prob! >= 0.5 ? "high" : "low");
  }
  const evaluated = report.images!.find(({ path }) => path === "test-4.png")!;
  expect(predictions[0]!.aes_prob).toBeCloseTo(evaluated.aes_prob!, 5);
});
