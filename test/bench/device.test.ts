import { expect, it } from "vitest";
import { convolutionProduct, convolutionProducts } from "../../src/aenet/bench/convolutions.ts";
import { StepRunner } from "../../src/aenet/bench/step.ts";
import { relu, Tape } from "../../src/autograd/index.ts";
import { Ceilings } from "../../src/kernels/ceilings.ts";
import { accumulate, add } from "../../src/kernels/elementwise.ts";
import { defineKernel } from "../../src/kernels/kernel.ts";
import { sgd } from "../../src/kernels/sgd.ts";
import { bytesMoved, updatedOutputs } from "../../src/kernels/traffic.ts";
import { watchFinite } from "../../src/kernels/watch.ts";
import { testDevice } from "../support/device.ts";

it("bytes: outputs that a kernel updates in place count twice", () => {
  const t = { gradients: 0, values: 0, momenta: 0, segments: 0, firstSegments: 0, rates: 0, status: 0 };
  const optimizer = sgd({ size: 4, firstBlock: 0, momentum: 0.9 }, t).kernel;
  expect([...updatedOutputs(optimizer)]).toEqual(["values", "momenta", "status"]);
  expect([...updatedOutputs(accumulate(1, { x: 0, total: 0 }).kernel)]).toEqual(["total"]);
  expect([...updatedOutputs(watchFinite(1, { x: 0, status: 0 }).kernel)]).toEqual(["status"]);
  expect([...updatedOutputs(add(4, 1, { a: 0, b: 0, sum: 0 }, 1).kernel)]).toEqual([]);
  const nested = defineKernel({
    name: "nested",
    inputs: { x: "f32" },
    outputs: { y: "f32", z: "f32" },
    params: {},
    wgsl: "fn run(g: u32, l: u32) { y[u32(x[g + u32(x[l])])] = x[l]; if (z[g] == 1.0) { y[0] = 2.0; } }",
  });
  expect([...updatedOutputs(nested)]).toEqual(["z"]);
  expect(bytesMoved(nested, { x: 100, y: 10, z: 1 })).toBe(112);
});

it("a profiled run gives the same bits, and every dispatch its time, beyond one set of queries", async () => {
  const device = await testDevice();
  const count = 2100;
  const tape = new Tape(device);
  const x = tape.input("x", [8]);
  let y = x;
  for (let i = 0; i < count; i++) y = relu(y);
  const program = await tape.compile([y]);
  program.write(x, [1, -2, 3, -4, 5, -6, 7, -8]);
  program.run();
  const plain = await program.read(y);
  const dispatches = await device.profile(() => program.run());
  expect(await program.read(y)).toEqual(plain);
  expect(dispatches).toHaveLength(count);
  expect(dispatches[0]).toMatchObject({ operation: "relu", bytes: 64 });
  expect(dispatches.every(({ time }) => (time === null) !== device.hasTimestamps)).toBe(true);
  if (device.hasTimestamps) {
    const stamps = dispatches.flatMap(({ time }) => [time!.begin, time!.end]);
    expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
    expect(new Set(stamps).size).toBeGreaterThan(count); // not one stamp for all of a submit
  }
  program.destroy();
});

it("profiles do not nest, and a failed one ends", async () => {
  const device = await testDevice();
  const nested = device.profile(() => device.profile(() => {}));
  await expect(nested).rejects.toThrow("already");
  expect(device.profiler).toBeNull();
  expect(await device.profile(() => {})).toEqual([]);
});

it("a step's profile is the whole step, with all products of its convolutions", async () => {
  const device = await testDevice();
  const work = { arch: "resnet50-aes", depth: [1, 2, 1, 1], baseChannels: 4, batchSize: 2, imageSize: 32 };
  const runner = await StepRunner.create(device, work);
  const first = await runner.profile();
  expect(first.at(-1)).toMatchObject({ kernel: "running_statistics", strategy: null });
  const products = first.filter(({ kernel }) => /^conv2d_(forward|input_gradient|weight_gradient)/.test(kernel));
  expect(products.filter(({ strategy }) => strategy === null)).toEqual([]);
  // Where a block begins, gradients meet: those of its first convolution, and of its downsampling one or the residual.
  const meetings = first.filter(({ operation }) => operation.endsWith(".sum of gradients"));
  expect(meetings.map(({ kernel }) => kernel)).toEqual(Array(5).fill("combine"));
  const { ms, encodeMs } = await runner.run();
  expect(encodeMs).toBeLessThan(ms);
  expect((await runner.profile()).map(({ kernel }) => kernel)).toEqual(first.map(({ kernel }) => kernel));
  // The stem, three in each of five blocks, a downsampling one in each of four layers; the image needs no gradient.
  const convolutions = 1 + 3 * 5 + 4;
  const [forward, input, weight] = convolutionProducts.map((product) => {
    const members = first.filter((dispatch, i) => convolutionProduct(dispatch, i, first) === product);
    expect(members.filter(({ kernel }) => kernel === "combine")).toEqual([]);
    return {
      convolutions: new Set(members.map(({ operation }) => operation)).size,
      operations: members.reduce((sum, { operations }) => sum + operations, 0),
    };
  });
  expect([forward, input, weight].map((product) => product!.convolutions)).toEqual([
    convolutions,
    convolutions - 1,
    convolutions,
  ]);
  expect(weight!.operations).toBe(forward!.operations);
  expect(input!.operations).toBeLessThan(forward!.operations);
  const before = device.allocatedBytes;
  runner.destroy();
  expect(before - device.allocatedBytes).toBeGreaterThanOrEqual(runner.gpuBytes);
});

it("ceilings are rates above nothing, and give their memory back", async () => {
  const device = await testDevice();
  const before = device.allocatedBytes;
  const ceilings = await Ceilings.create(device);
  const { operationsPerSecond, bytesPerSecond } = await ceilings.sample();
  for (const rate of [operationsPerSecond, bytesPerSecond]) {
    expect(rate).toBeGreaterThan(1e6);
    expect(rate).toBeLessThan(1e15);
  }
  ceilings.destroy();
  expect(device.allocatedBytes).toBe(before);
});
