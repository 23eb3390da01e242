/** A network, photographs and batches that are as small as they can be. */
import { type Architecture, createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork, type Network } from "../../src/aenet/model.ts";
import { defaultPreprocessing, type Preprocessing } from "../../src/aenet/preprocessing.ts";
import type { StepInput, StepOptions } from "../../src/aenet/training/step.ts";
import type { TensorData } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";

export const classes: readonly string[] = ["awe", "anger", "fear", "sadness"];
export const tinyTrunk: { depth: number[]; baseChannels: number } = { depth: [1, 1, 1, 1], baseChannels: 4 };
export const tinyArchitecture: Architecture = createArchitecture("aenet", classes, tinyTrunk);
export const tinyPreprocessing: Preprocessing = { ...defaultPreprocessing, imageSize: 32 };
/** Side of the decoded images for 32×32. */
export const decodedSize = 37;

export const tinyNetwork = (): Network => createNetwork(tinyArchitecture);

export function stepOptions(batchSize: number, more: Partial<StepOptions> = {}): StepOptions {
  return {
    batchSize,
    microBatch: batchSize,
    decodedSize,
    preprocessing: tinyPreprocessing,
    lambda: 0.25,
    momentum: 0.9,
    weightDecay: 1e-4,
    ...more,
  };
}

/** Noise with labels; every fifth sample lacks its aesthetics label, every seventh its emotion. */
export function noiseBatch(batchSize: number, seed = 0, { complete = false }: { complete?: boolean } = {}): StepInput {
  const random = new Random(seed, "noise batch");
  const lacks = (i: number, every: number) => !complete && i % every === every - 1;
  return {
    images: Uint8Array.from({ length: batchSize * decodedSize ** 2 * 3 }, () => random.integer(256)),
    crops: Int32Array.from({ length: batchSize * 3 }, (_, i) => random.integer(i % 3 === 2 ? 2 : 6)),
    aesTarget: Float32Array.from({ length: batchSize }, () => random.integer(2)),
    aesMask: Float32Array.from({ length: batchSize }, (_, i) => (lacks(i, 5) ? 0 : 1)),
    emoTarget: Int32Array.from({ length: batchSize }, (_, i) => (lacks(i, 7) ? -1 : random.integer(classes.length))),
  };
}

/** Samples `first` to `first + count` of a batch. */
export function partOf(batch: StepInput, first: number, count: number): StepInput {
  const size = batch.aesTarget.length;
  const cut = <T extends Uint8Array | Int32Array | Float32Array>(values: T) => {
    const each = values.length / size;
    return values.slice(first * each, (first + count) * each) as T;
  };
  const { images, crops, aesTarget, aesMask, emoTarget } = batch;
  return {
    images: cut(images),
    crops: cut(crops),
    aesTarget: cut(aesTarget),
    aesMask: cut(aesMask),
    emoTarget: cut(emoTarget),
  };
}

/** Names of the tensors whose bits differ. */
export function differing(a: ReadonlyMap<string, TensorData>, b: ReadonlyMap<string, TensorData>): string[] {
  const bits = ({ data }: TensorData) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const names = new Set([...a.keys(), ...b.keys()]);
  return [...names].filter((name) => !a.has(name) || !b.has(name) || !bits(a.get(name)!).equals(bits(b.get(name)!)));
}
