import { stitchBackward, stitchBlocks, stitchForward, sumStitch } from "../../kernels/stitch.ts";
import { tapeOf } from "../tape.ts";
import { padTo4, type Tensor } from "../tensor.ts";

/**
 * [ã; ẽ] = W · [a; e];  [da; de] = Wᵀ · [dã; dẽ],  dW = Σ [dã; dẽ] · [a; e]ᵀ (cross-stitch unit, Misra et al. 2016)
 *
 * x [2, N, H, W, C], its streams a and e, and weight [2, 2], a row for each output → the shape of x.
 * @throws RangeError if x has not two streams or the weight is not [2, 2].
 */
export function stitch(x: Tensor, weight: Tensor): Tensor {
  if (x.shape.length !== 5 || x.shape[0] !== 2 || String(weight.shape) !== "2,2") {
    throw new RangeError(`stitch: x [${x.shape}] and weight [${weight.shape}] need to be [2, N, H, W, C] and [2, 2]`);
  }
  const tape = tapeOf(x, weight);
  const shape = { streams: 2, rows: x.shape[1]! * x.shape[2]! * x.shape[3]!, channels4: padTo4(x.shape[4]!) / 4 };
  return tape.record(
    "stitch",
    [x, weight],
    x.shape,
    (y) => tape.push(stitchForward(shape, { x, weight, y })),
    (dy) => {
      const dx = tape.emptyLike(`d(${x.name})`, x);
      const partials = tape.empty("stitch sums of blocks", [4, stitchBlocks(shape), 4 * shape.channels4]);
      tape.push(stitchBackward(shape, { dy, x, weight, dx, partials }));
      if (!weight.needsGrad) return [dx, null];
      const byChannel = tape.empty("stitch sums", [4, 4 * shape.channels4]);
      const dWeight = tape.emptyGradient(weight);
      tape.push(...sumStitch(shape, { partials, byChannel, dWeight }));
      return [dx, dWeight];
    },
  );
}
