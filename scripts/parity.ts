/**
 * `npm run parity`: full networks with random weights beside PyTorch, in evaluation and for some training steps, every
 * tensor on the way. Not part of the test suite: it takes some minutes, and PyTorch.
 *
 *   npm run parity -- [--arch aenet,resnet50-emo] [--image-size 64] [--batch-size 8] [--steps 3] [--seed 0]
 *                     [--lr 1e-3] [--fusion-lr 1e-2] [--weight-decay 1e-2] [--branch 0.1] [--other-order]
 *                     [--adapter auto|gpu|lavapipe|swiftshader] [--out parity] [--keep]
 *
 * The errors are ‖x − r‖₂ / ‖r‖₂ by tensor against PyTorch in float64. Exits with 1 where ours is above 1e-4 and more
 * than three times that of PyTorch in float32. OUT/ARCH.tsv gets the whole table; `--keep` leaves our tensors in OUT.
 * `--other-order` runs PyTorch's float32 a second time with its convolutions summed in another order, which tells how far
 * its first figure is luck.
 *
 * Two things would make the comparison a lottery, and are kept out of it alike on both sides:
 * - Fifty random layers are chaotic: any float32 misses the first gradients by 1e-2 and has lost all digits a step later.
 *   Trained networks are tame, and so is a random one whose residual branches start small (Goyal et al. 2017 begin at 0):
 *   `--branch` scales the last batch norm's weight of each block.
 * - Of some 10^7 inputs of ReLUs a few lie so near 0 that float32 cannot know their sign, and each that it takes for
 *   another moves a gradient by up to 1e-2. Before each step the float64 side shifts the biases of the batch norms by at
 *   most 0.05 so that 0 lies in a gap between the inputs, and all sides apply these shifts.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createArchitecture } from "../src/aenet/architecture.ts";
import { alignLeft } from "../src/aenet/cli/text.ts";
import { randomCrop, resizedSide } from "../src/aenet/data/augment.ts";
import { EIGHT_EMOTIONS } from "../src/aenet/data/index.ts";
import { describeScene, drawScene } from "../src/aenet/data/synth/index.ts";
import { Inference } from "../src/aenet/inference.ts";
import { createNetwork } from "../src/aenet/model.ts";
import { defaultPreprocessing } from "../src/aenet/preprocessing.ts";
import { type StepInput, TrainingStep } from "../src/aenet/training/step.ts";
import type { Device } from "../src/kernels/device.ts";
import { type Parameters, parseSafetensors, type TensorData } from "../src/nn/index.ts";
import { safetensorsParts } from "../src/nn/safetensors.ts";
import { openDevice, parseAdapterChoice } from "../src/node/index.ts";
import { Random } from "../src/random.ts";
import { findPyTorch, howToGetPyTorch } from "../test/golden/python.ts";
import { readFlags } from "./flags.ts";

/** A line of the table, as scripts/parity.py writes it. */
interface Row {
  readonly phase: string;
  readonly tensor: string;
  /** Relative errors against float64: ours, PyTorch's float32, and with --other-order that of another order. */
  readonly ours: number;
  readonly float32: number;
  readonly otherFloat32?: number;
}

type Tensors = Map<string, TensorData>;

const { values: flags } = readFlags("parity", {
  options: {
    arch: { type: "string", default: "aenet,resnet50-emo" },
    "image-size": { type: "string", default: "64" },
    "batch-size": { type: "string", default: "8" },
    steps: { type: "string", default: "3" },
    seed: { type: "string", default: "0" },
    lr: { type: "string", default: "1e-3" },
    "fusion-lr": { type: "string", default: "1e-2" },
    "weight-decay": { type: "string", default: "1e-2" },
    branch: { type: "string", default: "0.1" },
    "other-order": { type: "boolean", default: false },
    adapter: { type: "string", default: process.env.AENET_ADAPTER || "auto" },
    out: { type: "string", default: "parity" },
    keep: { type: "boolean", default: false },
  },
});
const imageSize = Number(flags["image-size"]);
const batchSize = Number(flags["batch-size"]);
const steps = Number(flags.steps);
const seed = Number(flags.seed);
const rates = { base: Number(flags.lr), fusion: Number(flags["fusion-lr"]) };
const weightDecay = Number(flags["weight-decay"]);
const branch = Number(flags.branch);
const otherOrder = flags["other-order"];
const momentum = 0.9;
const lambda = 0.25;
const decodedSize = resizedSide(imageSize);
const classes = EIGHT_EMOTIONS;

/** Accepted whatever PyTorch's float32 misses. */
const floor = 1e-4;
const isBeyond = ({ ours, float32 }: Row): boolean => !(ours <= Math.max(floor, 3 * float32));

const python = findPyTorch();
if (!python) {
  console.error(`npm run parity: ${howToGetPyTorch}`);
  process.exit(1);
}
mkdirSync(flags.out, { recursive: true });
const device = await openDevice({ adapter: parseAdapterChoice(flags.adapter) });
console.log(device.platform.description);
let failed = false;
for (const arch of flags.arch.split(",")) {
  const folder = flags.keep ? join(flags.out, arch) : mkdtempSync(join(tmpdir(), "aenet-parity-"));
  mkdirSync(folder, { recursive: true });
  try {
    await runBoth(device, arch, folder);
    const rows: Row[] = JSON.parse(readFileSync(join(folder, "rows.json"), "utf8"));
    failed = report(arch, rows) || failed;
  } finally {
    if (!flags.keep) rmSync(folder, { recursive: true, force: true });
  }
}
process.exit(failed ? 1 : 0);

/** Both sides, step by step; they talk through files in `folder`, where PyTorch's leaves the errors. */
async function runBoth(device: Device, arch: string, folder: string): Promise<void> {
  const began = performance.now();
  const create = () => createNetwork(createArchitecture(arch, classes));
  const preprocessing = { ...defaultPreprocessing, imageSize };
  const batches = Array.from({ length: steps }, (_, step) => drawBatch(step));
  const start = drawStart(create().parameters);
  const settings = {
    arch,
    classes: classes.length,
    imageSize,
    steps,
    rates,
    momentum,
    weightDecay,
    lambda,
    otherOrder,
  };
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings));
  writeTensors(join(folder, "start.safetensors"), start);
  batches.forEach((batch, step) => {
    writeTensors(join(folder, `batch-${step}.safetensors`), tensorsOf(batch));
  });

  const first = batches[0]!;
  const evaluated = create();
  const inference = await Inference.create(device, evaluated, { batchSize, decodedSize, preprocessing });
  evaluated.parameters.write(start);
  const logits = await inference.run(first.images, first.crops);
  inference.destroy();
  evaluated.parameters.destroy();
  const outputs = Object.entries(logits).flatMap(([task, data]): [string, TensorData][] =>
    data ? [[`${task} logits`, { shape: [data.length], data }]] : [],
  );
  writeTensors(join(folder, "evaluation.safetensors"), new Map(outputs));

  const network = create();
  const { parameters } = network;
  const options = { batchSize, microBatch: batchSize, decodedSize, preprocessing, lambda, momentum, weightDecay };
  const step = await TrainingStep.create(device, network, options);
  parameters.write(start);
  const child = spawn(python!, [fileURLToPath(new URL("parity.py", import.meta.url)), folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const status = new Promise<number | null>((resolve) => child.on("close", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const i = Number(/^step (\d+)$/.exec(line)?.[1]);
    const found: Tensors = new Map();
    if (line === "after") {
      for (const [name, value] of await parameters.read()) found.set(name, value);
      for (const [name, value] of await parameters.read("momenta")) found.set(`momentum of ${name}`, value);
      writeTensors(join(folder, "after.safetensors"), found);
    } else {
      await shift(parameters, join(folder, `shift-${i}.safetensors`));
      const losses = await step.submit(batches[i]!, rates);
      for (const key of ["loss", "aes", "emo"] as const) {
        const value = losses[key];
        if (value !== null) found.set(`loss ${key}`, { shape: [], data: Float32Array.of(value) });
      }
      for (const [name, gradient] of await parameters.read("gradients")) found.set(`d(${name})`, gradient);
      writeTensors(join(folder, `step-${i}.safetensors`), found);
    }
    child.stdin.write("\n");
  }
  if ((await status) !== 0) throw new Error(`scripts/parity.py exited with ${await status}`);
  step.destroy();
  parameters.destroy();
  console.log(`\n${arch}, ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

/** Adds to tensors what a file says. */
async function shift(parameters: Parameters, path: string): Promise<void> {
  const values = await parameters.read();
  const { tensors } = parseSafetensors(readFileSync(path));
  const shifted = [...tensors].map(([name, { shape, data }]): [string, TensorData] => {
    const { data: former } = values.get(name)!;
    return [name, { shape, data: former.map((value, i) => value + data[i]!) }];
  });
  parameters.write(new Map(shifted));
}

/** Xavier for convolutions and linear weights; the rest around its first values, so that none of it can be mixed up. */
function drawStart(parameters: Parameters): Tensors {
  const start = parameters.initialValues(seed);
  for (const [name, { data, shape }] of start) {
    if (shape.length > 1) continue;
    const random = new Random(seed, "parity", name);
    const scale = name.endsWith("bn3.weight") ? branch : 1;
    const spread = name.startsWith("fusion.") ? 0.05 : 0.2;
    for (let i = 0; i < data.length; i++) data[i] = scale * (data[i]! + random.uniform(-spread, spread));
  }
  return start;
}

/** Generated scenes under noise, so that no two windows are alike, with labels; of five samples two lack one of theirs. */
function drawBatch(step: number): StepInput {
  const rows = Array.from({ length: batchSize }, (_, i) => step * batchSize + i);
  const options = { seed, size: decodedSize };
  const scenes = rows.map((row) => describeScene(options, row));
  const crops = rows.map((row) => randomCrop({ seed, epoch: 0, row, decodedSize, imageSize }));
  const random = new Random(seed, "parity labels", step);
  return {
    images: Uint8Array.from(
      scenes.flatMap((scene) => [...drawScene(options, scene)]),
      (byte) => (byte * 7) / 8 + random.integer(32),
    ),
    crops: Int32Array.from(crops.flatMap(({ x, y, flip }) => [x, y, Number(flip)])),
    aesTarget: Float32Array.from(rows, () => random.integer(2)),
    aesMask: Float32Array.from(rows, (_, i) => Number(i % 5 !== 4)),
    emoTarget: Int32Array.from(rows, (_, i) => (i % 5 === 3 ? -1 : random.integer(classes.length))),
  };
}

function tensorsOf({ images, crops, aesTarget, aesMask, emoTarget }: StepInput): Tensors {
  return new Map([
    ["images", { shape: [batchSize, decodedSize, decodedSize, 3], data: Float32Array.from(images) }],
    ["crops", { shape: [batchSize, 3], data: Float32Array.from(crops) }],
    ["aes labels", { shape: [batchSize], data: aesTarget.map((target, i) => (aesMask[i] ? target : -1)) }],
    ["emo labels", { shape: [batchSize], data: Float32Array.from(emoTarget) }],
  ]);
}

function writeTensors(path: string, tensors: Tensors): void {
  const file = openSync(path, "w");
  for (const part of safetensorsParts(tensors)) writeSync(file, part);
  closeSync(file);
}

/** Prints a summary and the worst; writes the table. True where something is beyond what is accepted. */
function report(arch: string, rows: readonly Row[]): boolean {
  const digits = (value: number) => value.toExponential(1);
  const sides: [string, (row: Row) => number][] = [
    ["ours", (row) => row.ours],
    ["PyTorch float32", (row) => row.float32],
    ...(otherOrder ? [["in another order", (row) => row.otherFloat32!] as [string, (row: Row) => number]] : []),
  ];
  const path = join(flags.out, `${arch}.tsv`);
  const table = rows.map((row) => [
    row.phase,
    row.tensor,
    ...sides.map(([, pick]) => String(pick(row))),
    isBeyond(row) ? "no" : "yes",
  ]);
  const header = ["phase", "tensor", ...sides.map(([name]) => name), "accepted"];
  writeFileSync(path, [header, ...table].map((cells) => `${cells.join("\t")}\n`).join(""));

  const summary = [["phase", "tensors", ...sides.map(([name]) => name), "beyond"]];
  for (const phase of new Set(rows.map((row) => row.phase))) {
    const of = rows.filter((row) => row.phase === phase);
    const spread = (pick: (row: Row) => number) => {
      const sorted = of.map(pick).sort((a, b) => a - b);
      return `${digits(sorted[sorted.length >> 1]!)} to ${digits(sorted.at(-1)!)}`;
    };
    const spreads = sides.map(([, pick]) => spread(pick));
    summary.push([phase, String(of.length), ...spreads, String(of.filter(isBeyond).length)]);
  }
  console.log(`errors against float64, median to largest:\n${alignLeft(summary)}`);

  const severity = ({ ours, float32 }: Row) => ours / Math.max(floor, 3 * float32);
  const worst = [...rows].sort((a, b) => severity(b) - severity(a)).slice(0, 10);
  const lines = worst.map((row) => [
    row.phase,
    ...sides.map(([, pick]) => digits(pick(row))),
    isBeyond(row) ? "beyond" : "",
    row.tensor,
  ]);
  console.log(`the worst, by how near they come to max(${floor}, 3 × PyTorch float32):`);
  console.log(alignLeft([["phase", ...sides.map(([name]) => name), "", "tensor"], ...lines]));
  const beyond = rows.filter(isBeyond).length;
  console.log(`${rows.length} tensors, ${beyond} beyond what is accepted; the table is in ${path}`);
  return beyond > 0;
}
