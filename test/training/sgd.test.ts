import { describe, expect, it } from "vitest";
import { TrainingStep } from "../../src/aenet/training/step.ts";
import {
  addScaled,
  batchNorm,
  binaryCrossEntropyWithLogits,
  Parameter,
  preprocess,
  softmaxCrossEntropy,
  Tape,
} from "../../src/autograd/index.ts";
import { BatchNorm2d, Conv2d, Linear, Parameters, Sgd } from "../../src/nn/index.ts";
import type { TensorData } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";
import { decodedSize, differing, noiseBatch, partOf, stepOptions, tinyNetwork, tinyPreprocessing } from "./tiny.ts";

type Tensors = Map<string, TensorData>;

/** Uniform numbers for tensors of these names and shapes. */
function draw(shapes: Iterable<[string, readonly number[]]>, ...stream: (string | number)[]): Tensors {
  return new Map(
    [...shapes].map(([name, shape]) => {
      const random = new Random(3, ...stream, name);
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { shape: [...shape], data: Float32Array.from({ length: size }, () => random.uniform(-1, 1)) }];
    }),
  );
}

/** One of everything that the optimizer treats in its own way. */
function parametersOfEveryKind() {
  const parameters = new Parameters();
  const place = { parameters, prefixes: ["a.", "s.", "e."] };
  new Conv2d(place, "conv1", { inChannels: 3, outChannels: 10, kernelSize: 3 });
  new BatchNorm2d(place, "bn1", 10);
  new Conv2d(place, "layer1.0.conv1", { inChannels: 30, outChannels: 41, kernelSize: 1 });
  parameters.parameter({
    names: ["fusion.0.alpha_p", "fusion.0.alpha_s"],
    shape: [2, 5],
    fileLayout: "plain",
    init: [0.9, 0.1],
    group: "fusion",
  });
  new Linear(parameters, "head.aes", 70, 1);
  return parameters;
}

describe("SGD on the device", () => {
  const frozen = (name: string) => name.startsWith("s.") || name === "fusion.0.alpha_s";
  const momentum = 0.9;
  const weightDecay = 0.05;

  it("is PyTorch's: momentum, decay where it belongs, a rate each, frozen slices", async () => {
    const device = await testDevice();
    const parameters = parametersOfEveryKind();
    await parameters.allocate(device, { training: true });
    const sgd = await Sgd.create(device, parameters, { momentum, weightDecay, frozen: ({ name }) => frozen(name) });
    try {
      const shapes = parameters.trainable.map(({ name, fileShape }): [string, readonly number[]] => [name, fileShape]);
      const start = draw(shapes, "values");
      parameters.write(start);
      const weights = new Map([...start].map(([name, { data }]) => [name, Float64Array.from(data)]));
      const velocities = new Map([...start].map(([name, { data }]) => [name, new Float64Array(data.length)]));
      for (let step = 0; step < 6; step++) {
        const gradients = draw(shapes, "gradients", step);
        const rates = { base: 0.1 / (step + 1), fusion: 1 / (step + 1) };
        parameters.write(gradients, "gradients");
        sgd.step(rates);
        for (const [name, { data }] of gradients) {
          if (frozen(name)) continue;
          // torch.optim.SGD: d = g + wd·w;  v = m·v + d;  w = w − lr·v
          const [w, v] = [weights.get(name)!, velocities.get(name)!];
          const decay = /conv\d\.weight$|^head\.aes\.weight$/.test(name) ? weightDecay : 0;
          const rate = name.startsWith("fusion.") ? rates.fusion : rates.base;
          data.forEach((g, i) => {
            v[i] = momentum * v[i]! + g + decay * w[i]!;
            w[i] = w[i]! - rate * v[i]!;
          });
        }
      }
      expect((await sgd.status()).nonFinite).toBe(0);
      const [values, momenta] = [await parameters.read(), await parameters.read("momenta")];
      for (const [name, w] of weights) {
        expect(largestDifference(values.get(name)!.data, w), name).toBeLessThan(2e-6);
        expect(largestDifference(momenta.get(name)!.data, velocities.get(name)!), name).toBeLessThan(2e-6);
        const unmoved = differing(new Map([[name, values.get(name)!]]), new Map([[name, start.get(name)!]]));
        expect(unmoved.length === 0, name).toBe(frozen(name));
      }
    } finally {
      sgd.destroy();
      parameters.destroy();
    }
  });

  it("looks for what is not finite in all gradients but those that were watched before", async () => {
    const device = await testDevice();
    const tensors = [...new Set(parametersOfEveryKind().trainable.map(({ tensor }) => tensor.name))];
    for (const bad of tensors) {
      const seen = [];
      for (const isWatched of [(name: string) => name !== bad, (name: string) => name === bad]) {
        const parameters = parametersOfEveryKind();
        await parameters.allocate(device, { training: true });
        const watched = new Set(
          parameters.trainable.flatMap(({ tensor }) =>
            tensor instanceof Parameter && isWatched(tensor.name) ? [tensor.grad] : [],
          ),
        );
        const sgd = await Sgd.create(device, parameters, { momentum, weightDecay, watched });
        try {
          const slice = parameters.trainable.findLast(({ tensor }) => tensor.name === bad)!;
          const data = new Float32Array(slice.fileShape.reduce((a, b) => a * b, 1));
          data[data.length - 1] = Number.NaN;
          parameters.write(new Map([[slice.name, { shape: [...slice.fileShape], data }]]), "gradients");
          sgd.trackStatistics(0);
          sgd.step({ base: 0.1, fusion: 0.1 });
          seen.push((await sgd.status()).nonFinite);
        } finally {
          sgd.destroy();
          parameters.destroy();
        }
      }
      expect(seen, bad).toEqual([1, 0]);
    }
  });

  it("changes nothing from the first gradient on that is not finite", async () => {
    const device = await testDevice();
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const parameters = parametersOfEveryKind();
      await parameters.allocate(device, { training: true });
      const sgd = await Sgd.create(device, parameters, { momentum, weightDecay });
      try {
        const shapes = parameters.trainable.map(({ name, fileShape }): [string, readonly number[]] => [
          name,
          fileShape,
        ]);
        parameters.write(draw(parameters.fileShapes, "values"));
        parameters.write(draw(shapes, "gradients"), "gradients");
        sgd.trackStatistics(0);
        sgd.step({ base: 0.1, fusion: 0.1 });
        const before = [await parameters.read(), await parameters.read("momenta")] as const;
        const gradients = draw(shapes, "gradients", 1);
        gradients.get("e.layer1.0.conv1.weight")!.data[40 * 30 + 29] = bad;
        // The last is a sound step again: the host may learn of the bad one only after it has queued this.
        for (const written of [gradients, draw(shapes, "gradients", 2)]) {
          parameters.write(written, "gradients");
          sgd.trackStatistics(0);
          sgd.step({ base: 0.1, fusion: 0.1 });
        }
        expect((await sgd.status()).nonFinite).toBe(1);
        expect(differing(await parameters.read(), before[0])).toEqual([]);
        expect(differing(await parameters.read("momenta"), before[1])).toEqual([]);
      } finally {
        sgd.destroy();
        parameters.destroy();
      }
    }
  });
});

describe("an update that overflows", () => {
  it("is seen before it is made, from the largest state that the steps before left", async () => {
    const device = await testDevice();
    const parameters = parametersOfEveryKind();
    await parameters.allocate(device, { training: true });
    // A momentum above 1 grows by itself: 1e38, 1.5e38, 2.25e38, 3.4e38 (float32's largest is 3.403e38).
    const sgd = await Sgd.create(device, parameters, { momentum: 1.5, weightDecay: 0 });
    try {
      const name = "s.conv1.weight";
      const shapes = parameters.trainable.map(({ name, fileShape }): [string, readonly number[]] => [name, fileShape]);
      const gradients = draw(shapes, "gradients");
      parameters.write(draw(parameters.fileShapes, "values"));
      const rates = { base: 1e-30, fusion: 1e-30 };
      for (let step = 0; step < 4; step++) {
        gradients.get(name)!.data[7] = step === 0 ? 1e38 : 0;
        parameters.write(gradients, "gradients");
        sgd.step(rates);
        expect((await sgd.status()).nonFinite).toBe(0);
      }
      const before = [await parameters.read(), await parameters.read("momenta")] as const;
      expect(before[1].get(name)!.data[7]).toBeGreaterThan(3.3e38);
      sgd.step(rates);
      expect((await sgd.status()).nonFinite).toBe(1);
      expect(await sgd.findNonFiniteUpdate(rates)).toBe(name);
      expect(differing(await parameters.read(), before[0])).toEqual([]);
      expect(differing(await parameters.read("momenta"), before[1])).toEqual([]);
    } finally {
      sgd.destroy();
      parameters.destroy();
    }
  });
});

describe("what the update's check knows", () => {
  const name = "s.conv1.weight";

  /** Parameters of every kind, all below 0.01 but for one weight, its momentum and its gradient. */
  async function withElement(
    [w, m, g]: readonly [number, number, number],
    options: { frozen?: boolean },
    run: (sgd: Sgd, parameters: Parameters) => Promise<void>,
  ): Promise<void> {
    const parameters = parametersOfEveryKind();
    await parameters.allocate(await testDevice(), { training: true });
    const frozen = (slice: { name: string }) => options.frozen === true && slice.name === name;
    const sgd = await Sgd.create(await testDevice(), parameters, { momentum: 0.9, weightDecay: 0, frozen });
    try {
      const shapes = parameters.trainable.map(({ name, fileShape }): [string, readonly number[]] => [name, fileShape]);
      const small = (all: Iterable<[string, readonly number[]]>, what: string) => {
        const tensors = draw(all, what);
        for (const { data } of tensors.values()) data.set(Array.from(data, (value) => value / 100));
        return tensors;
      };
      const [values, momenta, gradients] = [
        small(parameters.fileShapes, "values"),
        small(shapes, "m"),
        small(shapes, "g"),
      ];
      for (const [tensors, value] of [
        [values, w],
        [momenta, m],
        [gradients, g],
      ] as const) {
        tensors.get(name)!.data[7] = value;
      }
      parameters.write(values);
      parameters.write(momenta, "momenta");
      parameters.write(gradients, "gradients");
      await run(sgd, parameters);
    } finally {
      sgd.destroy();
      parameters.destroy();
    }
  }

  it("is the state that a step at rate 0 left as it was", async () => {
    await withElement([3e38, -3.4e38, 0.1], {}, async (sgd, parameters) => {
      sgd.step({ base: 0, fusion: 0 });
      expect((await sgd.status()).nonFinite).toBe(0);
      const before = [await parameters.read(), await parameters.read("momenta")] as const;
      sgd.step({ base: 1, fusion: 1 });
      expect((await sgd.status()).nonFinite).toBeGreaterThan(0);
      expect(differing(await parameters.read(), before[0])).toEqual([]);
      expect(differing(await parameters.read("momenta"), before[1])).toEqual([]);
    });
  });

  it("is the rate as the device has it: beyond float32 no step is safe", async () => {
    await withElement([0.01, 0, 0.001], {}, async (sgd, parameters) => {
      sgd.step({ base: 1e-6, fusion: 0 }); // after what the host wrote everything is looked at
      const before = await parameters.read();
      sgd.step({ base: 1e39, fusion: 0 });
      expect((await sgd.status()).nonFinite).toBeGreaterThan(0);
      expect(differing(await parameters.read(), before)).toEqual([]);
    });
  });

  it("is not what a frozen slice's momentum would become", async () => {
    await withElement([0.5, 3.3e38, 3.3e38], { frozen: true }, async (sgd, parameters) => {
      const before = await parameters.read("momenta");
      sgd.step({ base: 1e-3, fusion: 1e-3 });
      expect((await sgd.status()).nonFinite).toBe(0);
      expect((await parameters.read("momenta")).get(name)).toEqual(before.get(name));
    });
  });
});

describe("running statistics", () => {
  it("take 0.1 of each micro-batch's mean and n/(n − 1) variance, in their order", async () => {
    const device = await testDevice();
    const parameters = new Parameters();
    const [streams, n, height, width, channels] = [3, 2, 3, 5, 6];
    const norm = new BatchNorm2d({ parameters, prefixes: ["a.", "s.", "e."] }, "bn1", channels);
    const tape = new Tape(device, { training: true });
    const x = tape.input("x", [streams, n, height, width, channels]);
    const y = batchNorm(x, norm);
    await parameters.allocate(device, { training: true });
    const program = await tape.compile([y]);
    const sgd = await Sgd.create(device, parameters, { momentum: 0.9, weightDecay: 0 });
    try {
      const start = draw(parameters.fileShapes, "start");
      parameters.write(start);
      const expected = new Map([...start].map(([name, { data }]) => [name, Float64Array.from(data)]));
      const rows = n * height * width;
      for (let step = 0; step < 2; step++) {
        for (let part = 0; part < 3; part++) {
          const random = new Random(5, "x", step, part);
          const values = Float32Array.from({ length: x.size }, () => 3 + part + random.normal() * (1 + step));
          program.write(x, values);
          program.run();
          sgd.trackStatistics(part);
          ["a", "s", "e"].forEach((stream, g) => {
            for (let c = 0; c < channels; c++) {
              const column = Array.from({ length: rows }, (_, row) => values[(g * rows + row) * channels + c]!);
              const mean = column.reduce((a, b) => a + b, 0) / rows;
              const variance = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (rows - 1);
              const [means, variances] = [`${stream}.bn1.running_mean`, `${stream}.bn1.running_var`];
              expected.get(means)![c] = 0.9 * expected.get(means)![c]! + 0.1 * mean;
              expected.get(variances)![c] = 0.9 * expected.get(variances)![c]! + 0.1 * variance;
            }
          });
        }
        // Only with the step do they become the running ones.
        if (step === 0)
          expect((await parameters.read()).get("a.bn1.running_mean")).toEqual(start.get("a.bn1.running_mean"));
        sgd.step({ base: 0, fusion: 0 });
      }
      const found = await parameters.read();
      for (const [name, values] of expected) {
        expect(largestDifference(found.get(name)!.data, values), name).toBeLessThan(1e-5);
      }
    } finally {
      sgd.destroy();
      program.destroy();
      parameters.destroy();
    }
  });
});

describe("micro-batches", () => {
  const [batchSize, microBatch] = [12, 4];
  const batch = noiseBatch(batchSize);
  const aesCount = batch.aesMask.reduce((a, b) => a + b, 0);
  const emoCount = batch.emoTarget.filter((label) => label >= 0).length;

  it("sum to the gradient of the mean over the whole batch's labels", async () => {
    const device = await testDevice();
    const start = tinyNetwork().parameters.initialValues(0);

    // Each part by itself, its losses divided by the counts of the whole.
    const network = tinyNetwork();
    const { parameters } = network;
    const tape = new Tape(device, { training: true });
    const images = tape.input("images", [microBatch, decodedSize, decodedSize, 3], { dtype: "u8" });
    const crops = tape.input("crops", [microBatch, 3], { dtype: "i32" });
    const aesLabels = tape.input("aes labels", [microBatch]);
    const emoLabels = tape.input("emo labels", [microBatch], { dtype: "i32" });
    const [aesTotal, emoTotal, one] = ["aes count", "emo count", "one"].map((name) => tape.input(name, [1]));
    const { mean, deviation } = tinyPreprocessing;
    const logits = network.forward(preprocess(images, crops, { size: 32, mean, deviation }));
    const aes = binaryCrossEntropyWithLogits(logits.aes!, aesLabels, aesTotal!);
    const emo = softmaxCrossEntropy(logits.emo!, emoLabels, emoTotal!);
    tape.backward(addScaled(aes, emo, 0.25), one!);
    await parameters.allocate(device, { training: true });
    const program = await tape.compile([logits.aes!, logits.emo!]);
    parameters.write(start);
    program.write(aesTotal!, [aesCount]);
    program.write(emoTotal!, [emoCount]);
    program.write(one!, [1]);
    const sums = new Map(parameters.trainable.map(({ name, fileShape }) => [name, new Float32Array(size(fileShape))]));
    let lossAes = 0;
    let lossEmo = 0;
    for (let first = 0; first < batchSize; first += microBatch) {
      const part = partOf(batch, first, microBatch);
      const labels = part.aesTarget.map((target, i) => (part.aesMask[i] ? target : -1));
      program.write(images, part.images);
      program.write(crops, part.crops);
      program.write(aesLabels, labels);
      program.write(emoLabels, part.emoTarget);
      program.run();
      for (const [name, { data }] of await parameters.read("gradients")) {
        const sum = sums.get(name)!;
        data.forEach((g, i) => {
          sum[i]! += g;
        });
      }
      const [a, e] = [await program.read(logits.aes!), await program.read(logits.emo!)];
      for (let i = 0; i < microBatch; i++) {
        if (labels[i]! >= 0) lossAes += Math.log1p(Math.exp(labels[i] === 1 ? -a[i]! : a[i]!));
        const row = e.subarray(4 * i, 4 * i + 4);
        const label = part.emoTarget[i]!;
        if (label >= 0) lossEmo += Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[label]!;
      }
    }
    program.destroy();
    parameters.destroy();

    const whole = tinyNetwork();
    const step = await TrainingStep.create(device, whole, stepOptions(batchSize, { microBatch }));
    whole.parameters.write(start);
    // Twice, so that the second has to clear what the first left.
    await step.submit(noiseBatch(batchSize, 1), { base: 0, fusion: 0 });
    const losses = await step.submit(batch, { base: 0, fusion: 0 });
    const accumulated = await whole.parameters.read("gradients");
    step.destroy();
    whole.parameters.destroy();

    expect(aesCount).toBeLessThan(batchSize);
    expect(emoCount).toBeLessThan(batchSize);
    expect(losses.aes).toBeCloseTo(lossAes / aesCount, 5);
    expect(losses.emo).toBeCloseTo(lossEmo / emoCount, 5);
    expect(losses.loss).toBeCloseTo(lossAes / aesCount + (0.25 * lossEmo) / emoCount, 5);
    for (const [name, sum] of sums) {
      const found = accumulated.get(name)!.data;
      expect(Math.max(...sum.map(Math.abs)), name).toBeGreaterThan(0);
      expect(largestDifference(found, sum), name).toBe(0);
    }
  });

  it("leave everything as it was when one of them is not finite", async () => {
    const device = await testDevice();
    const network = tinyNetwork();
    const { parameters } = network;
    const step = await TrainingStep.create(device, network, stepOptions(batchSize, { microBatch }));
    const rates = { base: 1e-2, fusion: 1e-2 };
    try {
      parameters.write(parameters.initialValues(0));
      expect((await step.submit(batch, rates)).nonFinite).toBe(0);
      // One weight so large that what it gives overflows.
      const bias = (await parameters.read()).get("head.emo.bias")!;
      bias.data[0] = 3e38;
      bias.data[1] = -3e38;
      parameters.write(new Map([["head.emo.bias", bias]]));
      const before = [await parameters.read(), await parameters.read("momenta")] as const;
      const losses = await step.submit(batch, rates);
      expect(losses.nonFinite).toBeGreaterThan(0);
      expect(Number.isFinite(losses.emo)).toBe(false);
      expect(differing(await parameters.read(), before[0])).toEqual([]);
      expect(differing(await parameters.read("momenta"), before[1])).toEqual([]);
    } finally {
      step.destroy();
      parameters.destroy();
    }
  });
});

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

function largestDifference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < found.length; i++) {
    const difference = Math.abs(found[i]! - expected[i]!);
    largest = Number.isNaN(difference) ? Number.NaN : Math.max(largest, difference);
  }
  return largest;
}
