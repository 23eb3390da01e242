/** A short training from a seed, and the digests of all that it leaves. */
import { createHash } from "node:crypto";
import { Inference } from "../../src/aenet/inference.ts";
import { type StepOptions, TrainingStep } from "../../src/aenet/training/step.ts";
import type { Device } from "../../src/kernels/device.ts";
import { decodedSize, noiseBatch, stepOptions, tinyNetwork, tinyPreprocessing } from "./tiny.ts";

/** SHA-256 of the bytes. */
export interface Bytes {
  /** Parameters, running statistics and momentum after the last step. */
  readonly weights: string;
  /** Of every step, float32. */
  readonly losses: string;
  /** Logits of seven other images. */
  readonly predictions: string;
}

export async function twentySteps(
  device: Device,
  { seed = 0, ...options }: Partial<StepOptions> & { seed?: number } = {},
): Promise<Bytes> {
  const network = tinyNetwork();
  const { parameters } = network;
  const step = await TrainingStep.create(device, network, stepOptions(6, options));
  parameters.write(parameters.initialValues(seed));
  const losses: number[] = [];
  for (let i = 0; i < 20; i++) {
    const found = await step.submit(noiseBatch(6, 100 * seed + i), { base: 0.02, fusion: 0.02 });
    losses.push(found.loss!, found.aes!, found.emo!);
  }
  const inference = await Inference.create(device, network, {
    batchSize: 7,
    decodedSize,
    preprocessing: tinyPreprocessing,
  });
  const { images, crops } = noiseBatch(7, -1);
  const { aes, emo } = await inference.run(images, crops);
  const weights = [await parameters.read(), await parameters.read("momenta")].flatMap((tensors) =>
    Array.from(tensors.values(), ({ data }) => data),
  );
  inference.destroy();
  step.destroy();
  parameters.destroy();
  return {
    weights: digest(...weights),
    losses: digest(Float32Array.from(losses)),
    predictions: digest(aes!, emo!),
  };
}

function digest(...arrays: Float32Array[]): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}
