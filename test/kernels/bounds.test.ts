/**
 * Devices are opened without the clamping of indices that WebGPU otherwise does, so every access has to be within what is
 * bound: those of all ops forward and backward, of a training step with its optimizer, and of inference.
 */
import { afterAll, describe, expect, it } from "vitest";
import { cases } from "../../src/autograd/gradcheck/cases.ts";
import { drawExpected, runOnGpu } from "../../src/autograd/gradcheck/check.ts";
import { Tape, type Tensor } from "../../src/autograd/index.ts";
import { BoundsChecks, type OutOfRange } from "../../src/kernels/bounds.ts";
import { sharedTile } from "../../src/kernels/index.ts";
import { defineKernel, dispatch } from "../../src/kernels/kernel.ts";
import { withTexels } from "../../src/kernels/texels.ts";
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";
import { twentySteps } from "../training/twenty-steps.ts";

// Clamps stay on here: what is beyond is to be counted, not to crash.
const device = await openDevice({
  adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto"),
  robustness: true,
});
afterAll(() => device.destroy());

/** What reached beyond while `run` ran. */
async function accessesBeyond(run: () => Promise<unknown>): Promise<OutOfRange[]> {
  const checks = await BoundsChecks.create(device, 2000);
  device.boundsChecks = checks;
  try {
    await run();
    return await checks.found();
  } finally {
    device.boundsChecks = null;
    checks.destroy();
  }
}

describe("ops reach nothing beyond", () => {
  it.each(cases.map((opCase) => [opCase.name, opCase] as const))("%s", async (_, opCase) => {
    const expected = drawExpected(opCase);
    expect(await accessesBeyond(() => runOnGpu(device, opCase, expected, { reuse: true, poison: false }))).toEqual([]);
  });

  // All strategies read through a problem's own functions: one that is unlike the adapter's, on some cases, is enough.
  const some = cases.filter(({ op }, i) => op === "conv2d" && i % 4 === 0);
  it.each(some.map((opCase) => [opCase.name, opCase] as const))("shared tiles: %s", async (_, opCase) => {
    const expected = drawExpected(opCase);
    device.tiles.override = () => sharedTile;
    try {
      const run = () => runOnGpu(device, opCase, expected, { reuse: true, poison: false });
      expect(await accessesBeyond(run)).toEqual([]);
    } finally {
      device.tiles.override = null;
    }
  });
});

it("training and inference reach nothing beyond, and give the same bytes when checked", async () => {
  const plain = await twentySteps(device);
  let checked: unknown;
  const found = await accessesBeyond(async () => {
    checked = await twentySteps(device);
  });
  expect(found).toEqual([]);
  expect(checked).toEqual(plain);
});

const reachBeyond = defineKernel({
  name: "reach_beyond",
  inputs: { x: "f32" },
  outputs: { y: "f32" },
  params: {},
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  if (lane < 8u) {
    y[lane] = x[lane + u32(x[lane])];
  }
}`,
});

it("an access beyond is seen, within an index of another too", async () => {
  const run = async () => {
    const tape = new Tape(device);
    const x = tape.input("x", [8]);
    const y = tape.empty("y", [8]);
    tape.push(dispatch(reachBeyond, { x, y }, {}, 1));
    const program = await tape.compile([y]);
    program.write(x, [0, 0, 6, 0, 0, 3, 0, 1]); // 2 + 6, 5 + 3 and 7 + 1 are beyond
    program.run();
    await device.synchronize();
    program.destroy();
  };
  expect(await accessesBeyond(run)).toMatchObject([{ kernel: "reach_beyond", binding: "x", count: 3 }]);
});

const loadBeyond = defineKernel({
  name: "load_beyond",
  inputs: { x: "vec4" },
  outputs: { y: "vec4f" },
  params: {},
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  if (lane < 4u) {
    y[lane] = load_x(lane + u32(load_x(lane).x));
  }
}`,
});

it.each([
  ["a buffer", loadBeyond],
  ["a texture", withTexels(loadBeyond, ["x"])],
])("so is a load beyond, from %s", async (_, kernel) => {
  const run = async () => {
    const tape = new Tape(device);
    const [x, y] = [tape.input("x", [16], { layout: "flat" }), tape.empty("y", [16], { layout: "flat" })];
    tape.push(dispatch<Tensor, string, string>(kernel, { x, y }, {}, 1));
    const program = await tape.compile([y]);
    program.write(x, [3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]); // 1 + 3 and 3 + 1 are beyond
    program.run();
    await device.synchronize();
    program.destroy();
  };
  expect(await accessesBeyond(run)).toMatchObject([{ binding: "x", count: 2 }]);
});
