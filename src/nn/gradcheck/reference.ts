/** ResNet in float64, one stream at a time, from tensors by their names in files. */
import { type NdArray, ndarray, type Operations } from "../../autograd/reference/index.ts";
import type { Slice } from "../parameters.ts";
import type { TensorData } from "../safetensors.ts";

/** Tensors by their names in files: convolutions [1, kh, kw, Cin, Cout], linear weights [Cin, Cout], the rest as it is. */
export type Tensors = ReadonlyMap<string, NdArray>;

/** A file's tensor in the reference's layout. */
export function fromFile({ shape, data }: TensorData, fileLayout: Slice["fileLayout"]): NdArray {
  if (fileLayout !== "convolution" && fileLayout !== "linear") return ndarray(shape, data);
  const [outChannels, inChannels, kh = 1, kw = 1] = shape as [number, number, number?, number?];
  const isConvolution = fileLayout === "convolution";
  const result = ndarray(isConvolution ? [1, kh, kw, inChannels, outChannels] : [inChannels, outChannels]);
  let to = 0;
  for (let tap = 0; tap < kh * kw; tap++)
    for (let i = 0; i < inChannels; i++)
      for (let o = 0; o < outChannels; o++) result.data[to++] = data[(o * inChannels + i) * kh * kw + tap]!;
  return result;
}

/** What a reference is run with: the operations, the network's tensors, and whether batch norm takes the batch's own. */
export interface Context {
  readonly operations: Operations;
  readonly tensors: Tensors;
  readonly training: boolean;
}

/** The tensor of a name. @throws Error where there is none. */
export function tensorOf({ tensors }: Pick<Context, "tensors">, name: string): NdArray {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`the reference needs ${name}`);
  return tensor;
}

/** A convolution without bias; the padding keeps the size at stride 1. x [1, N, H, W, Cin]. */
export function conv2d(context: Context, name: string, x: NdArray, stride = 1): NdArray {
  const weight = tensorOf(context, `${name}.weight`);
  return context.operations.conv2d(x, weight, { stride, padding: (weight.shape[1]! - 1) / 2 });
}

/** Batch norm, then the shortcut, then the ReLU. x [1, N, H, W, C]. */
export function batchNorm(
  context: Context,
  name: string,
  x: NdArray,
  options: { residual?: NdArray; relu?: boolean } = {},
): NdArray {
  const { operations, tensors, training } = context;
  return operations.batchNorm(x, affineOf(tensors, name), { training, ...options });
}

const affines = new WeakMap<NdArray, NdArray>();

/** Vectors [C] as a stream's [1, C]: one object for one tensor, so that a trace knows what has not changed. */
function affineOf(tensors: Tensors, name: string) {
  const row = (part: string) => {
    const vector = tensorOf({ tensors }, `${name}.${part}`);
    let found = affines.get(vector);
    if (!found) {
      found = { shape: [1, vector.data.length], data: vector.data };
      affines.set(vector, found);
    }
    return found;
  };
  return {
    weight: row("weight"),
    bias: row("bias"),
    runningMean: row("running_mean"),
    runningVar: row("running_var"),
  };
}

/** conv1 7×7, bn1, ReLU, max pool: image [1, N, S, S, 3] → [1, N, S/4, S/4, C]. */
export function stem(context: Context, prefix: string, image: NdArray): NdArray {
  const x = batchNorm(context, `${prefix}bn1`, conv2d(context, `${prefix}conv1`, image, 2), { relu: true });
  return context.operations.maxPool2d(x, { kernelSize: 3, stride: 2, padding: 1 });
}

/** A bottleneck (V1.5: the stride stands on the 3×3), its shortcut projected where it has a downsample. */
export function bottleneck(context: Context, name: string, x: NdArray, stride: number): NdArray {
  let y = batchNorm(context, `${name}.bn1`, conv2d(context, `${name}.conv1`, x), { relu: true });
  y = batchNorm(context, `${name}.bn2`, conv2d(context, `${name}.conv2`, y, stride), { relu: true });
  y = conv2d(context, `${name}.conv3`, y);
  const residual = context.tensors.has(`${name}.downsample.0.weight`)
    ? batchNorm(context, `${name}.downsample.1`, conv2d(context, `${name}.downsample.0`, x, stride))
    : x;
  return batchNorm(context, `${name}.bn3`, y, { residual, relu: true });
}

/** layer1 to layer4. */
export function layer(context: Context, prefix: string, number: number, x: NdArray): NdArray {
  let y = x;
  for (let block = 0; context.tensors.has(`${prefix}layer${number}.${block}.conv1.weight`); block++) {
    y = bottleneck(context, `${prefix}layer${number}.${block}`, y, number > 1 && block === 0 ? 2 : 1);
  }
  return y;
}

/** y = x · weight + bias. x [N, Cin]. */
export function linear(context: Context, name: string, x: NdArray): NdArray {
  return context.operations.linear(x, tensorOf(context, `${name}.weight`), tensorOf(context, `${name}.bias`));
}
