import { expect, it } from "vitest";
import { batchNorm, maxPool2d, relu, Tape } from "../../src/autograd/index.ts";
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

it("a ReLU keeps NaN and infinity, behind a batch norm too", async () => {
  const values = [Number.NaN, inf, -inf, -1, 2, -0];
  const tape = new Tape(await testDevice());
  const shape = [1, values.length, 1, 1, 1];
  const x = tape.input("x", shape);
  const [zeros, ones, more] = ["zeros", "ones", "more"].map((name) => tape.input(name, [1, 1]));
  const norm = { weight: ones!, bias: more!, runningMean: zeros!, runningVar: ones! };
  const outputs = [
    relu(x),
    batchNorm(x, norm, { relu: true, eps: 0 }),
    batchNorm(x, norm, { relu: true, residual: x, eps: 0 }),
  ];
  const program = await tape.compile(outputs);
  program.write(x, values);
  program.write(ones!, [1]);
  program.write(zeros!, [0]);
  program.write(more!, [0]);
  program.run();
  const [plain, normed, added] = await Promise.all(outputs.map((y) => program.read(y)));
  for (const y of [plain, normed]) expect([...y!].map(Math.abs)).toEqual([Number.NaN, inf, 0, 0, 2, 0]);
  expect([...added!].map(Math.abs)).toEqual([Number.NaN, inf, 0, 0, 4, 0]);
  program.destroy();
});
