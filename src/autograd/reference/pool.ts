import { outLength } from "./conv.ts";
import { type Fusion, fuse } from "./fusion.ts";
import { type NdArray, ndarray, sizeOf } from "./ndarray.ts";

export interface MaxPoolOptions {
  kernelSize: number;
  stride: number;
  padding: number;
  /** A fusion layer over the streams, after the pooling. */
  fusion?: Fusion | undefined;
}

/** The largest value of each window of x [G, N, H, W, C] → [G, N, Ho, Wo, C]; outside the image is −∞. */
export function maxPool2d(x: NdArray, options: MaxPoolOptions): NdArray {
  const { fusion } = options;
  const { shape, places } = maxPoolPlaces(x, options);
  const y = ndarray(
    shape,
    Float64Array.from(places, (place) => x.data[place]),
  );
  return fusion ? fuse(y, fusion) : y;
}

/** Where in x the largest value of each window lies: of equal ones the first in row-major order; a NaN is the largest. */
export function maxPoolPlaces(
  x: NdArray,
  { kernelSize, stride, padding }: Omit<MaxPoolOptions, "fusion">,
): { shape: number[]; places: Int32Array } {
  const [streams, batch, height, width, channels] = x.shape;
  const outHeight = outLength(height, kernelSize, stride, padding);
  const outWidth = outLength(width, kernelSize, stride, padding);
  const shape = [streams, batch, outHeight, outWidth, channels];
  const places = new Int32Array(sizeOf(shape)).fill(-1);
  let to = 0;
  for (let image = 0; image < streams * batch; image++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++, to += channels) {
        for (let row = i * stride - padding; row < i * stride - padding + kernelSize; row++) {
          if (row < 0 || row >= height) continue;
          for (let column = j * stride - padding; column < j * stride - padding + kernelSize; column++) {
            if (column < 0 || column >= width) continue;
            const from = ((image * height + row) * width + column) * channels;
            for (let c = 0; c < channels; c++) {
              const best = places[to + c];
              const isLarger = !Number.isNaN(x.data[best]) && !(x.data[from + c] <= x.data[best]);
              if (best < 0 || isLarger) places[to + c] = from + c;
            }
          }
        }
      }
    }
  }
  return { shape, places };
}

/** The mean over space of x [G, N, H, W, C] → [G, N, C]. */
export function globalAveragePool(x: NdArray): NdArray {
  const [streams, batch, height, width, channels] = x.shape;
  const space = height * width;
  const y = ndarray([streams, batch, channels]);
  x.data.forEach((value, index) => {
    const image = Math.floor(index / (space * channels));
    y.data[image * channels + (index % channels)] += value / space;
  });
  return y;
}
