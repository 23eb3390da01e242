import { describe, expect, it } from "vitest";
import {
  centralDifferences,
  directionalDifferences,
  directionalError,
  linear,
  type NdArray,
  ndarray,
  relativeError,
} from "../../src/autograd/reference/index.ts";
import { Random } from "../../src/random.ts";

const random = new Random(0, "differences");
const normal = (...shape: number[]): NdArray =>
  ndarray(
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
  );

// s = Σ dy · tanh(x · weight + bias), whose gradient can be written down.
const [x, weight, bias, dy] = [normal(4, 6), normal(6, 5), normal(5), normal(4, 5)];
const f = (w: NdArray): number => linear(x, w, bias).data.reduce((sum, y, i) => sum + dy.data[i] * Math.tanh(y), 0);
const exact = new Float64Array(weight.data.length);
linear(x, weight, bias).data.forEach((y, i) => {
  const [n, o] = [Math.floor(i / 5), i % 5];
  for (let c = 0; c < 6; c++) exact[c * 5 + o] += x.data[n * 6 + c] * dy.data[i] * (1 - Math.tanh(y) ** 2);
});

describe("centralDifferences", () => {
  it("finds a gradient that can be written down, and leaves x as it was", () => {
    const before = Float64Array.from(weight.data);
    const { gradient, kinks } = centralDifferences(f, weight);
    expect(relativeError(gradient, exact)).toBeLessThan(1e-8);
    expect(kinks).toEqual([]);
    expect(weight.data).toEqual(before);
  });

  it("tells what was taken across a kink", () => {
    const sum = ({ data }: NdArray): number => data.reduce((total, value) => total + Math.max(value, 0), 0);
    expect(centralDifferences(sum, ndarray([3], [1, 0, -1])).kinks).toEqual([1]);
  });
});

describe("directionalDifferences", () => {
  it("redraws directions that cross a kink", () => {
    // A kink at x₀ = x₁, which half of the directions cross.
    const f = ({ data }: NdArray): number => Math.abs(data[0] - data[1]) + data[0] + data[1];
    const { slopes, redrawn } = directionalDifferences(f, ndarray([2], [3, 3]), { count: 16 });
    expect(redrawn).toBeGreaterThan(2);
    for (const slope of slopes) expect(Math.abs(slope)).toBeCloseTo(2, 6);
  });
});

describe("mutations: what the comparison must not let pass", () => {
  const { gradient: reference } = centralDifferences(f, weight);
  const differences = directionalDifferences(f, weight, { count: 16 });
  const mutations: [string, Float64Array][] = [
    ["scaled by 1.001", exact.map((value) => 1.001 * value)],
    ["one element lost", exact.map((value, i) => (i === 7 ? 0 : value))],
    ["two elements swapped", exact.map((value, i) => (i === 3 ? exact[4] : i === 4 ? exact[3] : value))],
    ["transposed", exact.map((_, i) => exact[(i % 6) * 5 + Math.floor(i / 6)])],
    ["the other sign", exact.map((value) => -value)],
    ["zero", exact.map(() => 0)],
    ["one NaN", exact.map((value, i) => (i === 29 ? Number.NaN : value))],
  ];

  it("passes the right gradient", () => {
    expect(relativeError(exact, reference)).toBeLessThan(1e-8);
    expect(directionalError(exact, differences)).toBeLessThan(1e-8);
  });

  it.each(mutations)("%s", (_, mutated) => {
    expect(relativeError(mutated, reference)).toBeGreaterThan(1e-4);
    expect(directionalError(mutated, differences)).toBeGreaterThan(1e-4);
  });
});

describe("relativeError", () => {
  it("is the distance over the reference's length", () => {
    expect(relativeError([3, 4.5], [3, 4])).toBeCloseTo(0.1, 14);
    expect(relativeError([3e-200, 4.5e-200], [3e-200, 4e-200])).toBeCloseTo(0.1, 14);
    expect(relativeError([3e200, 4.5e200], [3e200, 4e200])).toBeCloseTo(0.1, 14);
  });

  it("demands zeros of zeros and finite values of finite ones", () => {
    expect(relativeError([0, 0], [0, 0])).toBe(0);
    expect(relativeError([0, 1e-30], [0, 0])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError([1, Number.NaN], [1, 2])).toBe(Number.POSITIVE_INFINITY);
    expect(() => relativeError([1], [1, 2])).toThrow("1 values against 2");
  });
});
