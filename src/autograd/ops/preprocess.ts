import * as kernels from "../../kernels/preprocess.ts";
import { tapeOf } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/**
 * y[0, n, row, column] = (images[n, cropY + row, cropX + column] / 255 − mean) / deviation, mirrored where flip is set.
 *
 * images u8 [N, R, R, 3], crops i32 [N, 3] = (x, y, flip) → [1, N, size, size, 3], of the tape's precision: one image
 * for all streams.
 * @throws RangeError for other shapes and types, or a crop larger than the images.
 */
export function preprocess(
  images: Tensor,
  crops: Tensor,
  options: Pick<kernels.PreprocessShape, "size" | "mean" | "deviation">,
): Tensor {
  const tape = tapeOf(images);
  const [batch, resolution] = images.shape;
  const isSquare = images.shape.length === 4 && images.shape[2] === resolution && images.shape[3] === 3;
  if (!isSquare || images.dtype !== "u8" || crops.dtype !== "i32" || String(crops.shape) !== `${batch},3`) {
    const told = [images, crops].map(({ shape, dtype }) => `${dtype} [${shape}]`);
    throw new RangeError(
      `preprocess: images ${told[0]} and crops ${told[1]} need to be u8 [N, R, R, 3] and i32 [N, 3]`,
    );
  }
  if (options.size > resolution!) {
    throw new RangeError(`preprocess: a crop of ${options.size} pixels does not fit images of ${resolution}`);
  }
  const shape = { ...options, batch: batch!, resolution: resolution! };
  const forward = (y: Tensor) => tape.push(kernels.preprocess(shape, { images, crops, y }));
  return tape.record("preprocess", [images, crops], [1, batch!, options.size, options.size, 3], forward, null, {
    dtype: tape.precision,
  });
}
