/** What is not finite stops training at that step, by its name, with everything as it was before. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, describe, expect, it } from "vitest";
import type { Network } from "../../src/aenet/model.ts";
import { type StepInput, type StepOptions, TrainingStep } from "../../src/aenet/training/step.ts";
import { NonFiniteError, train } from "../../src/aenet/training/train.ts";
import { serializeSafetensors } from "../../src/nn/index.ts";
import { testDevice } from "../support/device.ts";
import { fileOf, temporaryFolder, tinyConfig } from "./runs.ts";
import { settings } from "./settings.ts";
import { differing, noiseBatch, stepOptions, tinyNetwork, tinyPreprocessing } from "./tiny.ts";

const batchSize = 4;
const modest = { base: 1e-3, fusion: 1e-3 };

const made: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.destroy();
});

/** A step after one sound update, so that momenta and running statistics are not what they began with. */
async function started(options: Partial<StepOptions> = {}): Promise<{ network: Network; step: TrainingStep }> {
  const network = tinyNetwork();
  const step = await TrainingStep.create(await testDevice(), network, stepOptions(batchSize, options));
  made.push(step, network.parameters);
  network.parameters.write(network.parameters.initialValues(0));
  const sound = Number.isFinite(options.preprocessing?.mean[0] ?? 0) && (options.lambda ?? 0) < 1e30;
  if (sound) expect((await step.submit(noiseBatch(batchSize, 9), modest)).nonFinite).toBe(0);
  return { network, step };
}

type Change = (value: number, i: number) => number;

/** Changes the weights whose names begin so. */
async function change({ parameters }: Network, name: string, f: Change): Promise<void> {
  const tensors = [...(await parameters.read())].filter(([key]) => key.startsWith(name));
  expect(tensors.length, name).toBeGreaterThan(0);
  parameters.write(new Map(tensors.map(([key, { shape, data }]) => [key, { shape, data: data.map(f) }])));
}

/** Runs a step that has to stop, sees that it changed nothing, and gives the reason and the losses. */
async function stop({ network, step }: Awaited<ReturnType<typeof started>>, rates = modest, input?: StepInput) {
  const batch = input ?? noiseBatch(batchSize);
  const { parameters } = network;
  const before = [await parameters.read(), await parameters.read("momenta")] as const;
  const losses = await step.submit(batch, rates);
  expect(losses.nonFinite).toBeGreaterThan(0);
  const unchanged = async () => {
    expect(differing(await parameters.read(), before[0])).toEqual([]);
    expect(differing(await parameters.read("momenta"), before[1])).toEqual([]);
  };
  await unchanged();
  const reason = await step.explainNonFinite(batch, rates);
  await unchanged();
  return { reason, losses };
}

describe("the first tensor that is not finite is named", () => {
  it.each([
    ["e.layer2.0.conv1.weight", Number.POSITIVE_INFINITY],
    // With a ReLU behind it a NaN here would vanish: max(NaN, 0) may be 0.
    ["s.layer3.0.bn2.weight", Number.NaN],
    ["a.layer4.0.bn1.running_var", Number.NaN],
    ["head.aes.bias", Number.NEGATIVE_INFINITY],
  ])("%s that holds %d", async (name, value) => {
    const run = await started();
    await change(run.network, name, (old, i) => (i === 3 || name === "head.aes.bias" ? value : old));
    expect((await stop(run)).reason).toBe(`${name} is not finite: it holds ${value} before the step began`);
  });

  it("the image, where its mean is NaN", async () => {
    const run = await started({ preprocessing: { ...tinyPreprocessing, mean: [Number.NaN, 0.5, 0.5] } });
    expect((await stop(run)).reason).toBe(
      `preprocess is not finite: NaN at [0, 0, 0, 0, 0] of [1, 4, 32, 32, 3], the first of ${4 * 32 * 32}`,
    );
  });

  it("an activation in the middle of the network that overflows in one stream", async () => {
    const run = await started();
    await change(run.network, "s.layer2.0.conv2.weight", (_, i) => (i % 2 ? 3e38 : 2e38));
    const { reason } = await stop(run);
    expect(reason).toMatch(
      /^layer2\.0\.conv2\.conv2d is not finite in stream s: Infinity at \[1, \d, \d, \d, \d\] of \[3, 4, 4, 4, 8\], the first of \d+$/,
    );
  });

  it("a batch variance that overflows, though losses and gradients stay finite", async () => {
    const run = await started();
    await change(run.network, "a.layer2.0.conv2.weight", (value) => 1e25 * value);
    const { reason, losses } = await stop(run);
    expect([losses.aes, losses.emo].every(Number.isFinite)).toBe(true);
    for (const { data } of (await run.network.parameters.read("gradients")).values()) {
      expect(data.every(Number.isFinite)).toBe(true);
    }
    expect(reason).toMatch(/^layer2\.0\.bn2\.batchNorm\+relu: .* is not finite/);
  });

  it("the gradient of a weight, where it is the first to overflow", async () => {
    const run = await started({ lambda: 1e38 });
    // Large inputs of the head, and weights that let nothing through: only dWeight = xᵀ·dy grows.
    await change(run.network, "head.emo.weight", () => 0);
    for (const stream of ["a", "s", "e"]) await change(run.network, `${stream}.layer4.0.bn3.weight`, () => 1e4);
    const { reason, losses } = await stop(run);
    expect(Number.isFinite(losses.loss)).toBe(true);
    expect(reason).toMatch(
      /^head\.emo\.linear backward: d\(head\.emo\.weight\) is not finite: -?Infinity at \[\d+, \d\] of \[256, 4\], the first of \d+$/,
    );
  });

  it("an update that overflows, though its gradient is finite", async () => {
    const run = await started({ lambda: 1e3 });
    const { reason, losses } = await stop(run, { base: 3e38, fusion: 0 });
    expect(Number.isFinite(losses.loss)).toBe(true);
    expect(reason).toMatch(/^the update of (a|s|e|head)\.[\w.]+ is not finite, its gradient is$/);
  });

  it("an input, and the micro-batch that it belongs to", async () => {
    const run = await started({ microBatch: 2 });
    const batch = noiseBatch(batchSize, 0, { complete: true });
    batch.aesTarget[3] = Number.NaN;
    expect((await stop(run, modest, batch)).reason).toBe(
      "aesthetics labels is not finite: NaN at [1] of [2], in micro-batch 2 of 2",
    );
  });
});

/** Only conv1's middle tap in the shared stream: an image of one colour gives one value, whose variance is 0. */
async function amplifyImages({ parameters }: Network): Promise<void> {
  const { shape, data } = (await parameters.read()).get("s.conv1.weight")!;
  parameters.write(new Map([["s.conv1.weight", { shape, data: data.map((_, i) => (i % 49 === 24 ? 1e38 : 0)) }]]));
}

/** ImageNet's mean colour, which is nearly 0 to the network. */
const meanColour = [124, 116, 104];

describe("the step that failed is the one that is looked into", () => {
  it("with another in flight behind it", async () => {
    const run = await started();
    await amplifyImages(run.network);
    const noise = noiseBatch(batchSize);
    const plain = { ...noise, images: noise.images.map((_, i) => meanColour[i % 3]!) };
    expect((await run.step.submit(plain, modest)).nonFinite).toBe(0);
    await Promise.all([run.step.submit(noise, modest), run.step.submit(plain, modest)]);
    expect(await run.step.explainNonFinite(noise, modest)).toMatch(/^conv1\.conv2d is not finite in stream s: /);
    // Had the other been taken, nothing would be found.
    expect(await run.step.explainNonFinite(plain, modest)).toMatch(/^the update of a weight/);
  });

  it("in a run, whose folder holds the step before it", async () => {
    const folder = temporaryFolder();
    const rows = ["path,split,aes_label,emotion"];
    for (let i = 0; i < 8; i++) {
      const name = `${i}.png`;
      rows.push(`${name},train,${i % 2 ? "high" : "low"},awe`);
      const isHarsh = i === 2 || i === 3;
      const pixels = Uint8Array.from({ length: 37 * 37 * 3 }, (_, at) =>
        isHarsh ? 255 * (Math.floor(at / 3) % 2) : meanColour[at % 3]!,
      );
      await sharp(pixels, { raw: { width: 37, height: 37, channels: 3 } }).toFile(join(folder, name));
    }
    writeFileSync(join(folder, "manifest.csv"), `${rows.join("\n")}\n`);
    const network = tinyNetwork();
    await network.parameters.allocate(await testDevice(), { training: false });
    made.push(network.parameters);
    network.parameters.write(network.parameters.initialValues(0));
    await amplifyImages(network);
    const { shape, data } = (await network.parameters.read()).get("s.conv1.weight")!;
    const init = join(folder, "init.safetensors");
    writeFileSync(init, serializeSafetensors(new Map([["s.conv1.weight", { shape, data }]]), {}));
    const config = tinyConfig(join(folder, "manifest.csv"), {
      init,
      shuffle: false,
      augment: false,
      batchSize: 2,
      lr: 1e-6,
    });
    const [path, sound] = [join(folder, "run"), join(folder, "sound")];
    const failed: Error = await train(config, { path, overwrite: false }, settings()).then(
      () => new Error("nothing was thrown"),
      (error: Error) => error,
    );
    expect(failed).toBeInstanceOf(NonFiniteError);
    expect(failed.message).toMatch(
      /^step 2: conv1\.conv2d is not finite in stream s: .*; the weights in .* are those before that step/,
    );
    await train({ ...config, maxSteps: 1 }, { path: sound, overwrite: false }, settings());
    for (const name of ["last.safetensors"]) expect(fileOf(path, name).equals(fileOf(sound, name))).toBe(true);
  });
});
