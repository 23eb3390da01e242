import { describe, expect, it } from "vitest";
import { Random } from "../src/random.ts";

describe("Random", () => {
  it("repeats a stream and separates streams by seed and name", () => {
    const draw = (...args: ConstructorParameters<typeof Random>) => new Random(...args).uint32();
    expect(draw(7, "augment", 3)).toBe(draw(7, "augment", 3));
    const firsts = [draw(7), draw(8), draw(7, "a"), draw(7, "b"), draw(7, "a", 1), draw(7, "a1"), draw(7, "a", "1")];
    expect(new Set(firsts).size).toBe(firsts.length);
  });

  it("has the mean, variance and evenness of its distributions over neighbouring seeds", () => {
    const n = 20_000;
    const uniform = Array.from({ length: n }, (_, i) => new Random(i, "uniform").float());
    const normal = Array.from({ length: n }, (_, i) => new Random(0, "normal", i).normal());
    const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length;
    expect(Math.abs(mean(uniform) - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(mean(normal))).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(mean(normal.map((x) => x * x)) - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    const bins = new Array(16).fill(0);
    for (const u of uniform) bins[Math.floor(u * 16)]++;
    const chiSquare = bins.reduce((sum, k) => sum + (k - n / 16) ** 2 / (n / 16), 0);
    expect(chiSquare).toBeLessThan(37.7); // 99.9 % point at 15 degrees of freedom
  });

  it("permutes every element exactly once", () => {
    const order = new Random(1, "epoch").permutation(1000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(order[0] === 0 && order[1] === 1).toBe(false);
  });

  it("refuses a seed that is not an integer", () => {
    expect(() => new Random(0.5)).toThrow("seed 0.5");
  });
});
