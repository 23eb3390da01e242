/**
 * Operations that compute little and move much, on tensors of 64 MiB and more: the bytes that they must move against
 * what copyBufferToBuffer moves.
 */

import { byKind, type ProfileRow } from "../src/aenet/bench/profile.ts";
import { alignRight, percent } from "../src/aenet/cli/text.ts";
import {
  add,
  fuse,
  globalAveragePool,
  maxPool2d,
  type Program,
  relu,
  Tape,
  type Tensor,
} from "../src/autograd/index.ts";
import type { Ceilings } from "../src/kernels/ceilings.ts";
import type { Device } from "../src/kernels/device.ts";
import { BatchNorm2d, Parameters, Sgd } from "../src/nn/index.ts";
import { type Benchmark, profileRun, summarize, withCeilings } from "./harness.ts";
import { memoryTargetOf } from "./targets.ts";

/** 73.5 MiB in one stream or in three. */
const [oneStream, threeStreams] = [
  [1, 24, 56, 56, 256],
  [3, 8, 56, 56, 256],
];
/** 73.5 MiB before the pooling. */
const [oneStreamStem, threeStreamsStem] = [
  [1, 24, 112, 112, 64],
  [3, 8, 112, 112, 64],
];

interface Case {
  readonly shape: readonly number[];
  /** Also in the smoke test. */
  readonly smoke?: boolean;
  /** Records the operation on x and, where it has one, a residual of x's shape. */
  record(x: Tensor, residual: () => Tensor, parameters: Parameters): Tensor;
}

const norm = (x: Tensor, parameters: Parameters) => {
  const prefixes = Array.from({ length: x.shape[0]! }, (_, i) => `${i}.`);
  return new BatchNorm2d({ parameters, prefixes }, "bn", x.shape.at(-1)!);
};

const fusionOf = (parameters: Parameters) => ({
  weights: parameters.parameter({
    names: ["alpha_p", "alpha_s", "beta_p", "beta_s"],
    shape: [4, 1],
    fileLayout: "plain",
    init: [0.9, 0.1, 0.9, 0.1],
    group: "fusion",
  }),
});

export const memoryCases: readonly Case[] = [
  { shape: oneStream!, record: (x, _, p) => norm(x, p).forward(x) },
  { shape: oneStream!, record: (x, _, p) => norm(x, p).forward(x, { relu: true }) },
  {
    smoke: true,
    shape: oneStream!,
    record: (x, residual, p) => norm(x, p).forward(x, { residual: residual(), relu: true }),
  },
  {
    shape: threeStreams!,
    record: (x, residual, p) => norm(x, p).forward(x, { residual: residual(), relu: true, fusion: fusionOf(p) }),
  },
  { shape: threeStreams!, record: (x, _, p) => fuse(x, fusionOf(p)) },
  { smoke: true, shape: oneStream!, record: (x) => relu(x) },
  { shape: oneStream!, record: (x, residual) => add(x, residual()) },
  { shape: oneStreamStem!, record: (x) => maxPool2d(x, { kernelSize: 3, stride: 2, padding: 1 }) },
  {
    shape: threeStreamsStem!,
    record: (x, _, p) => maxPool2d(x, { kernelSize: 3, stride: 2, padding: 1, fusion: fusionOf(p) }),
  },
  { shape: oneStream!, record: (x) => globalAveragePool(x) },
];

/** Forward and backward of a case, a row each. */
export async function measureCase(
  device: Device,
  ceilings: Ceilings,
  { shape, record }: Case,
  seconds: number,
): Promise<ProfileRow[]> {
  const parameters = new Parameters();
  const tape = new Tape(device, { training: true });
  const x = tape.input("x", shape, { needsGrad: true });
  const others: Tensor[] = [];
  const input = (name: string, like: readonly number[]) => {
    const tensor = tape.input(name, like, { needsGrad: name !== "dy" });
    others.push(tensor);
    return tensor;
  };
  const y = record(x, () => input("residual", shape), parameters);
  tape.backward(y, input("dy", y.shape));
  if (parameters.slices.length > 0) {
    await parameters.allocate(device, { training: true });
    parameters.write(parameters.initialValues(0));
  }
  let program: Program | undefined;
  try {
    program = await tape.compile([y, tape.gradient(x)!]);
    for (const tensor of [x, ...others]) program.write(tensor, noise(tensor.size));
    const run = () => program!.run();
    return summarize(await profileRun(device, ceilings, run, seconds), byKind).filter(({ bytes }) => bytes > 0);
  } finally {
    program?.destroy();
    if (parameters.slices.length > 0) parameters.destroy();
  }
}

/** The optimizer's kernels over 64 MiB of weights. */
export async function measureOptimizer(device: Device, ceilings: Ceilings, seconds: number): Promise<ProfileRow[]> {
  const parameters = new Parameters();
  parameters.parameter({
    names: ["weight"],
    shape: [1, 1, 1, 4096, 4096],
    fileLayout: "convolution",
    init: "xavier",
    decay: true,
  });
  await parameters.allocate(device, { training: true });
  parameters.write(parameters.initialValues(0));
  parameters.write(parameters.initialValues(1), "gradients");
  const sgd = await Sgd.create(device, parameters, { momentum: 0.9, weightDecay: 1e-4 });
  try {
    const run = () => sgd.step({ base: 1e-4, fusion: 1e-2 });
    const rows = summarize(await profileRun(device, ceilings, run, seconds), byKind);
    return rows.filter(({ bytes }) => bytes >= 64 * 2 ** 20);
  } finally {
    sgd.destroy();
    parameters.destroy();
  }
}

/** Values around zero that are cheap to make. */
function noise(size: number): Float32Array {
  const values = new Float32Array(size);
  for (let i = 0, state = 1; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
}

export const memoryBound: Benchmark = {
  name: "memory-bound",
  summary: "batch norm, ReLU, residual, fusion, pooling and the optimizer against copying",
  run: (context) =>
    withCeilings(context, async (device, ceilings) => {
      const rows: ProfileRow[] = [];
      for (const one of memoryCases) rows.push(...(await measureCase(device, ceilings, one, 1.5)));
      rows.push(...(await measureOptimizer(device, ceilings, 1.5)));
      const target = `≥ ${percent(memoryTargetOf(device.platform.kind).target)}`;
      context.print(
        alignRight([
          ["operation", "dispatches", "MB", "ms", "of copying", "target"],
          ...rows.map((row) => [
            row.name,
            `${row.dispatches}`,
            (row.bytes / 1e6).toFixed(0),
            row.ms!.toFixed(2),
            percent(row.copy_share),
            target,
          ]),
        ]),
      );
      return rows;
    }),
};
