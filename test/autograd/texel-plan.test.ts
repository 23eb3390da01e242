import { afterAll, describe, expect, it } from "vitest";
import type { BoundRange } from "../../src/autograd/bound-range.ts";
import { batchNorm, conv2d, type ProgramOptions, Tape } from "../../src/autograd/index.ts";
import { alignment } from "../../src/autograd/planner.ts";
import { Storage } from "../../src/autograd/tensor.ts";
import { planTexels } from "../../src/autograd/texel-plan.ts";
import { defineKernel } from "../../src/kernels/kernel.ts";
import { withTexels } from "../../src/kernels/texels.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";

const kernel = defineKernel({
  name: "two_inputs",
  inputs: { a: "vec4", b: "vec4" },
  outputs: { y: "vec4" },
  params: {},
  wgsl: "",
});

const KiB = 1024;
const tensor = (kib: number) => ({ storage: new Storage(kib * KiB) });

/** A dispatch that reads `texels` of its inputs through textures. */
const reading = (texels: readonly ("a" | "b")[], bindings: Readonly<Record<"a" | "b" | "y", BoundRange>>) => ({
  kernel: withTexels(kernel, texels),
  bindings,
});

/** For each dispatch, what it copies and what it finds, with the textures' numbers. */
const summary = (dispatches: readonly ReturnType<typeof reading>[], room = 0) =>
  planTexels(dispatches, room).uses.map((uses) =>
    uses.map(({ binding, texture, isHeld }) => `${binding}${texture}${isHeld ? " held" : ""}`),
  );

describe("planTexels", () => {
  const [x, dx, dy] = [tensor(64), tensor(64), tensor(32)];
  const [weight, dWeight] = [tensor(16), tensor(16)];

  it("needs nothing where all is read from buffers", () => {
    expect(planTexels([reading([], { a: x, b: weight, y: dx })])).toEqual({ textures: [], uses: [[]] });
  });

  it("copies what a texture does not hold, and finds what it does", () => {
    const inputGradient = reading(["a", "b"], { a: dy, b: weight, y: dx });
    const weightGradient = reading(["a", "b"], { a: x, b: dy, y: dWeight });
    expect(summary([inputGradient, weightGradient])).toEqual([
      ["a0", "b1"],
      ["a1", "b0 held"],
    ]);
    expect(planTexels([inputGradient, weightGradient]).textures).toEqual([32 * KiB, 64 * KiB]);
  });

  it("has textures of whole rows", () => {
    expect(planTexels([reading(["a"], { a: tensor(1), b: weight, y: dx })]).textures).toEqual([16 * KiB]);
  });

  it("takes one texture for a tensor that is both operands", () => {
    expect(summary([reading(["a", "b"], { a: x, b: x, y: dy })])).toEqual([["a0", "b0 held"]]);
  });

  it("copies again what was written since", () => {
    const read = reading(["a"], { a: x, b: weight, y: dy });
    const write = reading([], { a: dy, b: weight, y: x });
    expect(summary([read, read, write, read])).toEqual([["a0"], ["a0 held"], [], ["a0"]]);
  });

  it("tells parts of a tensor from each other and from the whole", () => {
    const part = (offset: number, size: number) => reading(["a"], { a: { ...x, offset, size }, b: weight, y: dy });
    const whole = reading(["a"], { a: x, b: weight, y: dy });
    const size = 64 * alignment;
    expect(summary([part(0, size), part(size, size), part(size, size), whole])).toEqual([
      ["a0"],
      ["a0"],
      ["a0 held"],
      ["a0"],
    ]);
  });

  describe("with room", () => {
    const [larger, large, y] = [tensor(48), tensor(32), tensor(16)];
    const reads = (a: BoundRange, b: BoundRange) => reading(["a", "b"], { a, b, y });
    const others = () => reads(tensor(1), tensor(2));
    const twice = [reads(weight, large), others(), reads(weight, large)];

    it("keeps what would be copied again, and nothing else", () => {
      const once = [reads(weight, large), others(), reads(larger, weight)];
      expect(summary(once)).toEqual([
        ["a0", "b1"],
        ["a0", "b1"],
        ["a0", "b1"],
      ]);
      expect(summary(once, 1024 * KiB)).toEqual([
        ["a0", "b1"],
        ["a1", "b2"],
        ["a1", "b0 held"],
      ]);
      expect(planTexels(once, 1024 * KiB).textures).toEqual([16 * KiB, 48 * KiB, 16 * KiB]);
    });

    it("keeps the smallest first, as far as the room goes", () => {
      const copies = (kib: number) =>
        summary(twice, kib * KiB)
          .flat()
          .filter((use) => !use.endsWith("held")).length;
      expect([0, 15, 16, 47, 48].map(copies)).toEqual([6, 6, 5, 5, 4]);
    });

    it("copies again what was written since", () => {
      const write = reading([], { a: dy, b: x, y: weight });
      const before = summary([...twice, write, reads(weight, large)], 1024 * KiB);
      expect(before.at(-1)).toEqual([expect.stringMatching(/^a\d$/), "b1 held"]);
    });
  });
});

describe("a program that keeps textures", () => {
  /** Gradients of two convolutions with a batch norm between them, whose output only the second one reads. */
  async function run(options: ProgramOptions) {
    const device = await testDevice();
    const lanes = device.subgroupSize!;
    device.tiles.override = () => ({
      ...{ strategy: "subgroup", lanes, across: lanes, rows: 16, columnVectors: 1, order: "column", texels: "ab" },
    });
    const tape = new Tape(device, { training: true });
    const input = (name: string, shape: number[], layout: "channels" | "weight" = "channels") =>
      tape.input(name, shape, { needsGrad: true, layout });
    const weights = [1, 2].map((i) => input(`weight ${i}`, [1, 1, 1, 8, 8], "weight"));
    const [weight, bias, runningMean, runningVar] = ["w", "b", "m", "v"].map((name) => input(name, [1, 8]));
    const x = input("x", [1, 2, 4, 4, 8]);
    const norm = { weight: weight!, bias: bias!, runningMean: runningMean!, runningVar: runningVar! };
    const y = conv2d(batchNorm(conv2d(x, weights[0]!), norm, { relu: true }), weights[1]!);
    tape.backward(y, tape.input("dy", y.shape));
    const gradients = [x, ...weights].map((t) => tape.gradient(t)!);
    const { texels, plan } = tape.plan(gradients, options);
    const program = await tape.compile(gradients, options);
    const random = new Random(0, "values");
    for (const t of tape.inputs)
      program.write(
        t,
        Float32Array.from({ length: t.size }, () => random.normal()),
      );
    program.run();
    const values = await Promise.all(gradients.map((t) => program.read(t)));
    program.destroy();
    const held = texels.uses.flat().filter(({ isHeld }) => isHeld).length;
    return { values, held, bytes: plan.banks.reduce((a, b) => a + b, 0) };
  }

  afterAll(async () => {
    (await testDevice()).tiles.override = null;
  });

  it("gives the same gradients with memory shared, full of NaN before, and with a place for each tensor", async () => {
    const [shared, apart] = [await run({ poison: true }), await run({ reuse: false })];
    expect(shared.held).toBeGreaterThanOrEqual(3); // both operands of the second one's gradients, and dy
    expect(shared.bytes).toBeLessThan(apart.bytes);
    expect(shared.values).toEqual(apart.values);
    expect(shared.values.flatMap((values) => [...values]).every(Number.isFinite)).toBe(true);
  });
});
