import { expectShape, type NdArray, ndarray } from "./ndarray.ts";

/** The cross-stitch unit: from x [2, N, H, W, C], which is a and e, to [ã; ẽ] = W · [a; e], W [2, 2]. */
export function stitch(x: NdArray, weight: NdArray): NdArray {
  const [streams] = x.shape;
  if (streams !== 2) throw new RangeError(`stitch: x has ${streams} streams, the unit joins 2`);
  expectShape("stitch", "weight", weight.shape, [2, 2]);
  const [toAFromA, toAFromE, toEFromA, toEFromE] = weight.data;
  const size = x.data.length / 2;
  const y = ndarray(x.shape);
  for (let i = 0; i < size; i++) {
    const [a, e] = [x.data[i], x.data[size + i]];
    y.data[i] = toAFromA * a + toAFromE * e;
    y.data[size + i] = toEFromA * a + toEFromE * e;
  }
  return y;
}
