/** What a tape or a program refuses, by name. */
import { expect, it } from "vitest";
import { Parameter, relu, Tape } from "../../src/autograd/index.ts";
import { reluForward } from "../../src/kernels/elementwise.ts";
import { testDevice } from "../support/device.ts";

it("gradients are recorded once", async () => {
  const tape = new Tape(await testDevice());
  const x = tape.input("x", [4], { needsGrad: true });
  const y = relu(x);
  tape.backward(y, tape.input("dy", [4]));
  expect(() => tape.backward(y, tape.input("dy", [4]))).toThrow(/^backward: relu: .* gradients already$/);
});

it("an output needs to be written, and only inputs can be", async () => {
  const tape = new Tape(await testDevice());
  const x = tape.input("x", [4]);
  const [middle, nothing] = [relu(x), tape.empty("nothing", [2, 3])];
  const y = relu(middle);
  await expect(tape.compile([y, nothing])).rejects.toThrow("nothing [2,3] is to be read, but nothing writes it");
  const program = await tape.compile([y]);
  expect(() => program.write(middle, [1, 2, 3, 4])).toThrow("relu is not an input of the program");
  program.destroy();
});

it("a parameter without its memory is named", async () => {
  const tape = new Tape(await testDevice());
  const y = tape.empty("y", [4]);
  tape.push(reluForward(1, { x: new Parameter("a.conv1.weight", [4], "flat"), y }));
  await expect(tape.compile([y])).rejects.toThrow(
    /^a\.conv1\.weight \[4\] has no memory: the parameters were allocated/,
  );
});
