/** Small networks' checkpoints within an experiment's folder, and their answers. Node only. */
import { createHash } from "node:crypto";
import type { Device } from "../../kernels/device.ts";
import { parseSafetensors, serializeSafetensors } from "../../nn/index.ts";
import { type Architecture, createArchitecture } from "../architecture.ts";
import { checkpointMetadata } from "../checkpoint.ts";
import type { Split } from "../data/labels.ts";
import { replaceSharedFile } from "../durable-file.ts";
import type { ImageResult } from "../evaluate.ts";
import { createNetwork } from "../model.ts";
import { defaultPreprocessing } from "../preprocessing.ts";
import { type FrozenNetwork, readFrozenCheckpoint } from "./frozen.ts";
import { type Images, testNetwork, type Weights } from "./trainer.ts";

/** Writes a checkpoint that `aenet eval` reads. @returns its SHA-256. */
export async function saveNetwork(
  file: string,
  architecture: Architecture,
  weights: Weights,
  { step, imageSize, config }: { step: number; imageSize: number; config: string | null },
): Promise<string> {
  const preprocessing = { ...defaultPreprocessing, imageSize };
  const metadata = checkpointMetadata({ architecture, preprocessing, step, configSha256: config, dataSha256: null });
  const bytes = serializeSafetensors(weights, metadata);
  await replaceSharedFile(file, [bytes]);
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Every network's answers on a split, and the rows answered.
 * @throws Error where a checkpoint is not the one that was frozen.
 */
export async function answersOf(
  device: Device,
  folder: string,
  networks: readonly FrozenNetwork[],
  architectureOf: (arch: string) => Architecture,
  data: Images,
  split: Split,
): Promise<{ rows: readonly number[]; results: readonly (readonly ImageResult[])[] }> {
  const results: (readonly ImageResult[])[] = [];
  let rows: readonly number[] = [];
  for (const network of networks) {
    const { tensors } = parseSafetensors(await readFrozenCheckpoint(folder, network));
    const answered = await testNetwork(device, architectureOf(network.arch), tensors, data, split, 1);
    results.push(answered.results);
    rows = answered.rows;
  }
  return { rows, results };
}

/** The base width, in eighths of the usual one, at which a wide network of one task has about AENet's parameters. */
export function nearestWidth(
  { depth, baseChannels }: Pick<Architecture, "depth" | "baseChannels">,
  classes: readonly string[],
): number {
  const count = (arch: string, more: { baseWidth?: number } = {}) =>
    createNetwork(createArchitecture(arch, classes, { depth, baseChannels, ...more })).parameters.count;
  const aim = count("aenet");
  let best = 64;
  let distance = Number.POSITIVE_INFINITY;
  for (let width = 64; width <= 192; width += 8) {
    const found = Math.abs(count("wrn-emo", { baseWidth: width }) - aim);
    if (found < distance) [best, distance] = [width, found];
  }
  return best;
}
