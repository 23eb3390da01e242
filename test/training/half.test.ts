/** Mixed precision: f16 activations, f32 arithmetic and masters, a loss scale that the device decides on. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { describeScene, drawScene, emotions } from "../../src/aenet/data/synth/index.ts";
import { Inference } from "../../src/aenet/inference.ts";
import { createNetwork, type Network } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { parseState } from "../../src/aenet/training/state.ts";
import { type StepInput, type StepLosses, type StepOptions, TrainingStep } from "../../src/aenet/training/step.ts";
import { type DryRun, dryRun, resumeTraining, train } from "../../src/aenet/training/train.ts";
import { fromHalf, halfRounding, toHalf } from "../../src/half.ts";
import { parseSafetensors } from "../../src/nn/index.ts";
import { runCommand } from "../cli/run.ts";
import { testDevice } from "../support/device.ts";
import {
  differingOutcomes,
  fileOf,
  readMetrics,
  temporaryFolder,
  timelessMetrics,
  tinyConfig,
  writeDataSet,
} from "./runs.ts";
import { settings } from "./settings.ts";
import { differing, noiseBatch, stepOptions, tinyNetwork } from "./tiny.ts";

const device = await testDevice();
const batchSize = 4;
const rates = { base: 1e-2, fusion: 1e-2 };

const made: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.destroy();
});

interface Started {
  readonly network: Network;
  readonly step: TrainingStep;
  readonly submit: () => Promise<StepLosses>;
  /** Weights, statistics and momenta. */
  readonly state: () => Promise<Awaited<ReturnType<Network["parameters"]["read"]>>[]>;
}

async function started(options: Partial<StepOptions> = {}): Promise<Started> {
  const network = tinyNetwork();
  const all = stepOptions(batchSize, { precision: "f16", ...options });
  const step = await TrainingStep.create(device, network, all);
  made.push(step, network.parameters);
  const { parameters } = network;
  parameters.write(parameters.initialValues(0));
  return {
    network,
    step,
    submit: () => step.submit(noiseBatch(batchSize), rates),
    state: async () => [await parameters.read(), await parameters.read("momenta")],
  };
}

const differs = (a: Awaited<ReturnType<Started["state"]>>, b: typeof a) =>
  a.flatMap((part, i) => differing(part, b[i]!));

describe.skipIf(!device.hasHalves)("the loss scale", () => {
  it("halves when gradients overflow: that step changes nothing, those before and after it do", async () => {
    const run = await started({ lossScale: { initial: 2 ** 24 } });
    const before = await run.state();
    let losses = await run.submit();
    expect(losses).toMatchObject({ nonFinite: 0, lossScale: 2 ** 23, skippedSteps: 1, cleanSteps: 0 });
    expect(Number.isFinite(losses.loss)).toBe(true);
    expect(differs(await run.state(), before)).toEqual([]);
    const first = losses.loss;
    while (losses.cleanSteps === 0) {
      expect(losses.skippedSteps).toBeLessThan(24);
      expect(differs(await run.state(), before)).toEqual([]);
      losses = await run.submit();
      expect(losses.loss).toBe(first);
    }
    expect(losses.lossScale).toBe(2 ** (24 - losses.skippedSteps));
    expect(differs(await run.state(), before).length).toBeGreaterThan(100);
  });

  it.each([batchSize, 2])("doubles after so many sound steps (micro-batches of %i)", async (microBatch) => {
    const run = await started({ microBatch, lossScale: { initial: 256, growthInterval: 3 } });
    const scales: number[] = [];
    for (let i = 0; i < 7; i++) scales.push((await run.submit()).lossScale);
    expect(scales).toEqual([256, 256, 512, 512, 512, 1024, 1024]);
  });

  it("does not show in the update: powers of two give the same bits, but for what vanishes in f16", async () => {
    const [small, large] = [
      await started({ lossScale: { initial: 1024 } }),
      await started({ lossScale: { initial: 2048 } }),
    ];
    await small.submit();
    await large.submit();
    const [a, b] = [await small.network.parameters.read("gradients"), await large.network.parameters.read("gradients")];
    for (const [name, { data }] of a) {
      const norm = Math.hypot(...data);
      const difference = Math.hypot(...data.map((value, i) => b.get(name)!.data[i]! - 2 * value));
      expect(difference, name).toBeLessThan(2e-3 * norm);
    }
  });

  it("stops training where even a scale of 1 overflows, by the gradient's name", async () => {
    const run = await started({ lambda: 1e9, lossScale: { initial: 4 } });
    const before = await run.state();
    const scales = [await run.submit(), await run.submit()].map(({ nonFinite, lossScale }) => [nonFinite, lossScale]);
    expect(scales).toEqual([
      [0, 2],
      [0, 1],
    ]);
    const last = await run.submit();
    expect(last.nonFinite).toBeGreaterThan(0);
    expect(last).toMatchObject({ lossScale: 1, skippedSteps: 2 });
    expect(differs(await run.state(), before)).toEqual([]);
    const reason = await run.step.explainNonFinite(noiseBatch(batchSize), rates);
    expect(reason).toMatch(
      /^globalAveragePool backward: d\(layer4\.0\.bn3\.\S+\) is not finite in stream [ase]: -?Infinity at/,
    );
    expect(differs(await run.state(), before)).toEqual([]);
  });

  it("does not move where a loss is not finite: that stops training at once", async () => {
    const run = await started({ lossScale: { initial: 512 } });
    const { parameters } = run.network;
    const bias = (await parameters.read()).get("head.emo.bias")!;
    parameters.write(
      new Map([["head.emo.bias", { ...bias, data: bias.data.map((_, i) => (i === 0 ? 3e38 : -3e38)) }]]),
    );
    const before = await run.state();
    const losses = await run.submit();
    expect(losses.nonFinite).toBeGreaterThan(0);
    expect(losses).toMatchObject({ lossScale: 512, skippedSteps: 0, cleanSteps: 0 });
    expect(differs(await run.state(), before)).toEqual([]);
  });

  it("is of no help where a weight is too large for f16: the product that meets it is named", async () => {
    const run = await started();
    const { parameters } = run.network;
    const name = "s.layer2.0.conv1.weight";
    const weight = (await parameters.read()).get(name)!;
    parameters.write(new Map([[name, { ...weight, data: weight.data.map((w, i) => (i === 0 ? 7e4 : w)) }]]));
    const before = await run.state();
    expect((await run.submit()).nonFinite).toBeGreaterThan(0);
    const reason = await run.step.explainNonFinite(noiseBatch(batchSize), rates);
    expect(reason).toMatch(/^layer2\.0\.conv1\.conv2d is not finite in stream s: (NaN|-?Infinity) at/);
    expect(differs(await run.state(), before)).toEqual([]);
  });
});

describe.skipIf(!device.hasHalves)("a run in f16", () => {
  const folder = temporaryFolder();

  it("that was stopped and resumed has the bytes of one that was not, its loss scale too", async () => {
    const data = await writeDataSet(folder, { train: 19, val: 5, test: 2 });
    const config = tinyConfig(data, { precision: "f16", checkpointEvery: 3, maxSteps: 8 });
    const run = async (name: string, maxSteps: number) => {
      const path = join(folder, name);
      const messages: string[] = [];
      await train({ ...config, maxSteps }, { path, overwrite: false }, settings(), {
        onMessage: (line) => messages.push(line),
      });
      return { path, messages };
    };
    const whole = await run("whole", 8);
    const { path } = await run("stopped", 5);
    await resumeTraining(path, { maxSteps: 8 }, settings({ workers: 1 }));
    expect(differingOutcomes(path, whole.path)).toEqual([]);
    expect(timelessMetrics(path)).toEqual(timelessMetrics(whole.path));

    const file = "last.state.safetensors";
    const { lossScale, counters } = parseState(file, parseSafetensors(fileOf(path, file)));
    const steps = readMetrics(path).filter((record) => record.type === "step");
    expect(steps.at(-1)).toMatchObject({ step: 8, loss_scale: lossScale, skipped_steps: counters.skippedSteps });
    expect(lossScale).toBe(2 ** (16 - counters.skippedSteps!));
    const skips = whole.messages.filter((line) => line.includes("overflow f16"));
    expect(skips).toHaveLength(counters.skippedSteps!);
    const lastSkip = steps.findLastIndex((record, i) => record.skipped_steps !== (steps[i - 1]?.skipped_steps ?? 0));
    expect(counters.cleanSteps).toBe(steps.length - 1 - lastSkip);
    expect(JSON.parse(readFileSync(join(path, "config.json"), "utf8"))).toMatchObject({ precision: "f16" });
  });

  it("eval, predict and bench step compute in f16, to what f32 gives but for rounding", async () => {
    const data = await writeDataSet(folder, { train: 19, val: 5, test: 2 });
    const path = join(folder, "other");
    await train(tinyConfig(data, { maxSteps: 2 }), { path, overwrite: false }, settings());
    const checkpoint = ["--checkpoint", join(path, "checkpoints", "last.safetensors")];
    const both = async (args: string[], figureIn: RegExp) => {
      const figures: number[] = [];
      for (const precision of ["f32", "f16"]) {
        const { code, out, err } = await runCommand([...args, "--json", "--precision", precision]);
        expect({ code, err }).toMatchObject({ code: 0 });
        figures.push(Number(figureIn.exec(out)![1]));
      }
      const [full, half] = figures as [number, number];
      expect(half).not.toBe(full);
      expect(Math.abs(half / full - 1)).toBeLessThan(Math.sqrt(34) * halfRounding);
    };
    await both(["eval", ...checkpoint, "--data", data], /"loss": ([\d.e-]+)/);
    await both(["predict", ...checkpoint, join(folder, "test-0.png")], /"aes_prob": ([\d.e-]+)/);
    const tiny = ["--depth", "1,1,1,1", "--base-channels", "4", "--image-size", "32", "--batch-size", "2"];
    const bench = await runCommand(["bench", "step", ...tiny, "--steps", "1", "--json", "--precision", "f16"]);
    expect(JSON.parse(bench.out)).toMatchObject({ precision: "f16", steps: 1 });
  });

  it("plans half the memory of activations", async () => {
    const data = await writeDataSet(folder, { train: 19, val: 5, test: 2 });
    const config = tinyConfig(data, { depth: [1, 1, 1, 1], baseChannels: 32, batchSize: 16, imageSize: 64 });
    const [full, half] = [await dryRun(config, settings()), await dryRun({ ...config, precision: "f16" }, settings())];
    expect(half.memory.halves).toBe(half.memory.parameters / 2);
    // In f32 some of them may lie in textures, and not in buffers any more.
    const bytes = ({ memory }: DryRun) => memory.activations + memory.copies;
    expect(bytes(half) / bytes(full)).toBeLessThan(0.55);
    expect(full.memory.halves).toBe(0);
  });
});

it.skipIf(device.hasHalves)(
  "--precision f16 is refused by flag, adapter and feature before a run is made",
  async () => {
    const folder = temporaryFolder();
    const data = await writeDataSet(folder, { train: 19 });
    const path = join(folder, "run");
    const running = train(tinyConfig(data, { precision: "f16" }), { path, overwrite: false }, settings());
    await expect(running).rejects.toThrow(/^--precision f16: the adapter \(.+\) has no shader-f16/);
  },
);

/** A batch of generated scenes with both labels. */
function sceneBatch(count: number, size: number, from: number): StepInput {
  const options = { seed: 0, size };
  const scenes = Array.from({ length: count }, (_, i) => describeScene(options, from + i));
  return {
    images: Uint8Array.from(scenes.flatMap((scene) => [...drawScene(options, scene)])),
    crops: new Int32Array(3 * count),
    aesTarget: Float32Array.from(scenes, ({ aesLabel }) => (aesLabel === "high" ? 1 : 0)),
    aesMask: new Float32Array(count).fill(1),
    emoTarget: Int32Array.from(scenes, ({ emotion }) => emotions.indexOf(emotion)),
  };
}

describe.skipIf(!device.hasHalves)("a reduced AENet on scenes", () => {
  const size = 32;
  const batch = sceneBatch(16, size, 0);
  const options = stepOptions(16, { decodedSize: size, preprocessing: { ...defaultPreprocessing, imageSize: size } });

  async function losses(more: Partial<StepOptions>, rounded: boolean): Promise<number[]> {
    const network = createNetwork(createArchitecture("aenet", emotions, { depth: [1, 1, 1, 1], baseChannels: 8 }));
    const step = await TrainingStep.create(device, network, { ...options, ...more });
    made.push(step, network.parameters);
    const values = network.parameters.initialValues(0);
    if (rounded) for (const { data } of values.values()) data.set(data.map((value) => fromHalf(toHalf(value))));
    network.parameters.write(values);
    const found: number[] = [];
    for (let i = 0; i < 30; i++) {
      const { loss, nonFinite, skippedSteps } = await step.submit(batch, rates);
      expect([nonFinite, skippedSteps]).toEqual([0, 0]);
      found.push(loss!);
    }
    return found;
  }

  it("learns in 30 steps of f16, and strays from f32 as f32 does when its first weights are rounded to f16", async () => {
    const full = await losses({}, false);
    const rounded = await losses({}, true);
    const half = await losses({ precision: "f16", lossScale: { initial: 1024 } }, false);
    // Before the first update only roundings differ: some 34 tensors one behind another, each off by 2^-11 at most.
    expect(Math.abs(half[0]! / full[0]! - 1)).toBeLessThan(Math.sqrt(34) * halfRounding);
    // After it training is chaotic. What a single rounding of the weights leads to in f32 says how much is nothing.
    const strayed = (other: number[]) => other.reduce((sum, loss, i) => sum + Math.abs(loss - full[i]!), 0);
    if (process.env.AENET_FIGURES) {
      console.log("losses of f32, of f32 from rounded weights, of f16, at steps 1, 2, 3, 5, 10, 20, 30");
      for (const run of [full, rounded, half])
        console.log([0, 1, 2, 4, 9, 19, 29].map((i) => run[i]!.toFixed(4)).join(" "));
      console.log(`strayed: f32 from rounded weights ${strayed(rounded)}, f16 ${strayed(half)}`);
    }
    expect(strayed(half)).toBeLessThan(2 * strayed(rounded));
    expect(half[29]).toBeLessThan(half[0]! / 100);
    expect(half).not.toEqual(full);
  });
});

describe.skipIf(!device.hasHalves)("evaluation in f16", () => {
  it("gives the logits of f32 but for rounding", async () => {
    const logits = async (precision: "f32" | "f16") => {
      const network = tinyNetwork();
      const { decodedSize, preprocessing } = stepOptions(batchSize);
      const inference = await Inference.create(device, network, { batchSize, decodedSize, preprocessing, precision });
      made.push(inference, network.parameters);
      network.parameters.write(network.parameters.initialValues(0));
      const { images, crops } = noiseBatch(batchSize);
      return inference.run(images, crops);
    };
    const [full, half] = [await logits("f32"), await logits("f16")];
    for (const task of ["aes", "emo"] as const) {
      const difference = Math.hypot(...half[task]!.map((logit, i) => logit - full[task]![i]!));
      expect(difference).toBeGreaterThan(0);
      // Some 17 activations one behind another and as many weights.
      expect(difference / Math.hypot(...full[task]!)).toBeLessThan(Math.sqrt(34) * halfRounding);
    }
  });
});
