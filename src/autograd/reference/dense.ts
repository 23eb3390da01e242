import { expectShape, type NdArray, ndarray } from "./ndarray.ts";

/** y = x · weight + bias for x [N, Cin], weight [Cin, Cout], bias [Cout]. */
export function linear(x: NdArray, weight: NdArray, bias: NdArray): NdArray {
  const [batch, inChannels] = x.shape;
  const outChannels = bias.shape[0];
  expectShape("linear", "weight", weight.shape, [inChannels, outChannels]);
  const y = ndarray([batch, outChannels]);
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outChannels; o++) {
      let sum = bias.data[o];
      for (let c = 0; c < inChannels; c++) sum += x.data[n * inChannels + c] * weight.data[c * outChannels + o];
      y.data[n * outChannels + o] = sum;
    }
  }
  return y;
}

/** The vectors of the named streams of v [G, N, C] side by side → [N, streams.length · C]. */
export function concatStreams(v: NdArray, streams: readonly number[]): NdArray {
  const [, batch, channels] = v.shape;
  const y = ndarray([batch, streams.length * channels]);
  for (let n = 0; n < batch; n++) {
    streams.forEach((g, place) => {
      for (let c = 0; c < channels; c++) {
        y.data[(n * streams.length + place) * channels + c] = v.data[(g * batch + n) * channels + c];
      }
    });
  }
  return y;
}

/** Vectors v [1, N, C], one of each stream, side by side → [N, C · their number]. */
export function joinVectors(vectors: readonly NdArray[]): NdArray {
  const [, batch, channels] = vectors[0].shape;
  const stacked = ndarray([vectors.length, batch, channels]);
  vectors.forEach((v, g) => {
    expectShape("joinVectors", `vector ${g}`, v.shape, [1, batch, channels]);
    stacked.data.set(v.data, g * v.data.length);
  });
  return concatStreams(
    stacked,
    vectors.map((_, g) => g),
  );
}
