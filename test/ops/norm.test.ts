import { expect, it } from "vitest";
import { batchNorm, fuse, RunningStatistic, Tape } from "../../src/autograd/index.ts";
import { ndarray, relativeError, updateRunningStatistics } from "../../src/autograd/reference/index.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";
import { testOps } from "./run.ts";

testOps("batchNorm", "fuse");

const shape = [2, 3, 17, 9, 5];
const random = new Random(0, "running statistics");

it.each([
  { mean: 0.5, deviation: 2, tolerance: 1e-5 },
  { mean: 1000, deviation: 0.2, tolerance: 1e-5 },
  { mean: 0, deviation: 1e18, tolerance: 1e-5 },
])("batchNorm leaves the batch's mean $mean and unbiased variance $deviation² for the running ones", async (spread) => {
  const values = Float32Array.from(
    { length: shape.reduce((a, b) => a * b) },
    () => spread.mean + spread.deviation * random.normal(),
  );
  const device = await testDevice();
  const tape = new Tape(device, { training: true });
  const x = tape.input("x", shape);
  const [weight, bias] = ["weight", "bias"].map((name) => tape.input(name, [2, 5]));
  const [runningMean, runningVar] = ["mean", "var"].map((name) => new RunningStatistic(name, [2, 5]));
  const { STORAGE, COPY_SRC } = GPUBufferUsage;
  const buffer = await device.createBuffer("statistics", 4 * 256, STORAGE | COPY_SRC);
  for (const [i, { storage }] of [runningMean, runningMean.batch, runningVar, runningVar.batch].entries()) {
    storage.external = { buffer, offset: 256 * i };
  }
  const y = batchNorm(x, { weight, bias, runningMean, runningVar });
  const program = await tape.compile([y]);
  program.write(x, values);
  program.run();
  const zeros = { runningMean: ndarray([2, 5]), runningVar: ndarray([2, 5]) };
  const expected = updateRunningStatistics(zeros, ndarray(shape, values), 1);
  const [mean, variance] = [await program.read(runningMean.batch), await program.read(runningVar.batch)];
  program.destroy();
  buffer.destroy();
  // A mean near 0 is as uncertain as the values that it is of.
  const size = Math.hypot(spread.mean, spread.deviation);
  mean.forEach((value, i) => {
    expect(Math.abs(value - expected.runningMean.data[i]) / size).toBeLessThan(1e-6);
  });
  expect(relativeError(variance, expected.runningVar.data)).toBeLessThan(spread.tolerance);
});

it("batchNorm refuses to train on one value a channel, and shapes that do not fit", async () => {
  const tape = new Tape(await testDevice(), { training: true });
  const input = (...shape: number[]) => tape.input(`[${shape}]`, shape);
  const norm = { weight: input(1, 3), bias: input(1, 3), runningMean: input(1, 3), runningVar: input(1, 3) };
  expect(() => batchNorm(input(1, 1, 1, 1, 3), norm)).toThrow(/batchNorm: .*one value a channel/);
  expect(() => batchNorm(input(1, 2, 1, 1, 4), norm)).toThrow(/batchNorm: weight .*does not fit/);
  expect(() => batchNorm(input(1, 2, 1, 1, 3), norm, { residual: input(1, 2, 1, 2, 3) })).toThrow(/residual/);
  expect(() => fuse(input(2, 1, 1, 1, 3), { weights: input(4, 1) })).toThrow(/three streams/);
  expect(() => fuse(input(3, 1, 1, 1, 3), { weights: input(4, 2) })).toThrow(/fuse: /);
});
