/**
 * The engine by itself: logistic regression on the GPU in about twenty lines. After `npm ci`, run it with
 * `npx tsx examples/engine.ts`.
 */
import { linear, softmaxCrossEntropy, Tape } from "aenet-webgpu/autograd";
import { Parameters, Sgd } from "aenet-webgpu/nn";
import { openDevice } from "aenet-webgpu/node";

const device = await openDevice();
const parameters = new Parameters();
const weight = parameters.parameter({ names: ["weight"], shape: [2, 3], fileLayout: "linear", init: "xavier" });
const bias = parameters.parameter({ names: ["bias"], shape: [3], fileLayout: "plain", init: 0 });
await parameters.allocate(device, { training: true });
parameters.write(parameters.initialValues(0));

// The step is recorded once, on symbolic tensors …
const tape = new Tape(device, { training: true });
const [x, count, one] = [tape.input("x", [6, 2]), tape.input("count", [1]), tape.input("one", [1])];
const labels = tape.input("labels", [6], { dtype: "i32" });
const loss = softmaxCrossEntropy(linear(x, weight, bias), labels, count);
tape.backward(loss, one);
const step = await tape.compile([loss]);
const sgd = await Sgd.create(device, parameters, { momentum: 0.9, weightDecay: 0 });

// … and replayed as often as needed.
step.write(x, [0, 1, 0.1, 0.9, 1, 0, 0.9, 0.1, -1, -1, -0.9, -1]);
step.write(labels, [0, 0, 1, 1, 2, 2]);
step.write(count, [6]);
step.write(one, [1]);
for (let i = 1; i <= 100; i++) {
  step.run();
  sgd.step({ base: 0.5, fusion: 0 });
  if (i % 20 === 0) console.log(`step ${i}: loss ${(await step.read(loss))[0]}`);
}
device.destroy();
