import { type NdArray, ndarray } from "./ndarray.ts";

/**
 * Crop, flip and normalise: y[0, n, i, j, c] = (images[n, y + i, x + j′, c] / 255 − mean[c]) / deviation[c], where
 * j′ = j, or size − 1 − j in an image that is flipped.
 *
 * @param images [N, R, R, 3], bytes
 * @param crops [N, 3], each x, y and flip (0 or 1)
 * @returns [1, N, size, size, 3]
 */
export function preprocess(
  images: NdArray,
  crops: NdArray,
  options: { size: number; mean: readonly number[]; deviation: readonly number[] },
): NdArray {
  const { size, mean, deviation } = options;
  const [batch, height, width, channels] = images.shape;
  const result = ndarray([1, batch, size, size, channels]);
  let to = 0;
  for (let n = 0; n < batch; n++) {
    const [x, y, flip] = crops.data.subarray(3 * n, 3 * n + 3);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const column = x + (flip ? size - 1 - j : j);
        for (let c = 0; c < channels; c++) {
          const byte = images.data[((n * height + y + i) * width + column) * channels + c];
          result.data[to++] = (byte / 255 - mean[c]) / deviation[c];
        }
      }
    }
  }
  return result;
}
