/** What onnxruntime makes of our exported models. Skipped where test/onnx has no node_modules: see its package.json. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type Architecture,
  type ArchitectureOptions,
  archNames,
  createArchitecture,
} from "../../src/aenet/architecture.ts";
import { readWeights } from "../../src/aenet/load-network.ts";
import { sigmoid, softmax } from "../../src/aenet/metrics.ts";
import { exportOnnx } from "../../src/aenet/onnx/export.ts";
import { serializeSafetensors, type TensorData } from "../../src/nn/safetensors.ts";
import { noiseImages, normalised, ourLogits, temporaryFolder, writeCheckpoint } from "../support/checkpoint.ts";

interface Ort {
  InferenceSession: { create(model: Uint8Array): Promise<Session> };
  Tensor: new (type: "float32", data: Float32Array, dims: number[]) => OrtTensor;
}
interface OrtTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}
interface Session {
  readonly inputNames: string[];
  readonly outputNames: string[];
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
}

const runtime = new URL("node_modules/onnxruntime-web/dist/ort.node.min.mjs", import.meta.url);
const isInstalled = existsSync(runtime);
const folder = temporaryFolder();
const classes = ["awe", "anger", "fear", "sadness"];
const [size, count] = [32, 3];
const images = noiseImages(count, size);

async function run(onnx: string, n = count): Promise<Record<string, OrtTensor>> {
  const ort = (await import(runtime.href)) as Ort;
  const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(onnx)));
  expect(session.inputNames).toEqual(["image"]);
  const data = normalised(images.subarray(0, n * size * size * 3), size);
  return session.run({ image: new ort.Tensor("float32", data, [n, 3, size, size]) });
}

/** Largest difference from our probabilities, and how much ours differ between the images. */
async function compare(
  checkpoint: string,
  outputs: Record<string, OrtTensor>,
): Promise<{ error: number; spread: number }> {
  const { aes, emo } = await ourLogits(checkpoint, images, size);
  const k = classes.length;
  const ours = {
    ...(aes ? { aes_prob: [...aes].map(sigmoid) } : {}),
    ...(emo
      ? {
          emo_prob: [...images.subarray(0, count).keys()].flatMap((i) => [
            ...softmax(emo.subarray(i * k, (i + 1) * k)),
          ]),
        }
      : {}),
  };
  expect(Object.keys(outputs)).toEqual(Object.keys(ours));
  let [error, spread] = [0, 0];
  for (const [name, values] of Object.entries(ours)) {
    const { data, dims } = outputs[name]!;
    expect(dims).toEqual(name === "aes_prob" ? [count] : [count, k]);
    values.forEach((value, i) => {
      error = Math.max(error, Math.abs(value - data[i]!));
      spread = Math.max(spread, Math.abs(value - values[i % (values.length / count)]!));
    });
  }
  return { error, spread };
}

const small: ArchitectureOptions = { depth: [2, 1, 2, 1], baseChannels: 8 };
const cases: [string, Architecture][] = [
  ...archNames.map((arch): [string, Architecture] => [arch, createArchitecture(arch, classes, small)]),
  ["aenet, by channel", createArchitecture("aenet", classes, { ...small, fusionGranularity: "channel" })],
  ["aenet, some points", createArchitecture("aenet", classes, { ...small, fusionPoints: [1, 4] })],
  ...(process.env.AENET_FIGURES
    ? archNames.map((arch): [string, Architecture] => [`${arch}, full size`, createArchitecture(arch, classes)])
    : []),
  ["csnet, some points", createArchitecture("csnet", classes, { ...small, fusionPoints: [0, 3] })],
];

describe.skipIf(!isInstalled)("onnxruntime gives our probabilities to 1e-4", () => {
  it.each(cases)("%s", async (name, architecture) => {
    const [checkpoint, onnx] = ["safetensors", "onnx"].map((ending) => join(folder, `${name}.${ending}`)) as [
      string,
      string,
    ];
    writeCheckpoint(checkpoint, architecture, size);
    const report = await exportOnnx({ checkpoint, onnx });
    const outputs = await run(onnx);
    expect(report.outputs).toEqual(Object.keys(outputs));
    const { error, spread } = await compare(checkpoint, outputs);
    if (process.env.AENET_FIGURES) console.log(name, error, spread);
    expect(error).toBeLessThan(1e-4);
    // In 2,048 features of untrained weights all images look nearly the same.
    expect(spread).toBeGreaterThan(name.endsWith("full size") ? 5e-4 : 0.01);
    // N is free: the first image alone gives the same.
    const alone = await run(onnx, 1);
    for (const [name, { data }] of Object.entries(alone))
      data.forEach((value, i) => void expect(Math.abs(value - outputs[name]!.data[i]!)).toBeLessThan(1e-5));
  });

  it.each(["fusion.2.alpha_p", "e.layer2.0.bn2.running_var", "head.emo.weight"])(
    "a difference in %s would be noticed",
    async (name) => {
      const [checkpoint, changed, onnx] = ["a.safetensors", "b.safetensors", "b.onnx"].map((file) =>
        join(folder, file),
      ) as [string, string, string];
      writeCheckpoint(checkpoint, createArchitecture("aenet", classes, small), size);
      const { tensors, metadata } = await readWeights(checkpoint);
      const more = new Map<string, TensorData>(tensors);
      const { shape, data } = tensors.get(name)!;
      more.set(name, { shape, data: data.map((value) => 2 * value) });
      writeFileSync(changed, serializeSafetensors(more, metadata));
      await exportOnnx({ checkpoint: changed, onnx });
      expect((await compare(checkpoint, await run(onnx))).error).toBeGreaterThan(1e-4);
    },
  );
});

describe("aenet export", () => {
  const checkpoint = join(folder, "one.safetensors");
  const onnx = join(folder, "made", "one.onnx");
  const architecture = createArchitecture("resnet50-emo", classes, { depth: [1, 1, 1, 1], baseChannels: 4 });

  it("writes equal bytes for equal checkpoints, under the weights' names, with what the checkpoint says", async () => {
    writeCheckpoint(checkpoint, architecture, 64);
    expect(await exportOnnx({ checkpoint, onnx })).toMatchObject({
      arch: "resnet50-emo",
      opset: 17,
      image_size: 64,
      classes,
      outputs: ["emo_prob"],
    });
    const first = readFileSync(onnx);
    await exportOnnx({ checkpoint, onnx });
    expect(readFileSync(onnx).equals(first)).toBe(true);
    expect(readdirSync(join(folder, "made"))).toEqual(["one.onnx"]);
    for (const text of [
      "layer4.0.conv3.weight",
      "bn1.running_var",
      '["awe","anger","fear","sadness"]',
      '"image_size":64',
    ])
      expect(first.includes(text)).toBe(true);
    // Weights are there as they are in the checkpoint.
    const { data } = (await readWeights(checkpoint)).tensors.get("layer3.0.conv2.weight")!;
    expect(first.includes(Buffer.from(data.buffer, data.byteOffset, data.byteLength))).toBe(true);
  });

  it("refuses to replace the checkpoint, and leaves nothing behind for one that is none", async () => {
    await expect(exportOnnx({ checkpoint, onnx: checkpoint })).rejects.toThrow("would replace the checkpoint");
    const broken = join(folder, "broken.safetensors");
    writeFileSync(broken, "no checkpoint");
    const target = join(folder, "none.onnx");
    await expect(exportOnnx({ checkpoint: broken, onnx: target })).rejects.toThrow(broken);
    expect(existsSync(target)).toBe(false);
  });
});
