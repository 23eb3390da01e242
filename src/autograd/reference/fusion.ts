import { expectShape, type NdArray, ndarray } from "./ndarray.ts";

/** The paper's scaling parameters, each [1] (one for all channels) or [C]. */
export interface FusionWeights {
  alphaP: NdArray;
  alphaS: NdArray;
  betaP: NdArray;
  betaS: NdArray;
}

/**
 * The fusion layer, Eq. 2: from x [3, N, H, W, C], which is f_a, f_s, f_e, to
 * f̃_a = α_p · f_a + α_s · f_s,  f_s unchanged,  f̃_e = β_s · f_s + β_p · f_e.
 *
 * @param options.shared the x whose f_s is mixed into f̃_a and f̃_e instead of x's own. Differences of a fusion that
 * is detached from the shared stream hold it at the point where they are taken.
 */
export function fuse(x: NdArray, weights: FusionWeights, options: { shared?: NdArray | undefined } = {}): NdArray {
  const { shared = x } = options;
  const { alphaP, alphaS, betaP, betaS } = weights;
  const [streams, batch, height, width, channels] = x.shape;
  if (streams !== 3) throw new RangeError(`fuse: x has ${streams} streams, the fusion layer joins 3`);
  expectShape("fuse", "shared", shared.shape, x.shape);
  const size = batch * height * width * channels;
  const y = ndarray(x.shape);
  for (let i = 0; i < size; i++) {
    const c = i % channels;
    const [fa, fs, fe] = [x.data[i], x.data[size + i], x.data[2 * size + i]];
    const mixed = shared.data[size + i];
    y.data[i] = byChannel(alphaP, c) * fa + byChannel(alphaS, c) * mixed;
    y.data[size + i] = fs;
    y.data[2 * size + i] = byChannel(betaS, c) * mixed + byChannel(betaP, c) * fe;
  }
  return y;
}

function byChannel({ data }: NdArray, channel: number): number {
  return data.length === 1 ? data[0] : data[channel];
}
