/** Checkpoints of networks that were never trained, in which every tensor matters. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Architecture } from "../../src/aenet/architecture.ts";
import { checkpointMetadata } from "../../src/aenet/checkpoint.ts";
import { type BatchLogits, Inference } from "../../src/aenet/inference.ts";
import { loadNetwork } from "../../src/aenet/load-network.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { safetensorsParts, type TensorData } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "./device.ts";

/** A folder that goes away with the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "aenet-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Start values, but batch norms' tensors, biases and what joins the streams drawn at random too. */
export function randomWeights(architecture: Architecture, seed = 0): Map<string, TensorData> {
  const values = createNetwork(architecture).parameters.initialValues(seed);
  for (const [name, { shape, data }] of values) {
    const range = rangeOf(name, shape);
    if (!range) continue;
    const random = new Random(seed, "random weights", name);
    for (let i = 0; i < data.length; i++) data[i] = random.uniform(...range);
  }
  return values;
}

/** Where a tensor's numbers lie; null for convolutions' weights, which are drawn anyhow. */
function rangeOf(name: string, shape: readonly number[]): [number, number] | null {
  // Logits of some units, so that probabilities differ and are not all 0 or 1.
  if (/^head\..*weight$/.test(name)) return [-500 / shape[1]!, 500 / shape[1]!];
  if (/^(fusion|stitch)/.test(name)) return [-0.5, 1];
  if (/bias$|running_mean$/.test(name)) return [-0.2, 0.2];
  // Branches that add little to their residual keep a deep network's features in range.
  if (name.endsWith("bn3.weight")) return [0.3, 0.9];
  return /bn\d\.weight$|downsample\.1\.weight$|running_var$/.test(name) ? [0.5, 1.5] : null;
}

/** Writes a checkpoint of random weights. */
export function writeCheckpoint(path: string, architecture: Architecture, imageSize: number, seed = 0): void {
  const preprocessing = { ...defaultPreprocessing, imageSize };
  const info = { architecture, preprocessing, step: 0, configSha256: null, dataSha256: null };
  writeFileSync(path, Buffer.concat(safetensorsParts(randomWeights(architecture, seed), checkpointMetadata(info))));
}

/** Images uint8 [count, S, S, 3]: a colour each, and noise on it. */
export function noiseImages(count: number, size: number, seed = 0): Uint8Array {
  const random = new Random(seed, "noise images");
  const colours = Array.from({ length: 3 * count }, () => random.integer(192));
  const area = size * size;
  return Uint8Array.from({ length: 3 * count * area }, (_, i) => {
    return colours[3 * Math.floor(i / (3 * area)) + (i % 3)]! + random.integer(64);
  });
}

/** Images uint8 [N, S, S, 3] normalised as a checkpoint says by default: float32 [N, 3, S, S]. */
export function normalised(images: Uint8Array, size: number): Float32Array {
  const { mean, deviation } = defaultPreprocessing;
  const area = size * size;
  return Float32Array.from(images, (_, i) => {
    const [n, channel, pixel] = [Math.floor(i / (3 * area)), Math.floor(i / area) % 3, i % area];
    return (images[(n * area + pixel) * 3 + channel]! / 255 - mean[channel]!) / deviation[channel]!;
  });
}

/** Our logits for images uint8 [N, S, S, 3], taken whole. */
export async function ourLogits(checkpoint: string, images: Uint8Array, size: number): Promise<BatchLogits> {
  const { network, info, fill } = await loadNetwork(checkpoint);
  const batchSize = images.length / (3 * size * size);
  const options = { batchSize, decodedSize: size, preprocessing: info.preprocessing };
  const inference = await Inference.create(await testDevice(), network, options);
  fill();
  const logits = await inference.run(images, new Int32Array(3 * batchSize));
  inference.destroy();
  network.parameters.destroy();
  return logits;
}
