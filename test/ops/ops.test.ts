import { expect, it } from "vitest";
import type { OpCase } from "../../src/autograd/gradcheck/case.ts";
import { cases } from "../../src/autograd/gradcheck/cases.ts";
import { compare, drawExpected, faultsOf, type Results, runOnGpu } from "../../src/autograd/gradcheck/check.ts";
import { stitch, Tape } from "../../src/autograd/index.ts";
import { testDevice } from "../support/device.ts";
import { testOps } from "./run.ts";

const inOtherFiles = ["conv2d", "batchNorm", "fuse"];
testOps(...new Set(cases.map(({ op }) => op).filter((op) => !inOtherFiles.includes(op))));

it("every case has a name of its own", () => {
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});

const options = { reuse: true, poison: false };
const compared = (opCase: OpCase, expected: ReturnType<typeof drawExpected>, results: Results) =>
  faultsOf({ measurements: compare(opCase, expected, results), faults: [] });

it("the check sees an output off by a ten-thousandth and any gradient off by a thousandth", async () => {
  for (const start of [
    "batchNorm training [3,2,3,3,7]",
    "network of three streams training",
    "conv2d 3x3 s2 p1 [3,2,9,9",
    "stitch [2,2,3,4,5]",
  ]) {
    const opCase = cases.find(({ name }) => name.startsWith(start))!;
    const expected = drawExpected(opCase);
    const { results } = await runOnGpu(await testDevice(), opCase, expected, options);
    expect(compared(opCase, expected, results)).toEqual([]);
    const mutated = new Map(
      Array.from(results, ([name, values]) => [name, values.map((value) => value * (name === "y" ? 1.0001 : 1.001))]),
    );
    const names = compared(opCase, expected, mutated).map((fault) => fault.split(":")[0]);
    expect(names).toEqual([...results.keys()]);
  }
});

it("the check sees a gradient that leaves out the path from the fused streams to f_s", async () => {
  const [whole, detached] = ["scalar", "scalar, detached"].map(
    (fusion) => cases.find(({ op, name }) => op === "fuse" && name.endsWith(`by ${fusion}`))!,
  );
  const opCase = { ...whole, inputs: detached.inputs, name: detached.name };
  const expected = drawExpected(opCase);
  const { results } = await runOnGpu(await testDevice(), detached, expected, options);
  expect(compared(detached, expected, results)).toEqual([]);
  expect(compared(opCase, expected, results)).toEqual([expect.stringMatching(/^d\(x\): relative error/)]);
});

it("stitch refuses other than two streams and their matrix", async () => {
  const tape = new Tape(await testDevice());
  const input = (...shape: number[]) => tape.input(`[${shape}]`, shape);
  expect(() => stitch(input(3, 1, 2, 2, 3), input(2, 2))).toThrow("stitch: x [3,1,2,2,3] and weight [2,2]");
  expect(() => stitch(input(2, 1, 2, 2, 3), input(4, 1))).toThrow("stitch: x [2,1,2,2,3] and weight [4,1]");
});
