import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type ArchName, createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { TrainingStep } from "../../src/aenet/training/step.ts";
import { dryRun, train } from "../../src/aenet/training/train.ts";
import { batchNorm, conv2d, Tape } from "../../src/autograd/index.ts";
import { Device, GpuError, type Limits } from "../../src/kernels/device.ts";
import { defineKernel, dispatch } from "../../src/kernels/kernel.ts";
import { firstAdapter } from "../../src/node/adapter.ts";
import { testDevice } from "../support/device.ts";
import { temporaryFolder, tinyConfig, writeDataSet } from "./runs.ts";
import { settings } from "./settings.ts";
import { classes, differing, noiseBatch, stepOptions, tinyNetwork } from "./tiny.ts";

const rates = { base: 0.02, fusion: 0.02 };
const opened: Device[] = [];
afterEach(() => {
  for (const device of opened.splice(0)) device.destroy();
});

/** The adapter of the tests with lower limits, or with another GPUDevice in place of its own. */
async function openWith(lower: Partial<Limits>, replace = (gpu: GPUDevice) => gpu): Promise<Device> {
  const { value } = await firstAdapter(settings(), (adapter, platform) => {
    const { features, limits, info } = adapter;
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => replace(await adapter.requestDevice(descriptor));
    return Device.request({ features, limits, info, requestDevice } as GPUAdapter, platform, lower);
  });
  opened.push(value);
  return value;
}

/** A GPUDevice with some members replaced. */
function withMembers(gpu: GPUDevice, members: Partial<GPUDevice>): GPUDevice {
  return new Proxy(gpu, {
    get(target, key) {
      if (key in members) return members[key as keyof GPUDevice];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => new Error("nothing was thrown"),
    (error: Error) => error,
  );
}

describe("a binding that the adapter does not allow whole", () => {
  // Streams that are not joined can be computed one by one; where they are joined, all are needed in one dispatch.
  it.each([
    ["aenet-fl", 24, 400_000],
    ["aenet", 12, 300_000],
    ["csnet", 12, 200_000],
  ] as const)("is bound by stream, to the same bits: %s", async (arch: ArchName, batchSize, limit) => {
    const results = [];
    for (const device of [await testDevice(), await openWith({ maxStorageBufferBindingSize: limit })]) {
      const network = createNetwork(createArchitecture(arch, classes, { depth: [1, 1, 1, 1], baseChannels: 8 }));
      const { parameters } = network;
      const { dispatches } = TrainingStep.plan(device, network, stepOptions(batchSize));
      const largest = dispatches.flatMap(({ bindings }) =>
        Object.values(bindings).map(({ storage, size = storage.byteLength }) => size),
      );
      const step = await TrainingStep.create(device, network, stepOptions(batchSize));
      parameters.write(parameters.initialValues(0));
      const losses = [];
      for (let i = 0; i < 2; i++) losses.push(await step.submit(noiseBatch(batchSize, i), rates));
      results.push({
        losses,
        values: await parameters.read(),
        momenta: await parameters.read("momenta"),
        dispatches: dispatches.length,
        largest: Math.max(...largest),
        arena: 4 * parameters.arenaSizes.weights,
      });
      step.destroy();
      parameters.destroy();
    }
    const [whole, split] = results;
    expect(whole!.largest).toBeGreaterThan(limit);
    expect(split!.largest).toBeLessThanOrEqual(limit);
    expect(split!.dispatches).toBeGreaterThan(whole!.dispatches);
    expect(whole!.arena).toBeGreaterThan(3 * limit); // the optimizer goes over its arenas in windows
    expect(split!.losses).toEqual(whole!.losses);
    expect(differing(split!.values, whole!.values)).toEqual([]);
    expect(differing(split!.momenta, whole!.momenta)).toEqual([]);
  });

  it("is so with micro-batches too, whose gradients are added up", async () => {
    const results = [];
    for (const device of [await testDevice(), await openWith({ maxStorageBufferBindingSize: 400_000 })]) {
      const network = createNetwork(createArchitecture("aenet-fl", classes, { depth: [1, 1, 1, 1], baseChannels: 8 }));
      const step = await TrainingStep.create(device, network, stepOptions(4, { microBatch: 2 }));
      network.parameters.write(network.parameters.initialValues(0));
      await step.submit(noiseBatch(4), rates);
      results.push(await network.parameters.read());
      step.destroy();
      network.parameters.destroy();
    }
    expect(differing(results[1]!, results[0]!)).toEqual([]);
  });

  it("does not keep a program from fitting because kernels could be merged", async () => {
    const device = await openWith({ maxStorageBufferBindingSize: 8192 });
    const lanes = device.subgroupSize!;
    const sizes = { lanes, across: lanes, rows: 16, columnVectors: 1 };
    device.tiles.override = () => ({ strategy: "subgroup", ...sizes, order: "column" });
    const tape = new Tape(device, { training: true });
    const x = tape.input("x", [3, 1, 4, 4, 64]);
    const weight = tape.input("weight", [3, 1, 1, 64, 20], { layout: "weight" });
    const of = (name: string) => tape.input(name, [3, 20]);
    const norm = { weight: of("gamma"), bias: of("beta"), runningMean: of("mean"), runningVar: of("variance") };
    const y = batchNorm(conv2d(x, weight), norm);
    // The weight, of 15,360 bytes, is bound by stream; the 240 bytes of a stream's statistics cannot be.
    const kernels = tape.plan([y]).dispatches.map(({ kernel }) => kernel.name.replace(/_subgroup.*/, ""));
    expect(kernels).toEqual([
      ...["conv2d_forward", "conv2d_forward", "conv2d_forward"],
      ...["batch_norm_whole_statistics", "batch_norm"],
    ]);
  });
});

describe("what does not fit the adapter", () => {
  it.each([
    ["maxStorageBufferBindingSize", 200_000, "needs 229376 bytes in one binding, the adapter allows 200000"],
    ["maxBufferSize", 200_000, "needs 229376 bytes in one buffer, the adapter allows 200000"],
  ] as const)(
    "is refused by its name and with the flag that helps, before anything is allocated: %s",
    async (limit, bytes, why) => {
      const device = await openWith({ [limit]: bytes });
      const options = stepOptions(14);
      const refused = await errorOf(TrainingStep.create(device, tinyNetwork(), options));
      expect(refused).toBeInstanceOf(GpuError);
      expect(refused.message).toContain(why);
      expect(refused.message).toMatch(/^\S+: .+; a smaller --micro-batch \(or --batch-size, or --image-size\) helps$/);
      expect(() => TrainingStep.plan(device, tinyNetwork(), options)).toThrow(refused.message);
      expect(device.allocatedBytes).toBe(0);
      // And the flag does help.
      TrainingStep.plan(device, tinyNetwork(), stepOptions(14, { microBatch: 2 }));
    },
  );

  it("is refused before a run's folder is made", async ({ skip }) => {
    const { maxStorageBufferBindingSize } = (await testDevice()).limits;
    if (maxStorageBufferBindingSize > 200 * 2 ** 20) skip("this adapter would take it");
    const folder = temporaryFolder();
    const config = tinyConfig(await writeDataSet(folder, { train: 2 }, { sound: true }), { imageSize: 3072 });
    const path = join(folder, "run");
    const refused = await errorOf(train(config, { path, overwrite: false }, settings()));
    expect(refused).toBeInstanceOf(GpuError);
    expect(refused.message).toMatch(/^\S+: .* needs \d+ bytes in one binding.*--image-size\) helps$/);
    expect(existsSync(path)).toBe(false);
    expect((await errorOf(dryRun(config, settings()))).message).toBe(refused.message);
  });

  it("is refused with the largest micro-batch that fits", async ({ skip }) => {
    const { maxStorageBufferBindingSize } = (await testDevice()).limits;
    if (maxStorageBufferBindingSize > 200 * 2 ** 20) skip("this adapter would take it");
    const data = await writeDataSet(temporaryFolder(), { train: 4 }, { sound: true });
    const refused = await errorOf(dryRun(tinyConfig(data, { imageSize: 2048, batchSize: 4 }), settings()));
    expect(refused.message).toMatch(/needs \d+ bytes in one binding.* helps: --micro-batch 2 fits$/);
  });
});

it("classes that lack an emotion of the manifest are refused before a run's folder is made", async () => {
  const folder = temporaryFolder();
  for (const split of ["train", "val"] as const) {
    const data = await writeDataSet(folder, { train: 2, [split]: 4 }, { sound: true });
    const config = tinyConfig(data, { classes: split === "train" ? ["awe", "hope"] : ["awe", "anger", "hope"] });
    const path = join(folder, "run");
    const refused = await errorOf(train(config, { path, overwrite: false }, settings()));
    expect(refused.message).toMatch(/emotion "\w+" is not among the classes awe, /);
    expect(existsSync(path)).toBe(false);
  }
});

describe("an error of the GPU", () => {
  it("in a dispatch is a GpuError with the operation's name, and frees what was allocated", async () => {
    const device = await openWith({});
    const network = tinyNetwork();
    await network.parameters.allocate(device, { training: true });
    const before = device.allocatedBytes;
    // A binding beyond its buffer.
    const { storage } = network.parameters.slices.find(({ name }) => name === "a.layer2.0.conv2.weight")!.tensor;
    const small = await device.createBuffer("too small", 256, GPUBufferUsage.STORAGE);
    storage.external = { buffer: small, offset: 0 };
    const error = await errorOf(TrainingStep.create(device, network, stepOptions(4)));
    small.destroy();
    expect(error).toBeInstanceOf(GpuError);
    expect(error.message).toMatch(/^layer2\.0\.conv2\.conv2d: conv2d_\w+: Binding (range|size) .* "too small"/);
    expect(device.allocatedBytes).toBe(before);
    device.check();
  });

  it("in a kernel's code is a GpuError with the kernel's name", async () => {
    const device = await openWith({});
    const wgsl = "fn run(group: u32, lane: u32) { y[lane] = nothing; }";
    const kernel = defineKernel({ name: "broken", inputs: {}, outputs: { y: "f32" }, params: {}, wgsl });
    const tape = new Tape(device);
    const y = tape.empty("y", [4]);
    tape.push(dispatch(kernel, { y }, {}, 1));
    const error = await errorOf(tape.compile([y]));
    expect(error).toBeInstanceOf(GpuError);
    expect(error.message).toMatch(/^broken: .*nothing/s);
    expect(device.allocatedBytes).toBe(0);
  });

  it("in a replayed step ends it, naming what was queued", async () => {
    const device = await openWith({});
    const network = tinyNetwork();
    const step = await TrainingStep.create(device, network, stepOptions(4));
    network.parameters.write(network.parameters.initialValues(0));
    await step.submit(noiseBatch(4), rates);
    network.parameters.buffers.values.destroy();
    const error = await errorOf(step.submit(noiseBatch(4), rates));
    expect(error).toBeInstanceOf(GpuError);
    expect(error.message).toMatch(/Buffer "parameters".*used in submit while destroyed.*preprocess … /s);
    await expect(step.submit(noiseBatch(4), rates)).rejects.toThrow(error.message);
  });

  it("for want of memory is a GpuError with the buffer's name", async () => {
    let buffers = 0;
    const device = await openWith({}, (gpu) =>
      withMembers(gpu, {
        createBuffer: (descriptor) => {
          if (descriptor.label?.startsWith("bank")) buffers++;
          return gpu.createBuffer(descriptor);
        },
        popErrorScope: async () => {
          const error = await gpu.popErrorScope();
          return buffers === 2 ? ({ message: "Out of memory" } as GPUError) : error;
        },
      }),
    );
    const network = tinyNetwork();
    await network.parameters.allocate(device, { training: true });
    const before = device.allocatedBytes;
    const error = await errorOf(TrainingStep.create(device, network, stepOptions(4)));
    expect(error).toBeInstanceOf(GpuError);
    expect(error.message).toMatch(/^bank 1 of \d+ \(\d+ bytes\): Out of memory; a smaller --micro-batch/);
    expect(device.allocatedBytes).toBe(before);
  });

  it("is told when the device is lost", async () => {
    let lose = (_: GPUDeviceLostInfo) => {};
    const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
      lose = resolve;
    });
    const device = await openWith({}, (gpu) => withMembers(gpu, { lost }));
    const network = tinyNetwork();
    const step = await TrainingStep.create(device, network, stepOptions(4));
    network.parameters.write(network.parameters.initialValues(0));
    const losses = step.submit(noiseBatch(4), rates);
    lose({ reason: "unknown", message: "a hang" } as GPUDeviceLostInfo);
    device.gpu.destroy();
    const error = await errorOf(losses);
    expect(error).toBeInstanceOf(GpuError);
    expect(error.message).toBe("the GPU device was lost: a hang; last queued was reading status");
    await expect(step.submit(noiseBatch(4), rates)).rejects.toThrow(error.message);
    await expect(network.parameters.read()).rejects.toThrow(error.message);
  });
});
