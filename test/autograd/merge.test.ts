import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import {
  batchNorm,
  conv2d,
  type ProgramOptions,
  RunningStatistic,
  relu,
  Tape,
  Tensor,
} from "../../src/autograd/index.ts";
import { mergeDispatches } from "../../src/autograd/merge.ts";
import { scale } from "../../src/kernels/elementwise.ts";
import type { GemmTile } from "../../src/kernels/gemm/core.ts";
import { Random } from "../../src/random.ts";
import { randomWeights } from "../support/checkpoint.ts";
import { testDevice } from "../support/device.ts";

/** A convolution and the batch norm behind it, without gradients. */
async function convNorm({ training = false, residual = false } = {}) {
  const tape = new Tape(await testDevice(), { training });
  const x = tape.input("x", [1, 2, 3, 3, 4]);
  const weight = tape.input("weight", [1, 1, 1, 4, 8], { layout: "weight" });
  const [gamma, beta, mean, variance] = ["gamma", "beta", "mean", "variance"].map((name) => tape.input(name, [1, 8]));
  const product = conv2d(x, weight);
  const norm = { weight: gamma!, bias: beta!, runningMean: mean!, runningVar: variance! };
  const y = batchNorm(product, norm, { relu: true, ...(residual && { residual: product }) });
  return { tape, product, y };
}

const kernelsOf = (tape: Tape, outputs: Tensor[]) =>
  mergeDispatches(tape.dispatches, [...tape.inputs, ...outputs]).map(({ kernel }) =>
    kernel.name.replace(/_(subgroup|shared)_.*/, ""),
  );

describe("merging", () => {
  it("makes evaluation's batch norm the epilogue of its convolution, and leaves its statistics out", async () => {
    const { tape, y } = await convNorm();
    expect(kernelsOf(tape, [y])).toEqual(["conv2d_forward_norm"]);
  });

  const unmerged = ["conv2d_forward", "batch_norm_running_statistics", "batch_norm"];

  it("leaves a convolution alone whose output is wanted", async () => {
    const { tape, product, y } = await convNorm();
    expect(kernelsOf(tape, [y, product])).toEqual(unmerged);
  });

  it("leaves a convolution alone whose output is read elsewhere, before or after", async () => {
    const { tape, product, y } = await convNorm();
    const again = relu(product);
    expect(kernelsOf(tape, [y, again])).toEqual([...unmerged, "relu_forward"]);
    const { tape: twice, y: sum } = await convNorm({ residual: true });
    expect(kernelsOf(twice, [sum])).toEqual([...unmerged.slice(0, 2), "batch_norm_residual"]);
  });

  it("leaves a convolution alone whose output a gradient reads", async () => {
    const tape = new Tape(await testDevice());
    const x = tape.input("x", [1, 2, 3, 3, 4], { needsGrad: true });
    const weight = tape.input("weight", [1, 1, 1, 4, 8], { layout: "weight", needsGrad: true });
    const of = (name: string) => tape.input(name, [1, 8], { needsGrad: true });
    const norm = { weight: of("gamma"), bias: of("beta"), runningMean: of("mean"), runningVar: of("variance") };
    const y = batchNorm(conv2d(x, weight), norm);
    tape.backward(y, tape.input("dy", y.shape));
    expect(kernelsOf(tape, [y, tape.gradient(weight)!]).slice(0, 3)).toEqual([
      "conv2d_forward",
      "batch_norm_running_statistics",
      "batch_norm",
    ]);
  });

  it("leaves training's batch norm a kernel of its own", async () => {
    const { tape, y } = await convNorm({ training: true });
    expect(kernelsOf(tape, [y])).toContain("batch_norm");
    expect(kernelsOf(tape, [y])[0]).not.toContain("norm");
  });

  it("leaves out what nobody reads, and nothing that persists", async () => {
    const tape = new Tape(await testDevice());
    const x = tape.input("x", [1, 1, 1, 4]);
    const y = relu(x);
    relu(y);
    expect(kernelsOf(tape, [y])).toEqual(["relu_forward"]);
    expect(kernelsOf(tape, [])).toEqual([]);
    const state = new Tensor({ name: "state", shape: x.shape, persistent: true });
    const [{ kernel, params, workgroups, operations }] = tape.dispatches as [(typeof tape.dispatches)[0]];
    tape.push({ kernel, params, workgroups, operations, bindings: { x: y, y: state } });
    expect(kernelsOf(tape, [])).toEqual(["relu_forward", "relu_forward"]);
  });
});

describe("training's statistics, found by the convolution that they are of", () => {
  /** The kernels and the values of a convolution and its batch norm in training, on `shape` [N, H, W, C]. */
  async function run(shape: readonly number[], options: ProgramOptions, rows = 32) {
    const device = await testDevice();
    device.tiles.override = () => tileOf(rows);
    const tape = new Tape(device, { training: true });
    const x = tape.input("x", [2, ...shape]);
    const weight = tape.input("weight", [2, 1, 1, shape.at(-1)!, 40], { layout: "weight" });
    const [gamma, beta] = ["gamma", "beta"].map((name) => tape.input(name, [2, 40]));
    const running = ["mean", "variance"].map((name) => new RunningStatistic(name, [2, 40]));
    const [mean, variance] = running;
    const buffer = await device.createBuffer("batch", 1024, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
    for (const [i, { batch }] of running.entries()) batch.storage.external = { buffer, offset: 512 * i };
    const y = batchNorm(conv2d(x, weight), { weight: gamma!, bias: beta!, runningMean: mean!, runningVar: variance! });
    const program = await tape.compile([y], options);
    const random = new Random(0, "values");
    for (const t of [x, weight, gamma!, beta!]) {
      program.write(
        t,
        Float32Array.from({ length: t.size }, () => random.normal() + 1),
      );
    }
    program.run();
    const values = await program.read(y);
    const found = { mean: await program.read(mean!.batch), variance: await program.read(variance!.batch) };
    program.destroy();
    buffer.destroy();
    return { values, ...found, kernels: program.commands.map(({ kernel }) => kernel.replace(/_subgroup_.*/, "")) };
  }

  /** A tile of some rows, for any subgroup; 32 are two blocks. */
  let tileOf: (rows: number) => GemmTile;
  afterAll(async () => {
    (await testDevice()).tiles.override = null;
  });
  beforeAll(async () => {
    const lanes = (await testDevice()).subgroupSize!;
    tileOf = (rows) => ({ strategy: "subgroup", lanes, across: lanes, rows, columnVectors: 2, order: "column" });
  });

  it.each([
    ["two blocks", [1, 4, 8, 12]],
    ["rows that fill no block of the last tile", [1, 4, 9, 12]],
  ])("to the same bits: %s", async (_, shape) => {
    const [merged, apart] = [await run(shape, {}), await run(shape, { merge: false })];
    expect(merged.kernels).toEqual(["conv2d_forward_statistics", "batch_norm_merge_statistics", "batch_norm"]);
    expect(apart.kernels.slice(0, 2)).toEqual(["conv2d_forward", "batch_norm_statistics"]);
    expect([...merged.values]).toEqual([...apart.values]);
  });

  it.each([
    ["a block in the tile's first half", [1, 4, 4, 12], 32],
    ["fewer than a block", [1, 3, 4, 12], 32],
    ["in a tile of half a block", [2, 2, 2, 12], 8],
    ["fewer than four", [1, 3, 1, 12], 8],
  ])("all of them, to the same bits, where it has all rows: %s", async (_, shape, rows) => {
    const [merged, apart] = [await run(shape, {}, rows), await run(shape, { merge: false }, rows)];
    expect(merged.kernels).toEqual(["conv2d_forward_whole_statistics", "batch_norm"]);
    expect(apart.kernels).toEqual(["conv2d_forward", "batch_norm_whole_statistics", "batch_norm"]);
    for (const name of ["values", "mean", "variance"] as const) expect([...merged[name]]).toEqual([...apart[name]]);
  });

  it("not where a tile has not all of a block's rows", async () => {
    const { kernels } = await run([1, 3, 3, 12], {}, 8);
    expect(kernels).toEqual(["conv2d_forward", "batch_norm_whole_statistics", "batch_norm"]);
  });

  it.each([
    ["before", (other: Tensor, batch: Tensor) => ({ x: other, y: batch })],
    ["after", (other: Tensor, batch: Tensor) => ({ x: batch, y: other })],
  ])("not where they would be there too early: %s what else touches them", async (_, bindings) => {
    const tape = new Tape(await testDevice(), { training: true });
    tape.device.tiles.override = () => tileOf(32);
    const x = tape.input("x", [1, 1, 4, 4, 12]);
    const weight = tape.input("weight", [1, 1, 1, 12, 40], { layout: "weight" });
    const [gamma, beta] = ["gamma", "beta"].map((name) => tape.input(name, [1, 40]));
    const [mean, variance] = ["mean", "variance"].map((name) => new RunningStatistic(name, [1, 40]));
    const norm = { weight: gamma!, bias: beta!, runningMean: mean!, runningVar: variance! };
    const product = conv2d(x, weight);
    const other = tape.input("other", [1, 40]);
    tape.push(scale(10, 1, bindings(other, mean!.batch)));
    const y = batchNorm(product, norm);
    expect(kernelsOf(tape, [y])).toEqual(["conv2d_forward", "combine", "batch_norm_whole_statistics", "batch_norm"]);
  });

  it("not where something changes the norm's weight before they are found", async () => {
    const tape = new Tape(await testDevice(), { training: true });
    tape.device.tiles.override = () => tileOf(32);
    const x = tape.input("x", [1, 1, 4, 4, 12]);
    const weight = tape.input("weight", [1, 1, 1, 12, 40], { layout: "weight" });
    const of = (name: string) => tape.input(name, [1, 40]);
    const norm = { weight: of("gamma"), bias: of("beta"), runningMean: of("mean"), runningVar: of("variance") };
    const product = conv2d(x, weight);
    tape.push(scale(10, 2, { x: norm.bias, y: norm.weight }));
    const y = batchNorm(product, norm);
    expect(kernelsOf(tape, [y])).toEqual(["conv2d_forward", "combine", "batch_norm_whole_statistics", "batch_norm"]);
  });

  it.each([
    ["one row in the last block", [1, 1, 33, 12]],
    ["five in a block", [1, 7, 3, 12]],
    ["as the last of a block", [2, 5, 7, 12]],
  ])("to rounding, where not all come by fours: %s", async (_, shape) => {
    const [merged, apart] = [await run(shape, {}), await run(shape, { merge: false })];
    expect(merged.kernels[0]).toBe("conv2d_forward_statistics");
    for (const [i, value] of merged.values.entries()) expect(Math.abs(value - apart.values[i]!)).toBeLessThan(1e-5);
  });

  it.each([
    [4, "batch statistic"],
    [8, "statistics of blocks"],
  ])("and are still the batch norm's where they are not finite: 4×%i rows", async (width, tensor) => {
    const device = await testDevice();
    device.tiles.override = () => tileOf(32);
    const operations = await Promise.all(
      [true, false].map(async (merge) => {
        const tape = new Tape(device, { training: true });
        const x = tape.input("x", [1, 1, 4, width, 4]);
        const weight = tape.input("weight", [1, 1, 1, 4, 40], { layout: "weight" });
        const of = (name: string) => tape.input(name, [1, 40]);
        const norm = { weight: of("gamma"), bias: of("beta"), runningMean: of("mean"), runningVar: of("variance") };
        const y = tape.scope("bn1", () =>
          batchNorm(
            tape.scope("conv1", () => conv2d(x, weight)),
            norm,
          ),
        );
        const program = await tape.compile([y], { merge });
        for (const t of tape.inputs) program.write(t, new Float32Array(t.size).fill(1));
        // ±1e25, whose squares are beyond float32.
        const values = Float32Array.from({ length: x.size }, (_, i) => (i & 4 ? 1e25 : -1e25));
        program.write(x, values);
        const found = await program.findNonFinite();
        program.destroy();
        return `${found?.operation}: ${found?.tensor.name}`;
      }),
    );
    expect(operations).toEqual(Array(2).fill(`bn1.batchNorm: ${tensor}`));
  });

  it("not where a block has more rows than a tile", async () => {
    const { kernels } = await run([1, 65, 65, 4], {}); // whose blocks have 64
    expect(kernels.slice(0, 2)).toEqual(["conv2d_forward", "batch_norm_statistics"]);
  });
});

const small = { depth: [1, 2, 1, 1], baseChannels: 6 };

describe("networks in evaluation", () => {
  it.each([
    ["aenet", {}],
    ["aenet", { detachShared: true, fusionGranularity: "channel" }],
    ["aenet-fl", {}],
    ["csnet", {}],
    ["ssnet", {}],
    ["resnet50-aes", {}],
    ["resnet50-emo", {}],
    ["wrn-aes", {}],
    ["wrn-emo", {}],
  ] as const)("give the same logits with every batch norm merged that no fusion follows: %s %j", async (arch, more) => {
    const device = await testDevice();
    const architecture = createArchitecture(arch, ["a", "b", "c"], { ...small, ...more });
    const network = createNetwork(architecture);
    const tape = new Tape(device, { training: false });
    const image = tape.input("image", [1, 2, 33, 33, 3]);
    const { aes, emo } = network.forward(image);
    const logits = [aes, emo].filter((t) => t !== null);
    await network.parameters.allocate(device, { training: false });
    network.parameters.write(randomWeights(architecture));
    const random = new Random(0, "image");
    const pixels = Float32Array.from({ length: image.size }, () => random.normal());
    const run = async (options: ProgramOptions) => {
      const program = await tape.compile(logits, options);
      program.write(image, pixels);
      program.run();
      const values = await Promise.all(logits.map((t) => program.read(t)));
      const kernels = program.commands.map(({ kernel }) => kernel);
      program.destroy();
      return { values: values.flatMap((v) => [...v]), kernels };
    };
    try {
      const merged = await run({});
      const apart = await run({ merge: false });
      const scale = Math.max(...apart.values.map(Math.abs));
      expect(scale).toBeGreaterThan(0.01);
      for (const [i, value] of merged.values.entries()) {
        expect(Math.abs(value - apart.values[i]!)).toBeLessThan(1e-6 * scale);
      }
      const norms = (kernels: string[]) => kernels.filter((name) => name.startsWith("batch_norm")).length;
      const fusions = arch === "aenet" ? 4 : 0;
      expect(norms(apart.kernels)).toBe(2 * (1 + 3 * 5 + 4));
      expect(norms(merged.kernels)).toBe(2 * fusions);
      expect((await run({ reuse: false, poison: true })).values).toEqual(merged.values);
    } finally {
      network.parameters.destroy();
    }
  });
});
