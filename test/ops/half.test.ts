/**
 * The op table with activations in f16 against the float64 reference. Inputs and dy are values of f16, arithmetic is f32,
 * so what is stored in f32 is as exact as ever; what is stored in f16 is off by 2^-11 of itself for each rounding.
 */
import { describe, expect, it } from "vitest";
import type { OpCase } from "../../src/autograd/gradcheck/case.ts";
import { cases } from "../../src/autograd/gradcheck/cases.ts";
import { checkCase, compare, drawExpected, isWithin, runOnGpu } from "../../src/autograd/gradcheck/check.ts";
import { fromHalf, halfRounding, toHalf } from "../../src/half.ts";
import { testDevice } from "../support/device.ts";

const device = await testDevice();

/** The inputs of each op that are activations, or weights as products read them. */
const halves: Readonly<Record<string, readonly string[]>> = {
  conv2d: ["x", "weight", "residual"],
  batchNorm: ["x", "residual"],
  fuse: ["x"],
  stitch: ["x"],
  maxPool2d: ["x"],
  globalAveragePool: ["x"],
  relu: ["x"],
  add: ["x", "y"],
  preprocess: [],
};

/** One image for several streams: its gradient is a sum. */
const sumsStreams = ({ inputs }: OpCase) => inputs.weight && inputs.weight.shape[0]! > inputs.x!.shape[0]!;

/**
 * How many times 2^-11 a tensor is off at most; 0 where it is stored in f32. Where a kernel reads what another has rounded,
 * that error is carried on: from dz to dx by at most 1/√(1 − 2/rows) < 1.5, as a norm takes two directions of `rows` away;
 * from what reaches the image in each of G streams, or a pixel from each window, to their sum by at most 2.
 */
function roundingsOf(opCase: OpCase, tensor: string): number {
  const { op, inputs } = opCase;
  if (tensor === "y") return op === "globalAveragePool" ? 0 : 1;
  if (tensor === "d(weight)" || !halves[op]!.includes(tensor.slice(2, -1))) return 0;
  const isFused = "residual" in inputs || "fusion" in inputs;
  return ((op === "batchNorm" || op === "maxPool2d") && isFused) || sumsStreams(opCase) ? 3 : 1;
}

const rowsOf = ({ inputs }: OpCase) => inputs.x!.shape.slice(1, 4).reduce((a, b) => a * b, 1);

const inHalf = (opCase: OpCase): OpCase => ({
  ...opCase,
  precision: "f16",
  inputs: Object.fromEntries(
    Object.entries(opCase.inputs).map(([name, spec]) => [
      name,
      halves[opCase.op]!.includes(name) ? { ...spec, dtype: "f16" as const } : spec,
    ]),
  ),
});

/**
 * Of few rows a norm leaves next to nothing; values of 1000 ± 0.2 have no digits left in f16, 1e18 is none. Among many
 * values of f16 a window has two equal maxima, where there is no derivative to compare with. Winograd's algorithm takes f32.
 */
function isBorne(opCase: OpCase): boolean {
  if (/, winograd\b/.test(opCase.name)) return false;
  if (opCase.op === "maxPool2d") return opCase.directions === undefined;
  return opCase.op !== "batchNorm" || (rowsOf(opCase) >= 6 && !/constant|1000|1e18/.test(opCase.name));
}

/** The largest error by the number of roundings. */
const worst: number[] = [];

const borne = cases.filter((opCase) => opCase.op in halves && isBorne(opCase)).map(inHalf);

describe.skipIf(!device.hasHalves)("in f16", () => {
  it.each(borne.map((opCase) => [opCase.name, opCase] as const))("%s", async (_, opCase) => {
    const { measurements, faults } = await checkCase(device, opCase);
    expect(faults).toEqual([]);
    for (const measurement of measurements) {
      const { tensor, tolerance } = measurement;
      const times = roundingsOf(opCase, tensor);
      const bound = tolerance + times * halfRounding;
      expect(isWithin({ ...measurement, tolerance: bound }), `${tensor}: ${measurement.error} > ${bound}`).toBe(true);
      worst[times] = Math.max(worst[times] ?? 0, measurement.error);
    }
  });

  it.runIf(process.env.AENET_FIGURES)("the worst of each number of roundings", () => console.log(worst));

  it("what is rounded is rounded, and what is not is not", async () => {
    const opCase = borne.find(({ name }) => name.startsWith("conv2d 3x3 s1 p1 [3,2,5,4,7]"))!;
    const expected = drawExpected(opCase);
    const { results } = await runOnGpu(device, opCase, expected, { reuse: true, poison: false });
    const areHalves = (name: string) => results.get(name)!.every((value) => fromHalf(toHalf(value)) === value);
    expect(["y", "d(x)", "d(weight)"].map(areHalves)).toEqual([true, true, false]);
    // Within its bound, but not within what f32 gives.
    const [y] = compare(opCase, expected, results);
    expect(y!.error).toBeGreaterThan(10 * y!.tolerance);
  });
});
