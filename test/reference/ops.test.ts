import { describe, expect, it } from "vitest";
import {
  addScaled,
  batchNorm,
  batchStatistics,
  binaryCrossEntropyWithLogits,
  concatStreams,
  conv2d,
  fuse,
  globalAveragePool,
  linear,
  maxPool2d,
  ndarray,
  preprocess,
  sgdStep,
  softmaxCrossEntropy,
  stitch,
  updateRunningStatistics,
} from "../../src/autograd/reference/index.ts";

const list = ({ data }: { data: Float64Array }): number[] => Array.from(data);

describe("conv2d", () => {
  const image = ndarray([1, 1, 3, 3, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9]);

  it("correlates (does not flip the kernel)", () => {
    const weight = ndarray([1, 2, 2, 1, 1], [1, 10, 100, 1000]);
    const y = conv2d(image, weight, { stride: 1, padding: 0 });
    expect(y.shape).toEqual([1, 1, 2, 2, 1]);
    expect(list(y)).toEqual([5421, 6532, 8754, 9865]);
  });

  it("pads with zeros and drops what a stride does not reach", () => {
    const weight = ndarray([1, 3, 3, 1, 1], Array(9).fill(1));
    expect(list(conv2d(image, weight, { stride: 2, padding: 1 }))).toEqual([12, 16, 24, 28]);
    const pick = ndarray([1, 1, 2, 1, 1], [1, 0]);
    expect(list(conv2d(image, pick, { stride: 2, padding: 0 }))).toEqual([1, 7]);
  });

  it("mixes channels by weight [g, ky, kx, in, out]", () => {
    const x = ndarray([1, 1, 1, 1, 2], [1, 2]);
    const weight = ndarray([1, 1, 1, 2, 3], [1, 2, 3, 10, 20, 30]);
    expect(list(conv2d(x, weight, { stride: 1, padding: 0 }))).toEqual([21, 42, 63]);
  });

  it("shows one image to every stream's own weight", () => {
    const weight = ndarray([2, 1, 1, 1, 1], [2, -1]);
    const y = conv2d(image, weight, { stride: 2, padding: 0 });
    expect(y.shape).toEqual([2, 1, 2, 2, 1]);
    expect(list(y)).toEqual([2, 6, 14, 18, -1, -3, -7, -9]);
  });

  it("names both shapes that do not fit", () => {
    const weight = ndarray([1, 1, 1, 2, 1]);
    expect(() => conv2d(image, weight, { stride: 1, padding: 0 })).toThrow("weight is [1, 1, 1, 2, 1]");
    expect(() => conv2d(image, ndarray([1, 4, 4, 1, 1]), { stride: 1, padding: 0 })).toThrow("window of 4");
  });
});

describe("batchNorm", () => {
  const parameters = (running: [number, number], affine: [number, number] = [1, 0]) => ({
    weight: ndarray([1, 1], [affine[0]]),
    bias: ndarray([1, 1], [affine[1]]),
    runningMean: ndarray([1, 1], [running[0]]),
    runningVar: ndarray([1, 1], [running[1]]),
  });
  const x = ndarray([1, 4, 1, 1, 1], [1, 3, 5, 7]);

  it("has the biased variance of each stream and channel", () => {
    const { mean, variance, count } = batchStatistics(ndarray([2, 2, 1, 1, 2], [1, 10, 3, 30, 5, 50, 9, 90]));
    expect(count).toBe(2);
    expect(list(mean)).toEqual([2, 20, 7, 70]);
    expect(list(variance)).toEqual([1, 100, 4, 400]);
  });

  it("normalises by the batch in training, by the running statistics in evaluation", () => {
    const root = Math.sqrt(5);
    const trained = batchNorm(x, parameters([9, 9], [2, 1]), { training: true, eps: 0 });
    const expected = [-3, -1, 1, 3].map((distance) => (2 * distance) / root + 1);
    list(trained).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 14);
    });
    const evaluated = batchNorm(x, parameters([1, 4], [2, 1]), { training: false, eps: 0 });
    expect(list(evaluated)).toEqual([1, 3, 5, 7]);
  });

  it("adds the residual before the ReLU", () => {
    const residual = ndarray(x.shape, [1, 1, -9, 1]);
    const y = batchNorm(x, parameters([3, 1]), { training: false, eps: 0, residual, relu: true });
    expect(list(y)).toEqual([0, 1, 0, 5]);
  });

  it("moves the running statistics a tenth of the way, to the unbiased variance", () => {
    const running = { runningMean: ndarray([1, 1], [14]), runningVar: ndarray([1, 1], [10]) };
    const { runningMean, runningVar } = updateRunningStatistics(running, x);
    expect(runningMean.data[0]).toBeCloseTo(0.9 * 14 + 0.1 * 4, 14);
    expect(runningVar.data[0]).toBeCloseTo(0.9 * 10 + 0.1 * (20 / 3), 14);
    expect(() => updateRunningStatistics(running, ndarray([1, 1, 1, 1, 1]))).toThrow("one value a channel");
  });
});

describe("fuse", () => {
  it("is Eq. 2", () => {
    const weights = ndarray([4, 1], [0.9, 0.1, 0.8, 0.2]);
    const y = fuse(ndarray([3, 1, 1, 1, 1], [1, 10, 100]), { weights });
    [0.9 * 1 + 0.1 * 10, 10, 0.2 * 10 + 0.8 * 100].forEach((value, i) => {
      expect(y.data[i]).toBeCloseTo(value, 14);
    });
  });

  it("weighs by channel, and takes a shared stream held elsewhere", () => {
    const weights = ndarray([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    const x = ndarray([3, 1, 1, 1, 2], [1, 1, 10, 10, 100, 100]);
    const shared = ndarray(x.shape, [0, 0, 1, 1, 0, 0]);
    expect(list(fuse(x, { weights }))).toEqual([31, 42, 10, 10, 570, 680]);
    expect(list(fuse(x, { weights, shared }))).toEqual([4, 6, 10, 10, 507, 608]);
  });
});

describe("stitch", () => {
  it("is W · [a; e], a row for each output", () => {
    const x = ndarray([2, 1, 1, 1, 2], [1, 2, 10, 20]);
    expect(list(stitch(x, ndarray([2, 2], [1, 2, 3, 4])))).toEqual([21, 42, 43, 86]);
  });

  it("names what does not fit", () => {
    expect(() => stitch(ndarray([3, 1, 1, 1, 1]), ndarray([2, 2]))).toThrow("x has 3 streams");
    expect(() => stitch(ndarray([2, 1, 1, 1, 1]), ndarray([4, 1]))).toThrow("weight is [4, 1], expected [2, 2]");
  });
});

describe("pools", () => {
  it("takes the maximum, padding with −∞", () => {
    const x = ndarray([1, 1, 3, 3, 1], [-1, -2, -3, -4, -5, -6, -7, -8, -9]);
    expect(list(maxPool2d(x, { kernelSize: 3, stride: 2, padding: 1 }))).toEqual([-1, -2, -4, -5]);
    expect(list(maxPool2d(x, { kernelSize: 2, stride: 2, padding: 0 }))).toEqual([-1]);
  });

  it("averages by channel", () => {
    const y = globalAveragePool(ndarray([1, 2, 1, 2, 2], [1, 10, 3, 30, 5, 50, 7, 70]));
    expect(y.shape).toEqual([1, 2, 2]);
    expect(list(y)).toEqual([2, 20, 6, 60]);
  });
});

describe("heads", () => {
  it("linear is x · weight + bias", () => {
    const y = linear(ndarray([1, 2], [1, 2]), ndarray([2, 3], [1, 2, 3, 10, 20, 30]), ndarray([3], [100, 200, 300]));
    expect(list(y)).toEqual([121, 242, 363]);
  });

  it("concatenates streams in the order they are named", () => {
    const v = ndarray([3, 2, 1], [1, 2, 10, 20, 100, 200]);
    expect(list(concatStreams(v, [1, 0]))).toEqual([10, 1, 20, 2]);
    expect(list(concatStreams(v, [1, 2]))).toEqual([10, 100, 20, 200]);
  });
});

describe("losses", () => {
  const bce = (logits: number[], target: number[], count: number): number =>
    binaryCrossEntropyWithLogits(
      ndarray([logits.length, 1], logits),
      ndarray([target.length], target),
      ndarray([1], [count]),
    ).data[0];
  const softmax = (logits: number[][], labels: number[], count: number): number =>
    softmaxCrossEntropy(
      ndarray([logits.length, logits[0].length], logits.flat()),
      ndarray([labels.length], labels),
      ndarray([1], [count]),
    ).data[0];

  it("are log 2 and log K of no preference, at any offset", () => {
    expect(bce([0], [1], 1)).toBeCloseTo(Math.LN2, 15);
    expect(softmax([[100, 100, 100]], [2], 1)).toBeCloseTo(Math.log(3), 13);
  });

  it("agree: two-way softmax is one logit's cross-entropy", () => {
    expect(softmax([[0, 1.7]], [1], 1)).toBeCloseTo(bce([1.7], [1], 1), 15);
    expect(softmax([[0, 1.7]], [0], 1)).toBeCloseTo(bce([1.7], [0], 1), 15);
    expect(bce([1.7], [0.25], 1)).toBeCloseTo(0.25 * bce([1.7], [1], 1) + 0.75 * bce([1.7], [0], 1), 15);
  });

  it("are exact far out", () => {
    expect(bce([100, -100], [0, 1], 2)).toBe(100);
    expect(bce([100], [1], 1)).toBeCloseTo(3.720075976020836e-44, 50);
    expect(softmax([[100, -100]], [1], 1)).toBe(200);
  });

  it("leave out what has no label and divide by the count given", () => {
    expect(bce([0, 5], [1, -1], 4)).toBeCloseTo(Math.LN2 / 4, 15);
    expect(
      softmax(
        [
          [0, 0],
          [9, 1],
        ],
        [0, -1],
        4,
      ),
    ).toBeCloseTo(Math.LN2 / 4, 15);
    expect(bce([3, 5], [-1, -1], 0)).toBe(0);
    expect(softmax([[3, 5]], [-1], 0)).toBe(0);
  });

  it("add up to a + lambda · b", () => {
    expect(list(addScaled(ndarray([1], [2]), ndarray([1], [8]), 0.25))).toEqual([4]);
  });
});

it("preprocess crops at x, y, flips within the crop and normalises by channel", () => {
  const bytes = Array.from({ length: 3 * 3 * 3 }, (_, i) => i);
  const options = { size: 2, mean: [0, 0.5, 0], deviation: [1 / 255, 1 / 255, 2 / 255] };
  const y = preprocess(ndarray([1, 3, 3, 3], bytes), ndarray([1, 3], [1, 0, 1]), options);
  expect(y.shape).toEqual([1, 1, 2, 2, 3]);
  const expected = [6, 7 - 127.5, 4, 3, 4 - 127.5, 2.5, 15, 16 - 127.5, 8.5, 12, 13 - 127.5, 7];
  list(y).forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i], 12);
  });
});

it("sgdStep is PyTorch's: decay joins the gradient, the rate stays outside the velocity", () => {
  const state = { weight: ndarray([1], [2]), gradient: ndarray([1], [0.5]), velocity: ndarray([1], [4]) };
  const { weight, velocity } = sgdStep(state, { lr: 0.1, momentum: 0.9, weightDecay: 0.25 });
  expect(list(velocity)).toEqual([0.9 * 4 + 0.5 + 0.25 * 2]);
  expect(weight.data[0]).toBeCloseTo(2 - 0.46, 14);
});
