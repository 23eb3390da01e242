/**
 * `npm run bench:peers`: other engines on the same work in the same run, taking turns with ours, each as its users would
 * run it and at its best. `npm ci` in bench/peers installs the JavaScript ones; PyTorch is the system's python3-torch
 * with python3-torchvision, or what AENET_PYTHON names; on a GPU it runs there, too, which needs a build of it for CUDA
 * (or ROCm, which answers to the same name). Who is missing or fails is listed with the reason.
 *
 *   npm run bench:peers -- [PEER…] [--adapter auto|gpu|lavapipe|swiftshader] [--task TEXT] [--seconds N] [--list]
 *
 * PEER and TEXT are parts of names; --list names all. `--task memory` compares memory instead of times.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { readFlags } from "../../scripts/flags.ts";
import { median } from "../../src/aenet/bench/profile.ts";
import { alignLeft, alignRight } from "../../src/aenet/cli/text.ts";
import { openDevice } from "../../src/node/index.ts";
import { findLavapipe } from "../../src/node/lavapipe.ts";
import { unpackSwiftShader } from "../../src/node/swiftshader.ts";
import { adapterNamed } from "../harness.ts";
import { Contender, type Ready } from "./contender.ts";
import { memoryTask, type Peer, peers, type Task, tasks } from "./tasks.ts";

const folder = new URL("./", import.meta.url);
const { values: flags, positionals: wanted } = readFlags("bench:peers", {
  allowPositionals: true,
  options: {
    adapter: { type: "string", default: process.env.AENET_ADAPTER || "auto" },
    task: { type: "string", default: "" },
    seconds: { type: "string", default: "12" },
    list: { type: "boolean", default: false },
  },
});
const taskNames = [...tasks.map(({ name }) => name), "memory"];
const listing = `engines:\n${alignLeft(peers.map(({ name, variant }) => [name, variant]))}tasks:\n${alignLeft(taskNames.map((name) => [name]))}`;
const unknown =
  wanted.find((name) => !peers.some((peer) => peer.name.includes(name))) ??
  (taskNames.some((name) => name.includes(flags.task)) ? undefined : flags.task);
if (flags.list) {
  process.stdout.write(listing);
  process.exit(0);
}
if (unknown !== undefined) {
  process.stderr.write(`bench:peers: ${unknown} is part of none of\n${listing}`);
  process.exit(2);
}
if (!(Number(flags.seconds) > 0)) {
  process.stderr.write(`bench:peers: --seconds ${flags.seconds}: needs a number above 0\n`);
  process.exit(2);
}
const choice = adapterNamed(flags.adapter);
/** For a contender's timed runs of a task, and for getting ready. */
const [runSeconds, readySeconds] = [Number(flags.seconds), 120];
const rounds = { least: 2, most: 7 };

interface Result {
  readonly name: string;
  readonly variant: string;
  readonly version: string | null;
  readonly ms: readonly number[];
  /** Our time over theirs in each round. */
  readonly ratio: number | null;
  readonly target: number | null;
  readonly error: string | null;
}

/** Variables under which a peer's Vulkan loader finds the driver that we use. */
function driverEnvironment(kind: string): Record<string, string> {
  const found = kind === "lavapipe" ? findLavapipe() : null;
  const manifests =
    kind === "swiftshader" ? [unpackSwiftShader().manifest] : found && "manifests" in found ? found.manifests : null;
  if (!manifests) return {};
  return { VK_DRIVER_FILES: manifests.join(":"), VK_ICD_FILENAMES: manifests.join(":"), XDG_RUNTIME_DIR: tmpdir() };
}

/** AENET_PYTHON, or the first Python that has PyTorch; where none has, the plain name, which then says what it lacks. */
const python =
  [process.env.AENET_PYTHON, "python3", "/usr/bin/python3"].find(
    (name) => name && spawnSync(name, ["-c", "import torch, torchvision"]).status === 0,
  ) ?? "python3";

function commandOf({ program, file, arguments: rest }: Peer, task: Task): string[] {
  const text = JSON.stringify(task);
  if (program === "python") return [python, file, text, ...rest];
  return [process.execPath, program === "tfjs" ? `node_modules/.bundle/${file}` : file, text, ...rest];
}

const ourCommand = (task: Task, adapter: string) => [
  process.execPath,
  "--import",
  "tsx",
  fileURLToPath(new URL("ours.ts", folder)),
  JSON.stringify(task),
  adapter,
];

/** What the CommonJS modules in the bundle expect. */
const commonJsNames = `
import { createRequire as bannerRequire } from "node:module";
const require = bannerRequire(import.meta.url);
const __filename = require("node:url").fileURLToPath(import.meta.url);
const __dirname = require("node:path").dirname(__filename);`;

/** TensorFlow.js is written for bundlers: its modules do not load in Node as they are. */
async function bundle(): Promise<void> {
  if (!existsSync(new URL("node_modules/@tensorflow/tfjs-core", folder))) return;
  await build({
    entryPoints: [fileURLToPath(new URL("tfjs.mjs", folder))],
    outfile: fileURLToPath(new URL("node_modules/.bundle/tfjs.mjs", folder)),
    bundle: true,
    platform: "node",
    format: "esm",
    mainFields: ["module", "main"],
    external: ["webgpu"],
    banner: { js: commonJsNames },
    logLevel: "error",
  });
}

async function measure(task: Task, environment: Record<string, string>, adapter: string): Promise<Result[]> {
  const chosen = peers.filter(
    (peer) => peer.runs(task, adapter) && (wanted.length === 0 || wanted.some((name) => peer.name.includes(name))),
  );
  const start = (command: readonly string[], variables: Record<string, string>) =>
    Contender.start(command, { folder, environment: variables, seconds: readySeconds });
  const own = { name: "ours", variant: "as used", version: null, target: null };
  let ours: Awaited<ReturnType<typeof start>>;
  try {
    ours = await start(ourCommand(task, adapter), {});
  } catch (error) {
    return [{ ...own, ms: [], ratio: null, error: (error as Error).message }];
  }
  const running: { peer: Peer; contender: Contender; ready: Ready; ms: number[]; ratios: number[]; error?: string }[] =
    [];
  const results: Result[] = [];
  const ourTimes: number[] = [];
  const describe = (peer: Peer) => ({
    name: peer.name,
    variant: peer.variant,
    target: peer.target?.(task) ?? null,
  });
  for (const peer of chosen) {
    note(`${task.name}: ${peer.name}, ${peer.variant}`);
    try {
      const { contender, ready } = await start(commandOf(peer, task), environment);
      running.push({ peer, contender, ready, ms: [], ratios: [] });
    } catch (error) {
      results.push({ ...describe(peer), version: null, ms: [], ratio: null, error: (error as Error).message });
    }
  }
  for (let round = 0; round < rounds.most; round++) {
    for (const one of running) {
      const spent = one.ms.reduce((sum, ms) => sum + ms, 0);
      if (one.error || (round >= rounds.least && spent > 1000 * runSeconds)) continue;
      const our = await ours.contender.run(readySeconds);
      ourTimes.push(our);
      try {
        const theirs = await one.contender.run(readySeconds);
        one.ms.push(theirs);
        one.ratios.push(our / theirs);
      } catch (error) {
        one.error = (error as Error).message;
      }
    }
    if (running.length === 0) ourTimes.push(await ours.contender.run(readySeconds));
  }
  ours.contender.stop();
  for (const { peer, contender, ready, ms, ratios, error } of running) {
    contender.stop();
    const ratio = ratios.length > 0 && !error ? median(ratios) : null;
    results.push({ ...describe(peer), version: ready.version, ms, ratio, error: error ?? null });
  }
  return [{ ...own, ms: ourTimes, ratio: 1, error: null }, ...results];
}

function format(results: readonly Result[]): string {
  const target = (value: number | null) =>
    value === null ? "" : value >= 1 ? `≤ ${value.toFixed(1)} times` : `≥ ${(1 / value).toFixed(0)} times faster`;
  const ratio = (value: number | null) =>
    value === null ? "" : value >= 1 ? `${value.toFixed(2)} times theirs` : `${(1 / value).toFixed(1)} times faster`;
  return alignRight([
    ["engine", "ms", "ours is", "target"],
    ...results.map(({ name, variant, version, ms, ratio: found, target: aim, error }) => [
      `${name}, ${variant}${version && name !== "ours" ? ` (${version})` : ""}`,
      error ? `failed: ${error.slice(0, 90)}` : median(ms).toFixed(1),
      name === "ours" ? "" : ratio(found),
      target(aim),
    ]),
  ]);
}

const note = (text: string) => process.stderr.write(`  ${text}\n`);

/** GPU memory of AENet's step against the growth of PyTorch's resident memory for the same step. */
async function compareMemory(adapter: string): Promise<unknown> {
  const ours = await Contender.start(ourCommand(memoryTask, adapter), {
    folder,
    environment: {},
    seconds: readySeconds,
  });
  await ours.contender.run(readySeconds);
  ours.contender.stop();
  const gpu_bytes = Number(ours.ready.version);
  const torch = peers.find(({ name, variant }) => name === "PyTorch" && variant === "as used")!;
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  try {
    const { contender } = await Contender.start(commandOf(torch, memoryTask), {
      folder,
      environment: {},
      seconds: readySeconds,
    });
    await contender.run(readySeconds);
    const resident_bytes = Number((await contender.ask("memory", readySeconds)).bytes);
    contender.stop();
    process.stdout.write(
      `\nmemory, ${memoryTask.name}: ours ${mebibytes(gpu_bytes)} on the GPU, PyTorch ${mebibytes(resident_bytes)} ` +
        `peak resident growth: ${(gpu_bytes / resident_bytes).toFixed(2)} times theirs (target ≤ 1.00)\n`,
    );
    return { gpu_bytes, resident_bytes };
  } catch (error) {
    process.stdout.write(`\nmemory: PyTorch failed: ${(error as Error).message}\n`);
    return { gpu_bytes, error: (error as Error).message };
  }
}

const device = await openDevice({ adapter: choice, robustness: false });
const { kind, description } = device.platform;
device.destroy();
process.stdout.write(`${description}, ${availableParallelism()} processors\n`);
await bundle();
const began = new Date();
const results: Record<string, unknown> = {};
for (const task of tasks.filter(({ name }) => name.includes(flags.task))) {
  process.stdout.write(`\n${task.name}\n`);
  if (task.needsGpu && kind !== "gpu") {
    process.stdout.write(`left out: it needs a GPU, and the adapter is ${kind}\n`);
    continue;
  }
  results[task.name] = await measure(
    task,
    driverEnvironment(kind),
    kind === "browser" || kind === "null" ? "auto" : kind,
  );
  process.stdout.write(format(results[task.name] as Result[]));
}
if ("memory".includes(flags.task) && (wanted.length === 0 || wanted.includes("PyTorch"))) {
  results.memory = await compareMemory(kind);
}
const output = new URL("../results/", folder);
mkdirSync(output, { recursive: true });
const file = `peers-${kind}-${began.toISOString().slice(0, 19).replaceAll(":", "-")}.json`;
const report = { adapter: description, processors: availableParallelism(), date: began.toISOString(), results };
writeFileSync(new URL(file, output), `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`\nwrote bench/results/${file}\n`);
