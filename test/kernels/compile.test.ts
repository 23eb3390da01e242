/** Dawn's null backend runs nothing but compiles everything: proof for adapters that are not at hand. */
import { describe, expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { TrainingStep } from "../../src/aenet/training/step.ts";
import { blockStatisticsObserver, runningEpilogue, wholeStatisticsObserver } from "../../src/kernels/batch-norm.ts";
import { gemmProblems, observedProblems } from "../../src/kernels/conv2d.ts";
import { noEpilogue } from "../../src/kernels/epilogue.ts";
import { gemm, showsBlocks } from "../../src/kernels/gemm/core.ts";
import { everyTile, suits, tileName } from "../../src/kernels/gemm/tiles.ts";
import { bindingsOf, withHalves } from "../../src/kernels/kernel.ts";
import { biasEpilogue } from "../../src/kernels/linear.ts";
import { winogradTransforms } from "../../src/kernels/winograd/winograd.ts";
import { openNullDevice } from "../../src/node/index.ts";

const device = await openNullDevice();

/** Tiles of adapters with subgroups of 32 and 64 lanes, matrix units of two shapes, and of the software drivers. */
const tiles = [
  { subgroupSize: 32, subgroupMatrix: { m: 16, n: 16, k: 16 } },
  { subgroupSize: 32, subgroupMatrix: { m: 16, n: 8, k: 16 } },
  { subgroupSize: 64, subgroupMatrix: { m: 8, n: 8, k: 8 } },
].flatMap((adapter) => everyTile({ ...adapter, platform: device.platform, limits: device.limits }));
const named = new Map(tiles.map((tile) => [tileName(tile), tile]));

const observers = [blockStatisticsObserver, wholeStatisticsObserver];
const epilogues = [noEpilogue, biasEpilogue, ...[false, true].map((residual) => runningEpilogue({ residual }))];

describe("every matrix product compiles with every tile, in f32 and in f16", () => {
  const all = [...epilogues.flatMap(gemmProblems), ...observers.flatMap(observedProblems)];
  const problems = new Map(all.map((problem) => [problem.name, problem]));
  for (const problem of problems.values()) {
    const { aVector, columnLook } = problem;
    const suitable = [...named].filter(
      ([, tile]) => suits(tile, { aVector, depth: 1 }) && (!columnLook || showsBlocks(tile, columnLook.observer)),
    );
    it.each(suitable)(`${problem.name} %s`, async (_, tile) => {
      const kernel = gemm(problem, tile);
      await expect(device.compile(kernel)).resolves.toBeDefined();
      const open = bindingsOf(kernel).flatMap(({ name, type }) => (type === "vec4" ? name : []));
      await expect(device.compile(withHalves(kernel, open))).resolves.toBeDefined();
    });
  }
});

it("every transform of Winograd's convolutions compiles, with every epilogue", async () => {
  const kernels = new Set(epilogues.flatMap(winogradTransforms));
  expect(kernels.size).toBe(5 + epilogues.length);
  for (const kernel of kernels) await expect(device.compile(kernel)).resolves.toBeDefined();
});

const networks = [
  ["aenet", { fusionGranularity: "scalar" }],
  ["aenet", { fusionGranularity: "channel" }],
  ["csnet", {}],
  ["ssnet", {}],
  ["wrn-aes", {}],
  ["wrn-emo", {}],
] as const;
const precisions = ["f32", "f16"] as const;

it.each(networks.flatMap(([arch, options]) => precisions.map((precision) => [arch, options, precision] as const)))(
  "every kernel of a training step compiles: %s %j %s",
  async (arch, options, precision) => {
    const network = createNetwork(createArchitecture(arch, ["a", "b"], { depth: [1, 1, 1, 1], ...options }));
    const { dispatches } = TrainingStep.plan(device, network, {
      batchSize: 2,
      microBatch: 1,
      decodedSize: 64,
      preprocessing: { ...defaultPreprocessing, imageSize: 56 },
      lambda: 0.25,
      momentum: 0.9,
      weightDecay: 1e-4,
      precision,
    });
    const kernels = new Set(dispatches.map(({ kernel }) => kernel));
    expect(kernels.size).toBeGreaterThan(20);
    expect([...kernels].some(({ name }) => name.includes("_f16"))).toBe(precision === "f16");
    for (const kernel of kernels) await expect(device.compile(kernel)).resolves.toBeDefined();
  },
);
