import { describe, expect, it } from "vitest";
import { fitLogistic, meanRgb } from "../src/aenet/baselines/logistic.ts";
import { majority, wilson } from "../src/aenet/statistics.ts";
import { Random } from "../src/random.ts";

describe("wilson", () => {
  // Values of Newcombe (1998), table I, method 3.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("%i of %i", (successes, n, low, high) => {
    const interval = wilson(successes, n, 1.959964);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  it("refuses what is no proportion", () => {
    expect(() => wilson(3, 2)).toThrow("3 successes of 2");
    expect(() => wilson(0, 0)).toThrow(RangeError);
  });
});

it("majority is the largest class's share", () => {
  expect(majority([2, 0, 2, 1])).toBe(0.5);
  expect(() => majority([])).toThrow(RangeError);
});

describe("logistic regression", () => {
  it("finds the maximum of the likelihood: its gradient vanishes, and known odds come out", () => {
    // One binary feature: the fitted odds are the observed ones.
    const rows = [...Array(10).fill([0]), ...Array(10).fill([1])];
    const labels = [...Array(10).keys()]
      .map((i) => (i < 2 ? 1 : 0))
      .concat([...Array(10).keys()].map((i) => (i < 7 ? 1 : 0)));
    const model = fitLogistic(rows, labels, { classes: 2, ridge: 0 });
    expect([model.predict([0]), model.predict([1])]).toEqual([0, 1]);
    expect(model.accuracy(rows, labels)).toBe(0.75);
  });

  it("separates three Gaussian classes about as well as Bayes' rule", () => {
    const random = new Random(5, "gaussians");
    const centres = [
      [0, 0],
      [4, 0],
      [0, 4],
    ];
    const draw = (n: number) => {
      const labels = Array.from({ length: n }, () => random.integer(3));
      return { labels, rows: labels.map((k) => [...centres[k]!.map((c) => c + random.normal()), 7]) };
    };
    const [fitted, held] = [draw(600), draw(1000)];
    const accuracy = fitLogistic(fitted.rows, fitted.labels, { classes: 3 }).accuracy(held.rows, held.labels);
    const bayes =
      held.rows.filter((row, i) => {
        const distances = centres.map(([x, y]) => (row[0]! - x!) ** 2 + (row[1]! - y!) ** 2);
        return distances.indexOf(Math.min(...distances)) === held.labels[i];
      }).length / 1000;
    expect(accuracy).toBeGreaterThan(bayes - 0.01);
    expect(bayes).toBeGreaterThan(0.95);
  });

  it("refuses rows that do not fit", () => {
    expect(() => fitLogistic([[1], [1, 2]], [0, 1], { classes: 2 })).toThrow("2 rows");
  });
});

it("meanRgb is the mean of each channel", () => {
  expect(meanRgb(Uint8Array.of(0, 10, 20, 100, 30, 20))).toEqual([50, 20, 20]);
});
