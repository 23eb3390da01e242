import { describe, expect, it } from "vitest";
import { type Architecture, archNames, createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import type { TensorData } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";
import { expectedTensors, parameterCount } from "../files/expected-tensors.ts";
import { testDevice } from "../support/device.ts";

const eight = ["amusement", "excitement", "awe", "contentment", "disgust", "anger", "fear", "sadness"];
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

describe("a network's parameters", () => {
  it.each([
    ["resnet50-aes", {}, 23_510_081],
    ["resnet50-emo", {}, 23_524_424],
    ["wrn-aes", {}, 70_295_713],
    ["wrn-emo", {}, 70_310_056],
    ["wrn-aes", { baseWidth: 128 }, 66_836_289],
    ["wrn-emo", { baseWidth: 128 }, 66_850_632],
    ["ssnet", {}, 23_526_473],
    ["csnet", {}, 47_034_525],
    ["aenet-fl", {}, 70_560_969],
    ["aenet", {}, 70_560_989],
  ] as const)("number %s %j exactly %i with eight emotions", (arch, options, count) => {
    const architecture = createArchitecture(arch, eight, options);
    const { parameters } = createNetwork(architecture);
    expect(parameters.count).toBe(count);
    expect(parameterCount(expectedTensors(architecture))).toBe(count);
  });

  const variants: [string, Architecture][] = [
    ...archNames.map((arch): [string, Architecture] => [arch, createArchitecture(arch, eight)]),
    ["aenet, reduced", createArchitecture("aenet", ["a", "b", "c"], { depth: [1, 2, 1, 1], baseChannels: 6 })],
    ["aenet, wide", createArchitecture("aenet", ["a", "b"], { depth: [1, 1, 1, 1], baseChannels: 8, baseWidth: 128 })],
    [
      "aenet, fused by channel at 1 and 3",
      createArchitecture("aenet", eight, { fusionPoints: [3, 1], fusionGranularity: "channel", baseChannels: 10 }),
    ],
    ["csnet, stitched at 0 and 4", createArchitecture("csnet", ["a", "b"], { fusionPoints: [4, 0], baseChannels: 6 })],
  ];
  it.each(variants)("have torchvision's names and shapes: %s", (_, architecture) => {
    const { parameters } = createNetwork(architecture);
    const sorted = (tensors: Iterable<[string, number[]]>) => [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(sorted(parameters.fileShapes)).toEqual(sorted(expectedTensors(architecture)));
  });

  it("lie apart in their arenas, each at a place that can be bound", () => {
    const { parameters } = createNetwork(createArchitecture("aenet", ["a", "b", "c"], small));
    for (const what of ["weights", "statistics"] as const) {
      const slices = parameters.slices
        .filter(({ name }) => name.includes("running_") === (what === "statistics"))
        .sort((a, b) => parameters.position(a) - parameters.position(b));
      let end = 0;
      for (const slice of slices) {
        const position = parameters.position(slice);
        expect(position, slice.name).toBeGreaterThanOrEqual(end);
        if (slice.offset === 0) expect((4 * position) % 256, slice.name).toBe(0);
        expect(slice.size, slice.name).toBeGreaterThanOrEqual(sizeOf(slice.shape));
        end = position + slice.size;
      }
      expect(parameters.arenaSizes[what]).toBeGreaterThanOrEqual(end);
    }
  });
});

const small = { depth: [1, 1, 1, 1], baseChannels: 6 };

describe("start values", () => {
  const { parameters } = createNetwork(createArchitecture("aenet", ["a", "b", "c"], small));
  const values = parameters.initialValues(7);

  it("are Xavier uniform for convolutions and linear weights, and constants for the rest", () => {
    for (const [name, { shape, data }] of values) {
      expect(data.length, name).toBe(sizeOf(shape));
      if (shape.length === 1) {
        const constant = /^fusion\.\d\.(alpha|beta)_p$/.test(name)
          ? 0.9
          : /^fusion\.\d\.(alpha|beta)_s$/.test(name)
            ? 0.1
            : /bn\d\.weight|downsample\.1\.weight|running_var/.test(name)
              ? 1
              : 0;
        expect(new Set(data), name).toEqual(new Set([Math.fround(constant)]));
        continue;
      }
      // Glorot and Bengio: U(−b, b) with b² = 6 / (fan in + fan out), so that the variance is 2 / (fan in + fan out).
      const [outputs, inputs, ...kernel] = shape;
      const bound = Math.sqrt(6 / ((inputs! + outputs!) * sizeOf(kernel)));
      const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expect(largest, name).toBeLessThanOrEqual(Math.fround(bound));
      expect(largest, name).toBeGreaterThan(bound * (1 - 12 / data.length));
      const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
      const variance = data.reduce((sum, x) => sum + x * x, 0) / data.length;
      // Five standard deviations of these two estimates.
      expect(Math.abs(mean), name).toBeLessThan((5 * bound) / Math.sqrt(3 * data.length));
      expect(Math.abs(variance / (bound ** 2 / 3) - 1), name).toBeLessThan(
        (5 * Math.sqrt(0.8)) / Math.sqrt(data.length),
      );
    }
  });

  it("follow from the seed and the tensor's name alone", () => {
    const again = createNetwork(createArchitecture("aenet", ["a", "b", "c"], small)).parameters.initialValues(7);
    expectSameBits(again, values);
    const other = parameters.initialValues(8);
    expect(other.get("a.conv1.weight")!.data).not.toEqual(values.get("a.conv1.weight")!.data);
    expect(values.get("s.conv1.weight")!.data).not.toEqual(values.get("a.conv1.weight")!.data);
    // The same tensors start the same in a network without fusion layers.
    const apart = createNetwork(createArchitecture("aenet-fl", ["a", "b", "c"], small)).parameters.initialValues(7);
    expectSameBits(apart, new Map([...apart.keys()].map((name) => [name, values.get(name)!])));
  });

  it("of a cross-stitch unit are 0.9 from the own stream and 0.1 from the other; the streams' are AENet's", () => {
    const csnet = createNetwork(createArchitecture("csnet", ["a", "b", "c"], small)).parameters.initialValues(7);
    for (const point of [0, 1, 2, 3, 4]) {
      expect(csnet.get(`stitch.${point}.weight`)).toEqual({ shape: [2, 2], data: Float32Array.of(0.9, 0.1, 0.1, 0.9) });
    }
    const streams = new Map([...csnet].filter(([name]) => /^[ae]\./.test(name)));
    expectSameBits(streams, new Map([...streams.keys()].map((name) => [name, values.get(name)!])));
  });
});

describe("the optimizer's view", () => {
  it.each(["aenet", "csnet"] as const)("%s: what joins the streams has the fusion rate and no decay", (arch) => {
    const { parameters } = createNetwork(createArchitecture(arch, ["a", "b"], small));
    for (const { name, group, decay } of parameters.trainable) {
      expect(group, name).toBe(/^(fusion|stitch)\./.test(name) ? "fusion" : "base");
      expect(decay, name).toBe(/^((\w\.)?(layer\d\.\d\.)?(conv\d|downsample\.0)|head\.\w+)\.weight$/.test(name));
    }
  });
});

describe("writing and reading on the device", () => {
  // Channels that are no multiples of four, in every kind of tensor.
  const architectures = [
    createArchitecture("aenet", ["a", "b", "c"], { ...small, fusionGranularity: "channel" }),
    createArchitecture("resnet50-emo", ["a", "b", "c", "d", "e"], { depth: [1, 1, 1, 1], baseChannels: 5 }),
    createArchitecture("wrn-aes", [], { depth: [1, 1, 1, 1], baseChannels: 5 }),
    createArchitecture("ssnet", ["a", "b", "c", "d", "e"], { depth: [1, 1, 1, 1], baseChannels: 5 }),
    createArchitecture("csnet", ["a", "b", "c"], small),
  ];
  it.each(architectures)("gives every bit back: $arch", async (architecture) => {
    const device = await testDevice();
    const { parameters } = createNetwork(architecture);
    const before = device.allocatedBytes;
    await parameters.allocate(device, { training: true });
    try {
      const values = distinct(parameters.fileShapes, "values");
      const momenta = distinct(
        parameters.trainable.map(({ name, fileShape }) => [name, fileShape]),
        "momenta",
      );
      parameters.write(values);
      parameters.write(momenta, "momenta");
      expectSameBits(await parameters.read(), values);
      expectSameBits(await parameters.read("momenta"), momenta);
      // What stands in memory is OHWI turned to [kh, kw, I, O]: one number, looked up by hand.
      const [slice] = parameters.slices.filter(({ name }) => name.endsWith("layer1.0.conv2.weight"));
      const [outputs, inputs, kh, kw] = slice!.fileShape;
      const [o, i, y, x] = [outputs! - 1, inputs! - 2, kh! - 1, kw! - 2];
      const inFile = values.get(slice!.name)!.data[((o! * inputs! + i!) * kh! + y!) * kw! + x!]!;
      const padded = (n: number) => 4 * Math.ceil(n / 4);
      // In one panel, in blocks of 4×4.
      const row = (y! * kw! + x!) * padded(inputs!) + i!;
      const block = Math.floor(row / 4) * (padded(outputs!) / 4) + Math.floor(o! / 4);
      const inMemory = 16 * block + 4 * (row % 4) + (o! % 4);
      const arena = await readArena(device, parameters.buffers.values);
      expect(arena[parameters.position(slice!) + inMemory]).toBe(inFile);
    } finally {
      parameters.destroy();
    }
    expect(device.allocatedBytes).toBe(before);
  });

  it("refuses what the network does not have", async () => {
    const device = await testDevice();
    const { parameters } = createNetwork(architectures[1]!);
    const tensor = (shape: number[]) => ({ shape, data: new Float32Array(sizeOf(shape)) });
    expect(() => parameters.write(new Map([["conv1.weight", tensor([5, 3, 7, 7])]]))).toThrow("no memory yet");
    await parameters.allocate(device, { training: false });
    try {
      const write = (name: string, shape: number[]) => () => parameters.write(new Map([[name, tensor(shape)]]));
      expect(write("a.conv1.weight", [5, 3, 7, 7])).toThrow("a.conv1.weight: the network has no such tensor");
      expect(write("conv1.weight", [7, 7, 3, 5])).toThrow(
        "conv1.weight: shape [7,7,3,5] where the network has [5,3,7,7]",
      );
      await expect(parameters.read("momenta")).rejects.toThrow("conv1.weight has no momenta");
    } finally {
      parameters.destroy();
    }
  });
});

/** Values without two alike in a tensor, with subnormals, infinities and negative zeros among them. */
function distinct(shapes: Iterable<[string, readonly number[]]>, stream: string): Map<string, TensorData> {
  const special = [-0, 1e-45, -1e-39, Number.POSITIVE_INFINITY, 3.4e38];
  return new Map(
    [...shapes].map(([name, shape]) => {
      const random = new Random(1, stream, name);
      const data = Float32Array.from({ length: sizeOf(shape) }, () => random.uniform(-1, 1));
      data.set(special.slice(0, data.length));
      return [name, { shape: [...shape], data }];
    }),
  );
}

function expectSameBits(found: ReadonlyMap<string, TensorData>, expected: ReadonlyMap<string, TensorData>): void {
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, { shape, data }] of expected) {
    expect(found.get(name)!.shape, name).toEqual(shape);
    const bits = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    expect(bits(found.get(name)!.data).equals(bits(data)), name).toBe(true);
  }
}

async function readArena(device: Awaited<ReturnType<typeof testDevice>>, source: GPUBuffer): Promise<Float32Array> {
  const { MAP_READ, COPY_DST } = GPUBufferUsage;
  const staging = await device.createBuffer("staging", source.size, MAP_READ | COPY_DST);
  const encoder = device.gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(source, 0, staging, 0, source.size);
  device.gpu.queue.submit([encoder.finish()]);
  await device.wait(staging.mapAsync(GPUMapMode.READ));
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}
