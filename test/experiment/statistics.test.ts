import { describe, expect, it } from "vitest";
import { bootstrapInterval, unitsOf } from "../../src/aenet/experiment/statistics/bootstrap.ts";
import {
  accuracy,
  addMatrices,
  balancedAccuracy,
  confusionMatrix,
  majority,
  perClassAccuracy,
} from "../../src/aenet/experiment/statistics/confusion.ts";
import {
  chiSquareCdf,
  chiSquareQuantile,
  normalCdf,
  studentCdf,
  studentQuantile,
} from "../../src/aenet/experiment/statistics/distributions.ts";
import { holm, testFamily } from "../../src/aenet/experiment/statistics/family.ts";
import { fitGaussian } from "../../src/aenet/experiment/statistics/gaussian.ts";
import { expectedCounts, explainedVariance, histogram } from "../../src/aenet/experiment/statistics/histogram.ts";
import { pairedImagesTest } from "../../src/aenet/experiment/statistics/paired-images.ts";
import { detectableEffect } from "../../src/aenet/experiment/statistics/power.ts";
import { areaUnderCurve, averageRanks, pearson, spearman } from "../../src/aenet/experiment/statistics/ranks.ts";
import { signFlipInterval, signFlipTest } from "../../src/aenet/experiment/statistics/sign-flip.ts";
import {
  deviation,
  deviationLimit,
  mean,
  meanInterval,
  quantile,
} from "../../src/aenet/experiment/statistics/summary.ts";
import { Random } from "../../src/random.ts";

// Values marked "SciPy" are those of scipy.stats 1.17 and numpy 2.4.

describe("confusion matrix", () => {
  const truth = [0, 0, 0, 1, 1, 2, null, 0];
  const predicted = [0, 1, 0, 1, 0, 0, 2, 2];
  const matrix = confusionMatrix(truth, predicted, 4);

  it("counts by [true][predicted]; images without a label do not count", () => {
    expect(matrix).toEqual([
      [2, 1, 1, 0],
      [1, 1, 0, 0],
      [1, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
  });

  it("gives accuracy, majority, each class's accuracy and their mean", () => {
    expect(accuracy(matrix)).toBe(3 / 7);
    expect(majority(matrix)).toBe(4 / 7);
    expect(perClassAccuracy(matrix)).toEqual([0.5, 0.5, 0, null]);
    expect(balancedAccuracy(matrix)).toBeCloseTo(1 / 3, 15);
    expect(addMatrices([matrix, matrix])[0]).toEqual([4, 2, 2, 0]);
  });

  it("refuses what does not fit", () => {
    expect(() => confusionMatrix([0], [0, 1], 2)).toThrow("1 labels but 2 predictions");
    expect(() => confusionMatrix([0], [2], 2)).toThrow("prediction 2");
  });
});

describe("ranks", () => {
  const x = [0.1, 0.4, 0.4, 0.8, 0.35, 0.9, 0.4, 0.05, 0.65, 0.35];
  const y = [2.1, 5.0, 4.5, 7.3, 5.0, 9.1, 3.2, 1.5, 5.0, 6.1];
  const labels = [0, 1, 0, 1, 0, 1, 1, 0, 1, 0] as (0 | 1)[];

  it("ties share the mean of their ranks (SciPy)", () => {
    expect([...averageRanks(x)]).toEqual([2, 6, 6, 9, 3.5, 10, 6, 1, 8, 3.5]);
  });

  it("correlations (SciPy)", () => {
    expect(spearman(x, y)).toBeCloseTo(0.7289754999333692, 14);
    expect(pearson(x, y)).toBeCloseTo(0.8956634771815796, 14);
    expect(pearson([1, 1], [1, 2])).toBeNaN();
  });

  it("the area under the curve is the share of pairs in order, ties half (SciPy, and by all pairs)", () => {
    expect(areaUnderCurve(x, labels)).toBeCloseTo(0.96, 14);
    const random = new Random(1, "auc");
    const scores = Array.from({ length: 60 }, () => random.integer(12) / 12);
    const truth = scores.map((s) => (random.float() < s ? 1 : 0)) as (0 | 1)[];
    let [pairs, ordered] = [0, 0];
    scores.forEach((a, i) => {
      scores.forEach((b, j) => {
        if (truth[i] !== 1 || truth[j] !== 0) return;
        pairs++;
        ordered += a > b ? 1 : a === b ? 0.5 : 0;
      });
    });
    expect(areaUnderCurve(scores, truth)).toBeCloseTo(ordered / pairs, 12);
    expect(areaUnderCurve([1, 2], [1, 1])).toBeNaN();
  });
});

describe("values that count several times", () => {
  const random = new Random(10, "counts");
  const x = Array.from({ length: 30 }, () => random.integer(8));
  const y = x.map((value) => value + random.integer(6));
  const labels = x.map((value) => (value + random.integer(8) > 7 ? 1 : 0));
  const counts = x.map(() => random.integer(4));
  const repeated = <T>(column: readonly T[]) => column.flatMap((value, i) => new Array<T>(counts[i]!).fill(value));

  it("are as if they stood there several times", () => {
    const figures = (x: number[], y: number[], labels: number[], counts?: number[]) => [
      areaUnderCurve(x, labels, counts),
      pearson(x, y, counts),
      spearman(x, y, counts),
    ];
    const weighted = figures(x, y, labels, counts);
    figures(repeated(x), repeated(y), repeated(labels)).forEach((figure, i) => {
      expect(weighted[i]).toBeCloseTo(figure, 12);
    });
  });
});

describe("distributions (SciPy)", () => {
  it.each([
    [-8, 6.22096057427174e-16],
    [-3, 0.0013498980316300933],
    [-1.959964, 0.024999999096442398],
    [-0.5, 0.3085375387259869],
    [0, 0.5],
    [0.3, 0.6179114221889526],
    [1.5, 0.9331927987311419],
    [2.5, 0.9937903346742238],
  ])("normal: P(Z ≤ %f)", (x, p) => {
    expect(Math.abs(normalCdf(x) / p - 1)).toBeLessThan(1e-12);
  });

  it.each([
    [2, 3, 0.9303370157205785],
    [-1.5, 10, 0.08225366322272007],
    [5, 15, 0.9999208152426889],
    [0.2, 200, 0.5791581041207833],
  ])("Student: P(T ≤ %f), %i degrees of freedom", (x, freedom, p) => {
    expect(studentCdf(x, freedom)).toBeCloseTo(p, 12);
  });

  it.each([
    [0.975, 1, 12.706204736174694],
    [0.975, 3, 3.1824463052837078],
    [0.99375, 15, 2.8366274760941357],
    [0.9, 30, 1.3104150253913955],
    [0.025, 4, -2.7764451051977943],
  ])("Student's quantile of %f, %i degrees of freedom", (p, freedom, x) => {
    expect(studentQuantile(p, freedom)).toBeCloseTo(x, 9);
  });

  it.each([
    [0.1, 1, 0.24817036595415076],
    [3, 2, 0.7768698398515702],
    [30, 15, 0.9880785040618403],
    [250, 200, 0.9906208683311739],
  ])("chi-square: P(X ≤ %f), %i degrees of freedom", (x, freedom, p) => {
    expect(chiSquareCdf(x, freedom)).toBeCloseTo(p, 12);
  });

  it.each([
    [0.05, 1, 0.003932140000019522],
    [0.05, 2, 0.10258658877510106],
    [0.05, 15, 7.2609439276700325],
    [0.975, 10, 20.483177350807388],
    [0.5, 200, 199.33372983863097],
  ])("chi-square's quantile of %f, %i degrees of freedom", (p, freedom, x) => {
    expect(chiSquareQuantile(p, freedom) / x).toBeCloseTo(1, 10);
  });
});

describe("summaries (SciPy)", () => {
  const differences = [0.012, 0.03, -0.004, 0.021, 0.009, 0.017, -0.011, 0.026];
  it("mean, deviation, Student's interval", () => {
    expect(mean(differences)).toBeCloseTo(0.0125, 15);
    expect(deviation(differences)).toBeCloseTo(0.014232758993653638, 15);
    const { low, high } = meanInterval(differences)!;
    expect(low).toBeCloseTo(0.000601115708792125, 12);
    expect(high).toBeCloseTo(0.024398884291207876, 12);
    expect(deviation([1])).toBeNull();
  });

  it("the deviation's upper limit: 4.42 times that of three values", () => {
    expect(deviationLimit([1, 2, 3])).toBeCloseTo(Math.sqrt(2 / 0.10258658877510106), 10);
    expect(deviationLimit(differences)! / deviation(differences)!).toBeCloseTo(Math.sqrt(7 / 2.167349909298057), 10);
    expect(deviationLimit([1])).toBeNull();
  });

  it("quantiles", () => {
    const sorted = [1, 2.5, 3.1, 4.0, 4.4, 4.9, 5.2, 5.2, 6.7, 8.0, 9.4];
    expect([0.025, 0.3, 0.975].map((p) => quantile(sorted, p))).toEqual([1.375, 4, 9.05]);
    expect(quantile([3], 0.7)).toBe(3);
  });
});

describe("sign-flip test", () => {
  /** By its definition, over all signs, in whole numbers. */
  function enumerated(differences: readonly number[]): number {
    const observed = Math.abs(differences.reduce((a, b) => a + b, 0));
    let count = 0;
    for (let signs = 0; signs < 2 ** differences.length; signs++)
      if (Math.abs(differences.reduce((sum, d, i) => sum + (signs & (1 << i) ? -d : d), 0)) >= observed) count++;
    return count / 2 ** differences.length;
  }

  it("of two examples (SciPy's permutation_test)", () => {
    expect(signFlipTest([0.012, 0.03, -0.004, 0.021, 0.009, 0.017, -0.011, 0.026])).toBe(0.0546875);
    expect(signFlipTest([0.01, 0.02, 0.02, -0.01, 0.03, 0])).toBe(0.1875);
  });

  it("is the enumeration, ties and zeros included", () => {
    const random = new Random(2, "sign-flip");
    for (let n = 1; n <= 12; n++)
      for (let repeat = 0; repeat < 8; repeat++) {
        const whole = Array.from({ length: n }, () => random.integer(9) - 3);
        // Divided by 640, as accuracies are, sums that are tied differ in their last bits.
        expect([whole, signFlipTest(whole.map((d) => d / 640))]).toEqual([whole, enumerated(whole)]);
      }
  });

  it("is exact for as many differences as there may be", () => {
    expect(signFlipTest(new Array(16).fill(0.01))).toBe(2 / 2 ** 16);
    expect(signFlipTest(new Array(40).fill(1))).toBe(2 / 2 ** 40);
    expect(signFlipTest([0, 0])).toBe(1);
    expect(() => signFlipTest([])).toThrow("0 differences");
    expect(() => signFlipTest([Number.NaN])).toThrow("NaN");
  });

  it("rejects a true hypothesis as often as it says", () => {
    const random = new Random(3, "level");
    const pValues = Array.from({ length: 4000 }, () => signFlipTest(Array.from({ length: 9 }, () => random.normal())));
    for (const alpha of [0.05, 0.25, 0.5]) {
      const exact = Math.floor(alpha * 2 ** 8) / 2 ** 8; // p is a multiple of 2⁻⁸
      expect(Math.abs(pValues.filter((p) => p <= alpha).length / 4000 - exact)).toBeLessThan(0.025);
    }
  });

  it("its interval holds what it does not reject, and nothing else", () => {
    const random = new Random(4, "interval");
    for (const [n, alpha] of [
      [6, 0.05],
      [8, 0.0125],
      [8, 2 / 2 ** 8],
      [10, 0.2],
    ] as const) {
      const differences = Array.from({ length: n }, () => 0.3 + random.normal());
      const { low, high } = signFlipInterval(differences, alpha);
      const p = (theta: number) => signFlipTest(differences.map((d) => d - theta));
      for (const inside of [low + 1e-6, (low + high) / 2, high - 1e-6]) expect(p(inside)).toBeGreaterThan(alpha);
      for (const outside of [low - 1e-6, high + 1e-6]) expect(p(outside)).toBeLessThanOrEqual(alpha);
    }
    expect(signFlipInterval([1, 2, 3], 0.05)).toEqual({ low: -Infinity, high: Infinity });
  });
});

describe("paired images test", () => {
  it("is McNemar's exact test where every method was trained once, by hand", () => {
    expect(pairedImagesTest([1, 1, 1, 1, 1, -1, 0, 0])).toBeCloseTo((2 * (1 + 6)) / 2 ** 6, 14);
    expect(pairedImagesTest([-1, -1, -1, -1, -1])).toBeCloseTo(2 / 2 ** 5, 14);
    expect([pairedImagesTest([1, -1]), pairedImagesTest([0, 0]), pairedImagesTest([1, 1, -1])]).toEqual([1, 1, 1]);
    // Python's exact fractions: 1,600 of 3,000 images.
    const many = Array.from({ length: 3000 }, (_, i) => (i < 1600 ? 1 : -1));
    expect(pairedImagesTest(many)).toBeCloseTo(0.0002785639610392337, 14);
  });

  it("is the sign-flip test of whole numbers, for as many as there are", () => {
    const random = new Random(0, "paired images test");
    for (let trial = 0; trial < 20; trial++) {
      const differences = Array.from({ length: 20 }, () => random.integer(7) - 2);
      expect(pairedImagesTest(differences)).toBeCloseTo(signFlipTest(differences), 12);
    }
    expect(() => pairedImagesTest([0.5])).toThrow("0.5, not a whole number");
  });
});

describe("a family of tests", () => {
  it("Holm's adjusted p: the step-down of his paper, never falling, at most 1", () => {
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    [0.03, 0.06, 0.06, 0.02].forEach((p, i) => void expect(adjusted[i]).toBeCloseTo(p, 15));
    expect(holm([0.6, 0.7])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });

  it("rejects as the sequential procedure does", () => {
    const random = new Random(5, "holm");
    for (let repeat = 0; repeat < 50; repeat++) {
      const pValues = Array.from({ length: 5 }, () => random.float() ** 4);
      const order = [...pValues].sort((a, b) => a - b);
      const stop = order.findIndex((p, i) => p > 0.05 / (5 - i));
      const threshold = stop < 0 ? 2 : order[stop]!;
      expect(holm(pValues).map((p) => p <= 0.05)).toEqual(pValues.map((p) => p < threshold));
    }
  });

  it("its intervals are at alpha/m, and what is rejected first excludes 0", () => {
    const random = new Random(6, "family");
    const family = [1.5, 0, 0.8].map((delta) => Array.from({ length: 12 }, () => delta + random.normal()));
    const tests = testFamily(family, 0.05);
    expect(tests[0]!.rejected).toBe(true);
    expect(tests[0]!.interval.low).toBeGreaterThan(0);
    expect(tests[1]!.rejected).toBe(false);
    tests.forEach(({ interval, p }, i) => {
      expect(interval).toEqual(signFlipInterval(family[i]!, 0.05 / 3));
      expect(p).toBe(signFlipTest(family[i]!));
    });
  });

  it("its intervals hold all true differences at once as often as they say", () => {
    const random = new Random(7, "coverage");
    let covered = 0;
    for (let repeat = 0; repeat < 600; repeat++) {
      const shared = Array.from({ length: 9 }, () => random.normal());
      const family = [0, 1, 2].map((delta) => shared.map((x) => delta + 0.6 * x + random.normal()));
      if (testFamily(family, 0.1).every(({ interval }, i) => interval.low <= i && i <= interval.high)) covered++;
    }
    expect(covered / 600).toBeGreaterThan(0.9 - 0.03);
    expect(covered / 600).toBeLessThan(0.99);
  });
});

describe("bootstrap", () => {
  const values = [1, 2.5, 3.1, 4.0, 4.4, 4.9, 5.2, 5.2, 6.7, 8.0, 9.4];
  const meanOf = (of: readonly number[]) => (counts: Uint32Array) =>
    of.reduce((sum, value, i) => sum + counts[i]! * value, 0) / counts.reduce((a, b) => a + b, 0);

  it("over images (SciPy: 3.618 to 6.336)", () => {
    const options = { units: unitsOf(null, 11), statistic: meanOf(values), seed: 0, name: "mean", resamples: 20_000 };
    const { low, high } = bootstrapInterval(options)!;
    expect(Math.abs(low - 3.618)).toBeLessThan(0.04);
    expect(Math.abs(high - 6.336)).toBeLessThan(0.04);
    expect(bootstrapInterval(options)).toEqual({ low, high });
    expect(bootstrapInterval({ ...options, name: "another" })).not.toEqual({ low, high });
  });

  it("over groups of unequal size (numpy: quantiles 0.1 and 0.9 are 0.5 and 0.8)", () => {
    const groups = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3];
    const hits = [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1];
    expect(unitsOf(groups, 11)[1]).toEqual([3, 4]);
    const { low, high } = bootstrapInterval({
      units: unitsOf(groups, 11),
      statistic: meanOf(hits),
      seed: 0,
      name: "groups",
      level: 0.8,
      resamples: 20_000,
    })!;
    expect([low, high]).toEqual([0.5, 0.8]);
  });

  it("is undefined where the statistic mostly is", () => {
    expect(bootstrapInterval({ units: [[0]], statistic: () => Number.NaN, seed: 0, name: "none" })).toBeNull();
    expect(() => bootstrapInterval({ units: [], statistic: () => 0, seed: 0, name: "none" })).toThrow("none");
  });
});

describe("smallest detectable difference", () => {
  // Student's test, which the exact one equals but for a little power, detects these by the noncentral t (SciPy).
  it.each([
    [16, 0.0125, 0.9337182551669517],
    [10, 0.05, 0.9960022543069522],
  ])("%i pairs at level %f", (n, level, student) => {
    const found = detectableEffect({ n, level, simulations: 1000 });
    expect(found / student).toBeGreaterThan(0.95);
    expect(found / student).toBeLessThan(1.08);
  });

  it("is infinite for too few pairs", () => {
    expect(detectableEffect({ n: 4, level: 0.05 })).toBe(Infinity);
  });
});

describe("Gaussian fit", () => {
  it("moments and distance (SciPy)", () => {
    const fit = fitGaussian([1, 2.5, 3.1, 4.0, 4.4, 4.9, 5.2, 5.2, 6.7, 8.0, 9.4]);
    expect(fit.mean).toBeCloseTo(4.945454545454546, 14);
    expect(fit.deviation).toBeCloseTo(2.30665583844335, 13);
    expect(fit.skewness).toBeCloseTo(0.2888171707262363, 12);
    expect(fit.excessKurtosis).toBeCloseTo(-0.49247930290415143, 12);
    expect(fit.distance).toBeCloseTo(0.18333760136122923, 12);
    expect(() => fitGaussian([2, 2])).toThrow("not distinct");
  });

  it("a histogram of grid values has an interval around each; of others, Freedman and Diaconis's width", () => {
    const grid = histogram([4, 4.3, 4.3, 4.9, 5.2, 3.7].map((x) => x + 1e-12));
    expect(grid.width).toBeCloseTo(0.3, 9);
    expect(grid.from).toBeCloseTo(3.55, 9);
    expect(grid.counts).toEqual([1, 1, 2, 0, 1, 1]);
    const random = new Random(8, "histogram");
    const free = histogram(Array.from({ length: 2000 }, () => 5 + random.normal()));
    expect(free.width).toBeCloseTo(0.2, 12); // 2 · 1.35 / 12.6 = 0.21
    expect(free.counts.reduce((a, b) => a + b, 0)).toBe(2000);
  });

  it("tells a Gaussian sample from a uniform one", () => {
    const random = new Random(9, "fit");
    const explained = (values: number[]) => {
      const bins = histogram(values);
      return explainedVariance(bins.counts, expectedCounts(bins, fitGaussian(values)));
    };
    expect(explained(Array.from({ length: 3000 }, () => random.normal()))).toBeGreaterThan(0.99);
    expect(explained(Array.from({ length: 3000 }, () => random.float() * 10))).toBeLessThan(0.5);
  });
});
