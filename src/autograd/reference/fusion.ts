import { type NdArray, ndarray } from "./ndarray.ts";

export interface Fusion {
  /** The paper's scaling parameters α_p, α_s, β_p, β_s, in this order: [4, 1] (one for all channels) or [4, C]. */
  weights: NdArray;
  /**
   * The x whose f_s is mixed into f̃_a and f̃_e instead of x's own. Differences of a fusion that is detached from the
   * shared stream hold it at the point where they are taken.
   */
  shared?: NdArray | undefined;
}

/**
 * The fusion layer, Eq. 2: from x [3, N, H, W, C], which is f_a, f_s, f_e, to
 * f̃_a = α_p · f_a + α_s · f_s,  f_s unchanged,  f̃_e = β_s · f_s + β_p · f_e.
 */
export function fuse(x: NdArray, { weights, shared = x }: Fusion): NdArray {
  const [streams, batch, height, width, channels] = x.shape;
  const [rows, columns] = weights.shape;
  if (streams !== 3) throw new RangeError(`fuse: x has ${streams} streams, the fusion layer joins 3`);
  if (rows !== 4 || (columns !== 1 && columns !== channels)) {
    throw new RangeError(`fuse: weights [${weights.shape.join(", ")}], expected [4, 1] or [4, ${channels}]`);
  }
  const size = batch * height * width * channels;
  const y = ndarray(x.shape);
  for (let i = 0; i < size; i++) {
    const [alphaP, alphaS, betaP, betaS] = [0, 1, 2, 3].map((row) => weights.data[row * columns + (i % columns)]);
    const [fa, fs, fe] = [x.data[i], x.data[size + i], x.data[2 * size + i]];
    const mixed = shared.data[size + i];
    y.data[i] = alphaP * fa + alphaS * mixed;
    y.data[size + i] = fs;
    y.data[2 * size + i] = betaS * mixed + betaP * fe;
  }
  return y;
}
