import { expectShape, map, type NdArray, ndarray } from "./ndarray.ts";

/** y = max(x, 0) */
export function relu(x: NdArray): NdArray {
  return map(x, (value) => Math.max(value, 0));
}

/** x + y, of one shape. */
export function add(x: NdArray, y: NdArray): NdArray {
  expectShape("add", "y", y.shape, x.shape);
  return map(x, (value, index) => value + y.data[index]);
}

/** a + lambda · b, both [1]: the sum of two losses (Eq. 1). */
export function addScaled(a: NdArray, b: NdArray, lambda: number): NdArray {
  return add(
    a,
    map(b, (value) => lambda * value),
  );
}

/** Σ weight · x over the terms, each x [..., C] of one shape, each weight one number [1] or one a channel [C]. */
export function weightedSum(terms: readonly { weight: NdArray; x: NdArray }[]): NdArray {
  const y = ndarray(terms[0].x.shape);
  for (const { weight, x } of terms) {
    expectShape("weightedSum", "x", x.shape, y.shape);
    const columns = weight.data.length;
    for (let i = 0; i < y.data.length; i++) y.data[i] += weight.data[i % columns] * x.data[i];
  }
  return y;
}

/** One number of x, by its index in row-major order → [1]. */
export function elementOf(x: NdArray, index: number): NdArray {
  return ndarray([1], [x.data[index]]);
}
