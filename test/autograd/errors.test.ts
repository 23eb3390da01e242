/** What a tape or a program refuses, by name. */
import { expect, it } from "vitest";
import {
  add,
  binaryCrossEntropyWithLogits,
  concatStreams,
  conv2d,
  type DType,
  fuse,
  globalAveragePool,
  type Layout,
  linear,
  maxPool2d,
  Parameter,
  preprocess,
  relu,
  softmaxCrossEntropy,
  Tape,
  type Tensor,
} from "../../src/autograd/index.ts";
import { reluForward } from "../../src/kernels/elementwise.ts";
import { Parameters } from "../../src/nn/index.ts";
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";
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

type Make = (shape: readonly number[], dtype?: DType, layout?: Layout) => Tensor;
const mean = [0, 0, 0] as const;
const crop = { size: 2, mean, deviation: [1, 1, 1] as const };
it.each<[string, (t: Make) => Tensor, string]>([
  ["labels [N, 1]", (t) => binaryCrossEntropyWithLogits(t([4, 1]), t([4, 1]), t([1])), "labels f32 [4,1]"],
  ["integer labels", (t) => binaryCrossEntropyWithLogits(t([4, 1]), t([4], "i32"), t([1])), "labels i32 [4]"],
  ["three axes", (t) => binaryCrossEntropyWithLogits(t([4, 1, 3]), t([4]), t([1])), "logits f32 [4,1,3]"],
  ["a count for each", (t) => softmaxCrossEntropy(t([4, 3]), t([4], "i32"), t([4])), "count f32 [4]"],
  ["labels [N, 2]", (t) => softmaxCrossEntropy(t([4, 3]), t([4, 2], "i32"), t([1])), "labels i32 [4,2]"],
  ["a column", (t) => linear(t([2, 4]), t([4, 3], "f32", "weight"), t([3, 1])), "bias [3,1]"],
  ["a batch", (t) => linear(t([2, 4]), t([4, 3, 5], "f32", "weight"), t([3])), "weight [4,3,5]"],
  ["bytes", (t) => conv2d(t([1, 1, 4, 4, 4], "u8"), t([1, 1, 1, 4, 4], "f32", "weight")), "x [1,1,4,4,4] is u8 in the"],
  ["integers", (t) => relu(t([4], "i32")), 'is i32 in the layout "flat"'],
  [
    "no pads",
    (t) => fuse(t([3, 1, 1, 1, 4]), { weights: t([4, 1], "f32", "flat") }),
    '[4,1] is f32 in the layout "flat"',
  ],
  ["two layouts", (t) => add(t([1, 4, 8]), t([1, 4, 8], "f32", "weight")), '"weight" differ'],
  ["six axes", (t) => maxPool2d(t([1, 1, 4, 4, 2, 4]), { kernelSize: 2, stride: 2 }), "needs to be [G, N, H, W, C]"],
  ["six axes", (t) => globalAveragePool(t([1, 1, 4, 4, 2, 4])), "globalAveragePool: x [1,1,4,4,2,4]"],
  ["four axes", (t) => fuse(t([3, 1, 1, 4]), { weights: t([4, 1]) }), "fuse: x [3,1,1,4]"],
  ["four axes", (t) => concatStreams(t([3, 1, 1, 4]), [0]), "concatStreams"],
  ["no window", (t) => maxPool2d(t([1, 1, 4, 4, 4]), { kernelSize: 0, stride: 1 }), "kernelSize 0 needs"],
  ["steps back", (t) => maxPool2d(t([1, 1, 4, 4, 4]), { kernelSize: 2, stride: -1 }), "stride -1 needs"],
  [
    "half a step",
    (t) => conv2d(t([1, 1, 4, 4, 4]), t([1, 1, 1, 4, 4], "f32", "weight"), { stride: 1.5 }),
    "conv2d: stride 1.5 needs to be an integer from 1",
  ],
  [
    "less than no padding",
    (t) => conv2d(t([1, 1, 4, 4, 4]), t([1, 1, 1, 4, 4], "f32", "weight"), { padding: -1 }),
    "padding -1 needs to be an integer from 0",
  ],
  ["four colours", (t) => preprocess(t([1, 4, 4, 4], "u8"), t([1, 3], "i32"), crop), "images u8 [1,4,4,4]"],
  ["oblong images", (t) => preprocess(t([1, 2, 8, 3], "u8"), t([1, 3], "i32"), crop), "u8 [N, R, R, 3]"],
  ["floats", (t) => preprocess(t([1, 4, 4, 3]), t([1, 3], "i32"), crop), "images f32 [1,4,4,3]"],
])("an operation refuses what it would misread: %s", async (_, record, message) => {
  const tape = new Tape(await testDevice());
  const make: Make = (shape, dtype, layout) =>
    tape.input("x", shape, { ...(dtype && { dtype }), ...(layout && { layout }) });
  expect(() => record(make)).toThrow(message);
});

it("parameters are written where the optimizer sees it, and whole", async () => {
  const device = await testDevice();
  const parameters = new Parameters();
  const weight = parameters.parameter({ names: ["w"], shape: [4], fileLayout: "plain", init: 0.5 });
  await parameters.allocate(device, { training: false });
  const tape = new Tape(device);
  const y = relu(add(tape.input("x", [4]), weight));
  const program = await tape.compile([y]);
  expect(() => program.write(weight, [1, 2, 3, 4])).toThrow("w: a parameter is written by Parameters.write");
  const short = new Map([["w", { shape: [4], data: new Float32Array(2) }]]);
  expect(() => parameters.write(short)).toThrow("w: 2 values for shape [4]");
  program.destroy();
  parameters.destroy();
});

it("bytes are read as they were written", async () => {
  const tape = new Tape(await testDevice());
  const images = tape.input("images", [1, 2, 2, 3], { dtype: "u8" });
  const y = preprocess(images, tape.input("crops", [1, 3], { dtype: "i32" }), crop);
  const program = await tape.compile([y]);
  const bytes = Array.from({ length: 12 }, (_, i) => 20 * i);
  program.write(images, bytes);
  expect([...(await program.read(images))]).toEqual(bytes);
  program.destroy();
});

it("a device that was destroyed says so", async () => {
  const device = await openDevice({ adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto") });
  const tape = new Tape(device);
  const y = relu(tape.input("x", [4]));
  const program = await tape.compile([y]);
  device.destroy();
  expect(() => program.run()).toThrow("the device was destroyed");
  await expect(program.read(y)).rejects.toThrow("the device was destroyed");
});
