import type { Conv2dShape } from "../../kernels/conv2d.ts";
import { addBias } from "../../kernels/linear.ts";
import { sumAxis } from "../../kernels/sum.ts";
import { tapeOf } from "../tape.ts";
import { padTo4, type Tensor } from "../tensor.ts";
import { forward, inputGradient, weightGradient } from "./conv2d.ts";

/**
 * y = x · weight + bias;  dx = dy · weightᵀ, dWeight = xᵀ · dy, dBias = Σ_n dy[n]
 *
 * x [N, Cin], weight [Cin, Cout], bias [Cout] → [N, Cout].
 * @throws RangeError if the features do not match.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [n, inFeatures] = x.shape;
  const [expected, outFeatures] = weight.shape;
  const isMatrix = x.shape.length === 2 && weight.shape.length === 2;
  if (!isMatrix || inFeatures !== expected || String(bias.shape) !== String(outFeatures)) {
    throw new RangeError(
      `linear: x [${x.shape}], weight [${weight.shape}] and bias [${bias.shape}] need to be [N, Cin], [Cin, Cout] and [Cout]`,
    );
  }
  if (weight.layout !== "weight") throw new RangeError('linear: the weight needs the layout "weight"');
  const tape = tapeOf(x, weight, bias);
  const shape = pointwise(n!, inFeatures!, outFeatures!);
  const channels4 = shape.outChannels / 4;
  return tape.record(
    "linear",
    [x, weight, bias],
    [n!, outFeatures!],
    (y) => {
      const withoutBias = tape.empty(`${y.name} without bias`, y.shape);
      forward(x, weight, withoutBias, shape);
      tape.push(addBias(n!, channels4, { x: withoutBias, bias, y }));
    },
    (dy) => {
      const dx = x.needsGrad ? inputGradient(x, weight, dy, shape) : null;
      const dWeight = weightGradient(x, weight, dy, shape);
      if (!bias.needsGrad) return [dx, dWeight, null];
      const dBias = tape.emptyGradient(bias);
      tape.push(sumAxis({ count: n!, inner: channels4 }, { x: dy, total: dBias }));
      return [dx, dWeight, dBias];
    },
  );
}

/** A matrix product as a 1×1 convolution over `rows` images of one pixel. */
function pointwise(rows: number, inFeatures: number, outFeatures: number): Conv2dShape {
  return {
    channels: { in: inFeatures, out: outFeatures },
    streams: 1,
    sharedInput: false,
    batch: rows,
    height: 1,
    width: 1,
    inChannels: padTo4(inFeatures),
    outHeight: 1,
    outWidth: 1,
    outChannels: padTo4(outFeatures),
    kernelHeight: 1,
    kernelWidth: 1,
    stride: 1,
    padding: 0,
  };
}
