/** A parameter that several operations read, or several micro-batches: its gradients add up. */
import { expect, it } from "vitest";
import { linear, Tape } from "../../src/autograd/index.ts";
import { Parameters } from "../../src/nn/index.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";

const [rows, features, times] = [2, 8, 3];

/** y = x·W·W·W, in float64. */
function product(x: readonly number[], w: readonly number[]): number[] {
  let y = [...x];
  for (let turn = 0; turn < times; turn++) {
    const former = y;
    y = y.map((_, at) => {
      const [row, column] = [Math.floor(at / features), at % features];
      let sum = 0;
      for (let k = 0; k < features; k++) sum += former[row * features + k]! * w[k * features + column]!;
      return sum;
    });
  }
  return y;
}

it.each([
  ["replace what was there", false, 1],
  ["are added to it in micro-batches", true, 2],
])("gradients of a weight that is read three times %s", async (_, accumulateGradients, expected) => {
  const device = await testDevice();
  const parameters = new Parameters();
  const shape = [features, features];
  const weight = parameters.parameter({ names: ["w"], shape, fileLayout: "linear", init: "xavier" });
  await parameters.allocate(device, { training: true });
  parameters.write(parameters.initialValues(0));
  const tape = new Tape(device, { training: true, accumulateGradients });
  const x = tape.input("x", [rows, features]);
  const bias = tape.input("bias", [features]);
  let y = x;
  for (let turn = 0; turn < times; turn++) y = linear(y, weight, bias);
  const dy = tape.input("dy", y.shape);
  tape.backward(y, dy);
  const program = await tape.compile([y]);
  const random = new Random(0, "values");
  const [xs, dys] = [0, 1].map(() => Array.from({ length: rows * features }, () => Math.fround(random.normal())));
  program.write(x, xs!);
  program.write(dy, dys!);
  device.submit("clear", (encoder) => encoder.clearBuffer(parameters.buffers.gradients!));
  for (let run = 0; run < 2; run++) program.run();
  const w = [...(await program.read(weight))];
  const gradient = await program.read(weight.grad);
  const loss = (values: readonly number[]) => product(xs!, values).reduce((sum, value, i) => sum + value * dys![i]!, 0);
  for (const i of w.keys()) {
    const moved = (by: number) => loss(w.map((value, j) => (j === i ? value + by : value)));
    const slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
    expect(Math.abs(gradient[i]! - expected * slope)).toBeLessThan(1e-4 * Math.max(1, Math.abs(slope)));
  }
  program.destroy();
  parameters.destroy();
});
