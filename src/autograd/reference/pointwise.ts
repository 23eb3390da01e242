import { expectShape, map, type NdArray } from "./ndarray.ts";

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
