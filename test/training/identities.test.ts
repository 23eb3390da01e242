/** What must hold whatever the weights: identities of the network, its symmetries, and what it cannot learn. */
import { afterAll, describe, expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { describeScene, drawScene, positiveEmotions } from "../../src/aenet/data/synth/index.ts";
import { Inference } from "../../src/aenet/inference.ts";
import { createNetwork, type Network } from "../../src/aenet/model.ts";
import { type StepInput, TrainingStep } from "../../src/aenet/training/step.ts";
import { add, binaryCrossEntropyWithLogits, softmaxCrossEntropy, Tape } from "../../src/autograd/index.ts";
import { relativeError } from "../../src/autograd/reference/index.ts";
import { drawValues } from "../../src/nn/gradcheck/layers.ts";
import type { TensorData } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";
import { classes, decodedSize, noiseBatch, stepOptions, tinyPreprocessing, tinyTrunk } from "./tiny.ts";

const ended: (() => void)[] = [];
afterAll(() => {
  for (const end of ended) end();
});

type Tensors = Map<string, TensorData>;
const aenet = (more = {}) => createNetwork(createArchitecture("aenet", classes, { ...tinyTrunk, ...more }));

/** Gradients of one step from some weights; nothing learns (both rates are 0). */
async function gradientsOf(network: Network, values: Tensors, batch: StepInput): Promise<Tensors> {
  const step = await TrainingStep.create(await testDevice(), network, stepOptions(batch.aesTarget.length));
  network.parameters.write(values);
  try {
    const { nonFinite } = await step.submit(batch, { base: 0, fusion: 0 });
    expect(nonFinite).toBe(0);
    return await network.parameters.read("gradients");
  } finally {
    step.destroy();
    network.parameters.destroy();
  }
}

/** Logits in evaluation mode. */
async function logitsOf(network: Network, values: Tensors, { images, crops }: StepInput) {
  const options = { batchSize: crops.length / 3, decodedSize, preprocessing: tinyPreprocessing };
  const inference = await Inference.create(await testDevice(), network, options);
  network.parameters.write(values);
  try {
    const { aes, emo } = await inference.run(images, crops);
    return { aes: aes!, emo: emo! };
  } finally {
    inference.destroy();
    network.parameters.destroy();
  }
}

const numberOf = (tensors: Tensors, name: string) => tensors.get(name)!.data[0]!;
const random = new Random(0, "identities");

describe("the fusion weights of a point before the last", () => {
  it("have α_p·∂α_p + α_s·∂α_s = 0 and the same of β: batch norm follows on every path", async () => {
    const network = aenet();
    const values = drawValues(network.parameters, 1);
    const gradients = await gradientsOf(network, values, noiseBatch(8, 1));
    for (const letter of ["alpha", "beta"]) {
      const products = (point: number) =>
        ["p", "s"].map((path) => {
          const name = `fusion.${point}.${letter}_${path}`;
          return numberOf(values, name) * numberOf(gradients, name);
        }) as [number, number];
      for (const point of [0, 1, 2, 3]) {
        const [p, s] = products(point);
        expect(Math.abs(p), `${letter} ${point}`).toBeGreaterThan(1e-4);
        // Batch norm's ε breaks the identity by about ε over the variance.
        expect(Math.abs(p + s) / Math.abs(p), `${letter} ${point}`).toBeLessThan(1e-2);
      }
      // After the last point no batch norm follows, and nothing cancels.
      const [p, s] = products(4);
      expect(Math.abs(p + s) / Math.abs(p), letter).toBeGreaterThan(0.1);
    }
  });
});

describe("the last fusion", () => {
  it("folds into the heads without changing any output", async () => {
    // f̃_a = α_p·f_a + α_s·f_s and a head's [W_s, W_a] · [v_s, ṽ_a] = (W_s + α_s·W_a)·v_s + α_p·W_a·v_a.
    const network = aenet();
    const values = drawValues(network.parameters, 2);
    const folded: Tensors = new Map(values);
    const features = 32 * tinyTrunk.baseChannels;
    for (const [head, letter] of [
      ["aes", "alpha"],
      ["emo", "beta"],
    ]) {
      const [p, s] = ["p", "s"].map((path) => numberOf(values, `fusion.4.${letter}_${path}`)) as [number, number];
      const { shape, data } = values.get(`head.${head}.weight`)!;
      const weight = data.map((value, i) => {
        const isShared = i % (2 * features) < features;
        return isShared ? value + s * data[i + features]! : p * value;
      });
      folded.set(`head.${head}.weight`, { shape, data: weight });
      for (const path of ["p", "s"]) folded.delete(`fusion.4.${letter}_${path}`);
    }
    const batch = noiseBatch(6, 2);
    const whole = await logitsOf(network, values, batch);
    const without = await logitsOf(aenet({ fusionPoints: [0, 1, 2, 3] }), folded, batch);
    expect(relativeError(without.aes, whole.aes)).toBeLessThan(1e-5);
    expect(relativeError(without.emo, whole.emo)).toBeLessThan(1e-5);
    // Left out instead of folded in, it is missed.
    const unfolded = new Map([...values].filter(([name]) => !name.startsWith("fusion.4.")));
    const missing = await logitsOf(aenet({ fusionPoints: [0, 1, 2, 3] }), unfolded, batch);
    expect(relativeError(missing.aes, whole.aes)).toBeGreaterThan(1e-2);
  });
});

describe("softmax cross-entropy of the two logits 0 and x", () => {
  it("is the binary cross-entropy of x, forward and backward", async () => {
    const count = 64;
    const tape = new Tape(await testDevice());
    const x = tape.input("x", [count, 1], { needsGrad: true });
    const pair = tape.input("pair", [count, 2], { needsGrad: true });
    const target = tape.input("target", [count]);
    const labels = tape.input("labels", [count], { dtype: "i32" });
    const [labelled, one] = [tape.input("count", [1]), tape.input("one", [1])];
    const binary = binaryCrossEntropyWithLogits(x, target, labelled);
    const softmax = softmaxCrossEntropy(pair, labels, labelled);
    tape.backward(add(binary, softmax), one);
    const [dx, dPair] = [tape.gradient(x)!, tape.gradient(pair)!];
    const program = await tape.compile([binary, softmax, dx, dPair]);
    ended.push(() => program.destroy());
    const logits = Float32Array.from({ length: count }, () => 4 * random.normal());
    const truth = Array.from(logits, (_, i) => (i % 5 === 4 ? -1 : random.integer(2)));
    program.write(x, logits);
    program.write(
      pair,
      Array.from(logits).flatMap((logit) => [0, logit]),
    );
    program.write(target, truth);
    program.write(labels, truth);
    program.write(labelled, [truth.filter((label) => label >= 0).length]);
    program.write(one, [1]);
    program.run();
    expect((await program.read(softmax))[0]! / (await program.read(binary))[0]!).toBeCloseTo(1, 6);
    const [ofX, ofPair] = [await program.read(dx), await program.read(dPair)];
    expect(
      relativeError(
        ofPair.filter((_, i) => i % 2 === 1),
        ofX,
      ),
    ).toBeLessThan(1e-6);
    expect(
      relativeError(
        ofPair.filter((_, i) => i % 2 === 0),
        ofX.map((value) => -value),
      ),
    ).toBeLessThan(1e-6);
  });
});

describe("streams that change places", () => {
  it("change their results, and nothing else", async () => {
    const network = () => aenet();
    const values = drawValues(network().parameters, 3);
    const swap = (name: string) =>
      name
        .replace(/^[ae]\./, (prefix) => (prefix === "a." ? "e." : "a."))
        .replace(/^(fusion\.\d\.)(alpha|beta)/, (_, start, letter) => start + (letter === "alpha" ? "beta" : "alpha"));
    // Both heads read the same weights: the emotion head's first row is the aesthetics head.
    const features = 64 * tinyTrunk.baseChannels;
    const row = values.get("head.aes.weight")!.data;
    values.get("head.emo.weight")!.data.set(row, 0);
    values.get("head.emo.bias")!.data[0] = numberOf(values, "head.aes.bias");
    const swapped: Tensors = new Map(
      [...values].map(([name, data]) => [name, name.startsWith("head.") ? data : values.get(swap(name))!]),
    );
    expect(row).toHaveLength(features);
    const batch = noiseBatch(5, 3);
    const before = await logitsOf(network(), values, batch);
    const after = await logitsOf(network(), swapped, batch);
    const first = (emo: Float32Array) => emo.filter((_, i) => i % classes.length === 0);
    expect(relativeError(after.aes, first(before.emo))).toBeLessThan(1e-6);
    expect(relativeError(first(after.emo), before.aes)).toBeLessThan(1e-6);
    expect(relativeError(after.aes, before.aes)).toBeGreaterThan(1e-2);
  });
});

describe("a task without any label", () => {
  it.each([
    ["aes", "a."],
    ["emo", "e."],
  ])("%s gives exactly zero to its private stream and its head, and nothing else", async (task, stream) => {
    const network = aenet();
    const values = drawValues(network.parameters, 4);
    const batch = noiseBatch(6, 4);
    if (task === "aes") batch.aesMask.fill(0);
    else batch.emoTarget.fill(-1);
    const gradients = await gradientsOf(network, values, batch);
    const own = new RegExp(
      `^(${stream.replace(".", "\\.")}|head\\.${task}\\.|fusion\\.\\d\\.${task === "aes" ? "alpha" : "beta"})`,
    );
    for (const [name, { data }] of gradients) {
      expect(
        data.every((value) => value === 0),
        name,
      ).toBe(own.test(name));
    }
  });
});

describe("labels that say nothing about the images", () => {
  const imageSize = 16;
  const count = { train: 96, test: 192 };
  const preprocessing = { ...tinyPreprocessing, imageSize };
  const options = stepOptions(32, { preprocessing, decodedSize: imageSize });
  const pool = Array.from({ length: count.train + count.test }, (_, i) => {
    const scene = describeScene({ seed: 5, size: imageSize }, i);
    const pixels = drawScene({ seed: 5, size: imageSize }, scene);
    return { pixels, isPositive: (positiveEmotions as readonly string[]).includes(scene.emotion) };
  });

  /**
   * Trains on one half of the scenes, with their own labels or shuffled ones, and gives the balanced accuracy on the
   * other half: the mean of both classes' recalls.
   */
  async function balancedAccuracy(seed: number, shuffled: boolean): Promise<{ share: number; counts: number[] }> {
    const network = createNetwork(createArchitecture("resnet50-emo", ["negative", "positive"], tinyTrunk));
    const draw = new Random(seed, "shuffled labels");
    const order = draw.permutation(pool.length);
    const shuffle = draw.permutation(pool.length);
    const samples = Array.from(order, (index, i) => ({
      pixels: pool[index]!.pixels,
      label: Number(pool[shuffled ? order[shuffle[i]!]! : index]!.isPositive),
    }));
    const [train, test] = [samples.slice(0, count.train), samples.slice(count.train)];
    const step = await TrainingStep.create(await testDevice(), network, options);
    network.parameters.write(network.parameters.initialValues(seed));
    const noCrop = (size: number) => new Int32Array(3 * size);
    try {
      for (let epoch = 0; epoch < 12; epoch++) {
        const turn = draw.permutation(train.length);
        for (let at = 0; at < train.length; at += options.batchSize) {
          const batch = Array.from(turn.subarray(at, at + options.batchSize), (i) => train[i]!);
          const losses = await step.submit(
            {
              images: Uint8Array.from(batch.flatMap(({ pixels }) => [...pixels])),
              crops: noCrop(batch.length),
              aesTarget: new Float32Array(batch.length),
              aesMask: new Float32Array(batch.length),
              emoTarget: Int32Array.from(batch, ({ label }) => label),
            },
            { base: 0.02, fusion: 0.02 },
          );
          expect(losses.nonFinite).toBe(0);
        }
      }
      const inference = await Inference.create(await testDevice(), network, {
        batchSize: test.length,
        decodedSize: imageSize,
        preprocessing,
      });
      const pixels = Uint8Array.from(test.flatMap(({ pixels }) => [...pixels]));
      const { emo } = await inference.run(pixels, noCrop(test.length));
      inference.destroy();
      const recalls = [0, 1].map((label) => {
        const own = test.flatMap((sample, i) => (sample.label === label ? [i] : []));
        const right = own.filter((i) => Number(emo![2 * i + 1]! > emo![2 * i]!) === label);
        return { n: own.length, recall: right.length / own.length };
      });
      return { share: (recalls[0]!.recall + recalls[1]!.recall) / 2, counts: recalls.map(({ n }) => n) };
    } finally {
      step.destroy();
      network.parameters.destroy();
    }
  }

  it("are not learnt: the held-out balanced accuracy stays at 1/K, where true labels lift it far above", async () => {
    const seeds = [0, 1, 2, 3, 4];
    const distances = async (shuffled: boolean) => {
      const runs = [];
      for (const seed of seeds) runs.push(await balancedAccuracy(seed, shuffled));
      const mean = runs.reduce((sum, { share }) => sum + share, 0) / runs.length;
      // Under chance a recall of n samples varies by at most 1/4n; the five runs are averaged.
      const variance = runs.reduce((sum, { counts }) => sum + counts.reduce((v, n) => v + 1 / (16 * n), 0), 0);
      return (mean - 1 / 2) / (Math.sqrt(variance) / runs.length);
    };
    const [chance, learnt] = [await distances(true), await distances(false)];
    expect(Math.abs(chance)).toBeLessThan(3);
    expect(learnt).toBeGreaterThan(6);
  });
});
