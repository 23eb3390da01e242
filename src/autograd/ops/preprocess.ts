import * as kernels from "../../kernels/preprocess.ts";
import { tapeOf } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/**
 * y[0, n, row, column] = (images[n, cropY + row, cropX + column] / 255 − mean) / deviation, mirrored where flip is set.
 *
 * images u8 [N, R, R, 3], crops i32 [N, 3] = (x, y, flip) → [1, N, size, size, 3], of the tape's precision: one image
 * for all streams.
 */
export function preprocess(
  images: Tensor,
  crops: Tensor,
  options: Pick<kernels.PreprocessShape, "size" | "mean" | "deviation">,
): Tensor {
  const tape = tapeOf(images);
  const [batch, resolution] = images.shape;
  if (options.size > resolution!) {
    throw new RangeError(`preprocess: a crop of ${options.size} pixels does not fit images of ${resolution}`);
  }
  const shape = { ...options, batch: batch!, resolution: resolution! };
  const forward = (y: Tensor) => tape.push(kernels.preprocess(shape, { images, crops, y }));
  return tape.record("preprocess", [images, crops], [1, batch!, options.size, options.size, 3], forward, null, {
    dtype: tape.precision,
  });
}
