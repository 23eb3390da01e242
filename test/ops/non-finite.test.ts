import { expect, it } from "vitest";
import { batchNorm, conv2d, maxPool2d, RunningStatistic, relu, Tape, type Tensor } from "../../src/autograd/index.ts";
import { maxPool2d as maxPoolReference, ndarray } from "../../src/autograd/reference/index.ts";
import { testDevice } from "../support/device.ts";

const inf = Number.POSITIVE_INFINITY;

it("a window's maximum is NaN wherever it holds one, and the gradient goes where it stood", async () => {
  const windows = [
    [Number.NaN, 1, 2, 3],
    [1, Number.NaN, 2, 3],
    [1, 2, 3, Number.NaN],
    [inf, Number.NaN, 0, Number.NaN],
    [-inf, -inf, -inf, -inf],
    [-inf, -3e38, inf, inf],
    [-0, 0, -1, -inf],
  ];
  const tape = new Tape(await testDevice());
  const shape = [1, windows.length, 2, 2, 1];
  const x = tape.input("x", shape, { needsGrad: true });
  const dy = tape.input("dy", [1, windows.length, 1, 1, 1]);
  const options = { kernelSize: 2, stride: 2, padding: 0 };
  const y = maxPool2d(x, options);
  tape.backward(y, dy);
  const dx = tape.gradient(x)!;
  const program = await tape.compile([y, dx]);
  program.write(x, windows.flat());
  program.write(
    dy,
    windows.map((_, i) => i + 1),
  );
  program.run();
  const expected = maxPoolReference(ndarray(shape, windows.flat()), options);
  expect([...(await program.read(y))]).toEqual([...expected.data]);
  const found = await program.read(dx);
  const places = windows.map((_, i) => found.slice(4 * i, 4 * i + 4).indexOf(i + 1));
  expect(places).toEqual([0, 1, 3, 1, 0, 2, 0]);
  program.destroy();
});

it("a ReLU keeps NaN and infinity, behind a batch norm and in a convolution's store too", async () => {
  const values = [Number.NaN, inf, -inf, -1, 2, -0];
  const tape = new Tape(await testDevice());
  const x = tape.input("x", [1, values.length, 1, 1, 1]);
  const weight = tape.input("weight", [1, 1, 1, 1, 1], { layout: "weight" });
  const [zeros, ones, bias] = ["zeros", "ones", "bias"].map((name) => tape.input(name, [1, 1]));
  const norm = { weight: ones!, bias: bias!, runningMean: zeros!, runningVar: ones! };
  const normed = (y: Tensor, residual?: Tensor) => batchNorm(y, norm, { relu: true, residual, eps: 0 });
  const outputs = [relu(x), normed(x), normed(conv2d(x, weight)), normed(x, x)];
  const program = await tape.compile(outputs);
  expect(program.commands.map(({ kernel }) => kernel).filter((name) => /forward_norm/.test(name))).toHaveLength(1);
  program.write(x, values);
  for (const [input, value] of [
    [weight, 1],
    [ones!, 1],
    [zeros!, 0],
    [bias!, 0],
  ] as const)
    program.write(input, [value]);
  program.run();
  const [plain, alone, stored, added] = await Promise.all(outputs.map((y) => program.read(y)));
  for (const y of [plain, alone, stored]) expect([...y!].map(Math.abs)).toEqual([Number.NaN, inf, 0, 0, 2, 0]);
  expect([...added!].map(Math.abs)).toEqual([Number.NaN, inf, 0, 0, 4, 0]);
  program.destroy();
});

it.each([
  ["of one block of rows", 16],
  ["of several", 256],
])("a batch variance that overflows is infinite: %s", async (_, rows) => {
  const device = await testDevice();
  const tape = new Tape(device, { training: true });
  const x = tape.input("x", [1, rows, 1, 1, 4]);
  const [ones, zeros] = ["ones", "zeros"].map((name) => tape.input(name, [1, 4]));
  const [runningMean, runningVar] = ["mean", "var"].map((name) => new RunningStatistic(name, [1, 4]));
  const buffer = await device.createBuffer("statistics", 4 * 256, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  for (const [i, { storage }] of [runningMean!, runningMean!.batch, runningVar!, runningVar!.batch].entries()) {
    storage.external = { buffer, offset: 256 * i };
  }
  const y = batchNorm(x, { weight: ones!, bias: zeros!, runningMean: runningMean!, runningVar: runningVar! });
  const program = await tape.compile([y]);
  program.write(ones!, [1, 1, 1, 1]);
  program.write(zeros!, [0, 0, 0, 0]);
  // The last channel's variance is 1e37, within float32.
  const size = [1e20, 1e25, 3e38, 3e18];
  const values = Float32Array.from({ length: 4 * rows }, (_, i) => (i & 4 ? 1 : -1) * size[i & 3]!);
  program.write(x, values);
  program.run();
  const variance = await program.read(runningVar!.batch);
  expect([...variance.slice(0, 2)]).toEqual([inf, inf]);
  expect(Number.isFinite(variance[2])).toBe(false); // nor is the mean: a difference of two of them overflows
  expect(variance[3]! / (9e36 * (rows / (rows - 1)))).toBeCloseTo(1, 5);
  program.destroy();
  buffer.destroy();
});
