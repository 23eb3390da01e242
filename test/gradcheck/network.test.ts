import { describe, expect, it } from "vitest";
import { type Architecture, type ArchName, archNames, createArchitecture } from "../../src/aenet/architecture.ts";
import { networkSubject } from "../../src/aenet/gradcheck/network.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { isWithin } from "../../src/autograd/gradcheck/check.ts";
import { type NdArray, ndarray, type Operations, Trace } from "../../src/autograd/reference/index.ts";
import { layerCases } from "../../src/nn/gradcheck/layers.ts";
import { batchNorm, tensorOf } from "../../src/nn/gradcheck/reference.ts";
import { checkSubject, type Subject, type SubjectOptions } from "../../src/nn/gradcheck/subject.ts";
import { BatchNorm2d, Parameters } from "../../src/nn/index.ts";
import { testDevice } from "../support/device.ts";

const classes = ["awe", "anger", "fear"];
const trunk = { depth: [1, 1, 1, 1], baseChannels: 4 };
const size = { batchSize: 8, imageSize: 32, lambda: 0.25, seed: 0 };
const options: SubjectOptions = { seed: 0, tolerance: 1e-4, directions: 2 };

const failing = async (subject: Subject, more: Partial<SubjectOptions> = {}) => {
  const measurements = await checkSubject(await testDevice(), subject, { ...options, ...more });
  return measurements.filter((found) => !isWithin(found)).map(({ tensor }) => tensor);
};

describe("every layer's gradients, element by element", () => {
  it.each(layerCases.map((layer) => [layer.name, layer] as const))("%s", async (_, layer) => {
    const measurements = await checkSubject(await testDevice(), layer.create(0), { ...options, directions: null });
    expect(measurements.filter((found) => !isWithin(found) || found.kinks > 0)).toEqual([]);
    expect(measurements.every(({ method }) => method !== "directions")).toBe(true);
  });
});

describe("a network's loss and the gradient of every tensor", () => {
  const variants: [string, Architecture][] = [
    ...archNames.map((arch): [string, Architecture] => [arch, createArchitecture(arch, classes, trunk)]),
    ["aenet by channel", createArchitecture("aenet", classes, { ...trunk, fusionGranularity: "channel" })],
    ["aenet, detached", createArchitecture("aenet", classes, { ...trunk, detachShared: true })],
    [
      "aenet, deeper, odd",
      createArchitecture("aenet", classes, { depth: [1, 2, 1, 1], baseChannels: 3, fusionPoints: [1, 4] }),
    ],
  ];
  it.each(variants)("%s, training", async (_, architecture) => {
    const subject = networkSubject(createNetwork(architecture), size);
    expect(await failing(subject)).toEqual([]);
  });

  it.each(["aenet", "csnet", "ssnet"] as ArchName[])("%s, evaluation", async (arch) => {
    const subject = networkSubject(createNetwork(createArchitecture(arch, classes, trunk)), {
      ...size,
      training: false,
    });
    expect(await failing(subject)).toEqual([]);
  });

  it("is seen to differ where the paths from the fused streams to S are left out", async () => {
    const detached = createNetwork(createArchitecture("aenet", classes, { ...trunk, detachShared: true }));
    const { parameters, forward } = detached;
    const whole = { architecture: createArchitecture("aenet", classes, trunk), parameters, forward };
    const tensors = await failing(networkSubject({ ...whole, forward: forward.bind(detached) }, size));
    const ofShared = parameters.trainable.map(({ name }) => name).filter((name) => name.startsWith("s."));
    // Every tensor of S, and nothing else, as nothing else's gradient passes through f_s into a fusion.
    expect(tensors).toEqual(ofShared);
  });
});

describe("the trace", () => {
  const row = (...values: number[]) => ndarray([1, values.length], values);
  const statistics = { runningMean: row(0, 0), runningVar: row(1, 1) };

  it("computes nothing again that has not changed", () => {
    let [weight, image] = [row(1, 1), ndarray([1, 1, 1, 2, 2], [1, 2, 3, -4])];
    const bias = row(0, 0);
    let calls = 0;
    const trace = new Trace((r) => {
      const y = r.batchNorm(image, { weight, bias, ...statistics }, { training: false });
      calls++;
      return r.globalAveragePool(y);
    });
    expect(trace.again().y).toBe(trace.y);
    weight = row(1, 2);
    expect(trace.again().y).not.toBe(trace.y);
    weight = row(1, 1);
    image = ndarray(image.shape, image.data);
    expect(trace.again().y.data).toEqual(trace.y.data);
    expect(calls).toBe(4);
  });

  /** Whether anything switches where x moves. */
  const switches = (x: NdArray, model: (x: NdArray, r: Operations) => NdArray) => {
    let now = x;
    const trace = new Trace((r) => model(now, r));
    return (...by: number[]) => {
      now = ndarray(
        x.shape,
        x.data.map((value, i) => value + by[i]!),
      );
      return trace.again().switched;
    };
  };

  it("tells exactly when a ReLU or a max pool has switched", () => {
    const affine = { weight: row(1, 1), bias: row(0, 0), ...statistics };
    const relu = switches(ndarray([1, 1, 1, 2, 2], [1, 2, -3, 1e-9]), (x, r) =>
      r.batchNorm(x, affine, { training: false, relu: true }),
    );
    expect(relu(-0.9, 1, 2.9, 1)).toBe(false);
    expect(relu(0, 0, 0, -2e-9)).toBe(true);
    expect(relu(0, 0, 4, 0)).toBe(true);
    const pool = switches(ndarray([1, 1, 2, 2, 1], [1, 2, 3, 2.999999]), (x, r) =>
      r.maxPool2d(x, { kernelSize: 2, stride: 2, padding: 0 }),
    );
    expect(pool(1, 0, 0, -5)).toBe(false);
    expect(pool(0, 0, 0, 2e-6)).toBe(true);
  });

  it("leads to directions that are drawn anew, and counted", async () => {
    const device = await testDevice();
    const parameters = new Parameters();
    const bn = new BatchNorm2d({ parameters, prefixes: [""] }, "bn", 4);
    const values = parameters.initialValues(0);
    values.set("bn.bias", { shape: [4], data: Float32Array.of(1e-9, 1, 1, 1) });
    const x = { values: ndarray([1, 1, 1, 2, 4]) };
    const subject: Subject = {
      parameters,
      values,
      training: false,
      inputs: { x },
      record: (t) => bn.forward(t.x!, { relu: true }),
      reference: (context) => batchNorm(context, "bn", tensorOf(context, "x"), { relu: true }),
    };
    // Every step of 1e-6 crosses bias₀'s kink, whichever the direction.
    await expect(checkSubject(device, subject, { ...options, directions: 3 })).rejects.toThrow(
      /bn\.bias: 31 directions cross a kink/,
    );
    const found = await checkSubject(device, subject, { ...options, directions: 3, step: 1e-10 });
    expect(found.filter((measurement) => !isWithin(measurement))).toEqual([]);
    const byElement = await checkSubject(device, subject, { ...options, directions: null });
    expect(byElement.find(({ tensor }) => tensor === "bn.bias")).toMatchObject({ count: 3, kinks: 1 });
  });
});
