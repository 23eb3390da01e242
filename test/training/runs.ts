/** Runs over a handful of small photographs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll } from "vitest";
import { defaultTrainConfig, type TrainConfig } from "../../src/aenet/training/config.ts";
import type { MetricsRecord } from "../../src/aenet/training/metrics-log.ts";
import { Random } from "../../src/random.ts";
import { classes, tinyTrunk } from "./tiny.ts";

/** A folder that goes away with the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "aenet-training-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Writes noise images and their manifest. In the training split the second is missing, the sixth no image, the eighth
 * lacks its aesthetics label and the ninth its emotion, unless all are to be `sound`.
 *
 * @returns The manifest's path.
 */
export async function writeDataSet(
  folder: string,
  counts: { train: number; val?: number; test?: number },
  { sound = false }: { sound?: boolean } = {},
): Promise<string> {
  const lines = ["path,split,aes_label,emotion"];
  for (const [split, count = 0] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) {
      const name = `${split}-${i}.png`;
      const random = new Random(0, name);
      const isTrain = split === "train" && !sound;
      const path = join(folder, name);
      if (isTrain && i === 5) writeFileSync(path, "no image");
      else if (!isTrain || i !== 1) await writeNoise(path, random);
      const aes = isTrain && i === 7 ? "" : ["low", "high"][random.integer(2)];
      const emotion = isTrain && i === 8 ? "" : classes[i % classes.length];
      lines.push([name, split, aes, emotion].join());
    }
  }
  const manifest = join(folder, "manifest.csv");
  writeFileSync(manifest, `${lines.join("\n")}\n`);
  return manifest;
}

/** A colour and noise on it. */
async function writeNoise(path: string, random: Random): Promise<void> {
  const [width, height] = [44, 40];
  const colour = [random.integer(200), random.integer(200), random.integer(200)];
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => colour[i % 3]! + random.integer(56));
  await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

export function tinyConfig(data: string, more: Partial<TrainConfig> = {}): TrainConfig {
  const { depth, baseChannels } = tinyTrunk;
  return {
    ...defaultTrainConfig,
    data,
    depth,
    baseChannels,
    batchSize: 4,
    imageSize: 32,
    lr: 1e-2,
    epochs: 4,
    ...more,
  };
}

/** What a run leaves that has to be the same however often it was stopped. */
export const outcomeNames = [
  "last.safetensors",
  "last.state.safetensors",
  "best.safetensors",
  "best-aes.safetensors",
  "best-emo.safetensors",
] as const;

export const fileOf = (run: string, name: string): Buffer => readFileSync(join(run, "checkpoints", name));

/** Names of outcomes whose bytes differ between two runs. */
export function differingOutcomes(a: string, b: string): string[] {
  return outcomeNames.filter((name) => !fileOf(a, name).equals(fileOf(b, name)));
}

export function readMetrics(run: string): MetricsRecord[] {
  const lines = readFileSync(join(run, "metrics.jsonl"), "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as MetricsRecord);
}

/** The records without what depends on the clock. */
export function timelessMetrics(run: string): MetricsRecord[] {
  return readMetrics(run).map((record) => (record.type === "step" ? { ...record, images_per_s: 0 } : record));
}
