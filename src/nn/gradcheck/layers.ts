/** The layers of src/nn, each in a few shapes, stacked by stream as in a network. */
import { type NdArray, ndarray, sizeOf } from "../../autograd/reference/index.ts";
import type { Tensor } from "../../autograd/tensor.ts";
import { Random } from "../../random.ts";
import { BatchNorm2d, Conv2d, Linear, type Place } from "../layers.ts";
import { Parameters } from "../parameters.ts";
import { Bottleneck, ResNet } from "../resnet.ts";
import type { TensorData } from "../safetensors.ts";
import { batchNorm, bottleneck, type Context, conv2d, linear, stem, tensorOf } from "./reference.ts";
import type { Subject } from "./subject.ts";

export interface LayerCase {
  /** The class's name; "Stem" is ResNet.stem. */
  readonly layer: string;
  /** Unique in the table. */
  readonly name: string;
  /** Its parameters and inputs, drawn from a seed. */
  create(seed: number): Subject;
}

const prefixes = ["a.", "s.", "e."];

/**
 * Start values as a seed draws them, with batch norms, biases and running statistics moved away from 1 and 0, at which
 * an error could hide.
 */
export function drawValues(parameters: Parameters, seed: number): Map<string, TensorData> {
  const values = parameters.initialValues(seed);
  for (const { name, init } of parameters.slices) {
    if (init === "xavier") continue;
    const random = new Random(seed, "gradcheck", name);
    const moved = name.endsWith("running_var") ? () => random.uniform(0, 1) : () => 0.2 * random.normal();
    const { shape, data } = values.get(name)!;
    values.set(name, { shape, data: data.map((value) => value + moved()) });
  }
  return values;
}

/** Standard normal float32 numbers. */
export function drawNormal(shape: readonly number[], seed: number, name: string): NdArray {
  const random = new Random(seed, "gradcheck", name);
  return ndarray(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
}

interface StackedCase {
  layer: string;
  note: string;
  /** [G, N, H, W, C]; with a G of 1 every stream reads it. */
  x: readonly number[];
  training?: boolean;
  build(place: Place): (x: Tensor) => Tensor;
  /** One stream's part, of x [1, N, H, W, C]. */
  stream(context: Context, prefix: string, x: NdArray): NdArray;
}

function stackedCase({ layer, note, x, training = true, build, stream }: StackedCase): LayerCase {
  const name = `${layer} ${note} [${x.join(",")}]${training ? "" : ", evaluation"}`;
  return {
    layer,
    name,
    create(seed) {
      const parameters = new Parameters();
      const forward = build({ parameters, prefixes });
      return {
        parameters,
        training,
        values: drawValues(parameters, seed),
        inputs: { x: { values: drawNormal(x, seed, name), differentiate: true } },
        record: (inputs) => forward(inputs.x!),
        reference(context) {
          const all = tensorOf(context, "x");
          return stack(prefixes.map((prefix, g) => stream(context, prefix, streamOf(all, x[0] === 1 ? 0 : g))));
        },
      };
    },
  };
}

/** Stream g of x [G, ...] → [1, ...]. */
function streamOf(x: NdArray, g: number): NdArray {
  const size = x.data.length / x.shape[0]!;
  return ndarray([1, ...x.shape.slice(1)], x.data.subarray(g * size, (g + 1) * size));
}

function stack(streams: readonly NdArray[]): NdArray {
  const y = ndarray([streams.length, ...streams[0]!.shape.slice(1)]);
  streams.forEach(({ data }, g) => {
    y.data.set(data, g * data.length);
  });
  return y;
}

const convolution = (note: string, x: number[], kernelSize: number, outChannels: number, stride: number): LayerCase =>
  stackedCase({
    layer: "Conv2d",
    note,
    x,
    build(place) {
      const options = { inChannels: x[4]!, outChannels, kernelSize, stride, padding: (kernelSize - 1) / 2 };
      const conv = new Conv2d(place, "conv", options);
      return (t) => conv.forward(t);
    },
    stream: (context, prefix, part) => conv2d(context, `${prefix}conv`, part, stride),
  });

const norm = (note: string, x: number[], relu: boolean, training = true): LayerCase =>
  stackedCase({
    layer: "BatchNorm2d",
    note,
    x,
    training,
    build(place) {
      const bn = new BatchNorm2d(place, "bn", x[4]!);
      return (t) => bn.forward(t, { relu });
    },
    stream: (context, prefix, part) => batchNorm(context, `${prefix}bn`, part, { relu }),
  });

const block = (
  note: string,
  x: number[],
  planes: number,
  baseWidth: number,
  stride: number,
  training = true,
): LayerCase =>
  stackedCase({
    layer: "Bottleneck",
    note,
    x,
    training,
    build(place) {
      const bottleneck = new Bottleneck(place, "block", x[4]!, planes, baseWidth, stride);
      return (t) => bottleneck.forward(t);
    },
    stream: (context, prefix, part) => bottleneck(context, `${prefix}block`, part, stride),
  });

const stemCase = (x: number[], baseChannels: number): LayerCase =>
  stackedCase({
    layer: "Stem",
    note: `of ${baseChannels} channels`,
    x,
    build(place) {
      const resnet = new ResNet(place, { depth: [0, 0, 0, 0], baseChannels, baseWidth: 64 });
      return (t) => resnet.stem(t);
    },
    stream: stem,
  });

function linearCase(batch: number, inFeatures: number, outFeatures: number): LayerCase {
  const name = `Linear [${batch},${inFeatures}]→${outFeatures}`;
  return {
    layer: "Linear",
    name,
    create(seed) {
      const parameters = new Parameters();
      const head = new Linear(parameters, "head", inFeatures, outFeatures);
      return {
        parameters,
        training: true,
        values: drawValues(parameters, seed),
        inputs: { x: { values: drawNormal([batch, inFeatures], seed, name), differentiate: true } },
        record: (inputs) => head.forward(inputs.x!),
        reference: (context) => linear(context, "head", tensorOf(context, "x")),
      };
    },
  };
}

export const layerCases: readonly LayerCase[] = [
  convolution("3×3 s1", [3, 2, 5, 4, 3], 3, 5, 1),
  convolution("3×3 s2", [3, 2, 5, 6, 4], 3, 6, 2),
  convolution("1×1 s1", [3, 1, 3, 3, 7], 1, 3, 1),
  convolution("7×7 s2 of one image", [1, 2, 9, 8, 3], 7, 4, 2),
  norm("plain", [3, 2, 3, 4, 5], false),
  norm("with ReLU", [3, 3, 2, 3, 8], true),
  norm("with ReLU", [3, 2, 3, 3, 6], true, false),
  linearCase(5, 7, 3),
  linearCase(1, 12, 1),
  block("s1, shortcut as it is", [3, 2, 4, 3, 8], 2, 64, 1),
  block("s1, projected", [3, 2, 4, 4, 3], 2, 64, 1),
  block("s2, projected", [3, 3, 5, 4, 6], 2, 64, 2),
  block("s2, wide", [3, 2, 4, 4, 4], 2, 132, 2),
  block("s2, projected", [3, 2, 4, 5, 4], 1, 128, 2, false),
  stemCase([1, 2, 8, 10, 3], 4),
  stemCase([1, 2, 7, 6, 3], 3),
];
