import { expectShape, type NdArray, ndarray } from "./ndarray.ts";

/**
 * y[g, n, i, j, o] = Σ x[g, n, i·stride + ky − padding, j·stride + kx − padding, c] · weight[g, ky, kx, c, o],
 * x being 0 outside the image.
 *
 * @param x [G, N, H, W, Cin], or [1, N, H, W, Cin], which every stream reads
 * @param weight [G, kh, kw, Cin, Cout]
 * @returns [G, N, Ho, Wo, Cout]
 */
export function conv2d(x: NdArray, weight: NdArray, options: { stride: number; padding: number }): NdArray {
  const { stride, padding } = options;
  const [xStreams, batch, height, width, inChannels] = x.shape;
  const [streams, kernelHeight, kernelWidth, , outChannels] = weight.shape;
  expectShape("conv2d", "weight", weight.shape, [streams, kernelHeight, kernelWidth, inChannels, outChannels]);
  if (xStreams !== streams && xStreams !== 1) {
    throw new RangeError(`conv2d: x has ${xStreams} streams but weight has ${streams}`);
  }
  const outHeight = outLength(height, kernelHeight, stride, padding);
  const outWidth = outLength(width, kernelWidth, stride, padding);
  const y = ndarray([streams, batch, outHeight, outWidth, outChannels]);
  // Most of a gradient check's time is spent on these three.
  const [xData, weightData, yData] = [x.data, weight.data, y.data];
  let to = 0;
  for (let g = 0; g < streams; g++) {
    for (let n = 0; n < batch; n++) {
      const image = (xStreams === 1 ? 0 : g) * batch + n;
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++, to += outChannels) {
          for (let ky = 0; ky < kernelHeight; ky++) {
            const row = i * stride + ky - padding;
            if (row < 0 || row >= height) continue;
            for (let kx = 0; kx < kernelWidth; kx++) {
              const column = j * stride + kx - padding;
              if (column < 0 || column >= width) continue;
              const xFrom = ((image * height + row) * width + column) * inChannels;
              const weightFrom = ((g * kernelHeight + ky) * kernelWidth + kx) * inChannels * outChannels;
              for (let c = 0; c < inChannels; c++) {
                const value = xData[xFrom + c];
                const from = weightFrom + c * outChannels;
                for (let o = 0; o < outChannels; o++) yData[to + o] += value * weightData[from + o];
              }
            }
          }
        }
      }
    }
  }
  return y;
}

/** The number of window positions along an axis. Throws a RangeError where there is none. */
export function outLength(length: number, kernelSize: number, stride: number, padding: number): number {
  const positions = Math.floor((length + 2 * padding - kernelSize) / stride) + 1;
  if (positions < 1) throw new RangeError(`a window of ${kernelSize} does not fit ${length} + 2 · ${padding}`);
  return positions;
}
