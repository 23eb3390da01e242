/** A dense float64 array in logical layout: row-major, without channel padding. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The number of elements of a shape; 1 for the empty one. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Wraps values (zeros where none are given) in a shape. Throws a RangeError where their number does not fit it. */
export function ndarray(shape: readonly number[], values?: ArrayLike<number>): NdArray {
  const size = sizeOf(shape);
  if (values && values.length !== size) {
    throw new RangeError(`ndarray: ${values.length} values do not fill [${shape.join(", ")}], which has ${size}`);
  }
  return { shape: [...shape], data: values ? Float64Array.from(values) : new Float64Array(size) };
}

/** f of every element. */
export function map(x: NdArray, f: (value: number, index: number) => number): NdArray {
  return { shape: x.shape, data: x.data.map(f) };
}

/** Throws a RangeError unless both shapes are equal. */
export function expectShape(op: string, name: string, actual: readonly number[], expected: readonly number[]): void {
  if (actual.length !== expected.length || actual.some((length, axis) => length !== expected[axis])) {
    throw new RangeError(`${op}: ${name} is [${actual.join(", ")}], expected [${expected.join(", ")}]`);
  }
}
