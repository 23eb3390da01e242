/**
 * `npm run bench`: measures, prints tables with ratios to what the adapter can do at most, and writes
 * bench/results/ADAPTER-DATE.json.
 *
 *   npm run bench -- [NAME…] [--adapter auto|gpu|lavapipe|swiftshader] [--photographs FOLDER] [--list]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { readFlags } from "../scripts/flags.ts";
import { alignLeft } from "../src/aenet/cli/text.ts";
import { openDevice } from "../src/node/index.ts";
import { coldStarts } from "./cold-start.ts";
import { convolutions } from "./convolutions.ts";
import { encode } from "./encode.ts";
import { adapterNamed, type Benchmark, type Context } from "./harness.ts";
import { input } from "./input.ts";
import { memoryBound } from "./memory-bound.ts";
import { scaling } from "./scaling.ts";
import { steps } from "./steps.ts";
import { winograd } from "./winograd.ts";

const benchmarks: readonly Benchmark[] = [
  convolutions,
  winograd,
  memoryBound,
  steps,
  scaling,
  encode,
  coldStarts,
  input,
];

const { values: flags, positionals: names } = readFlags("bench", {
  allowPositionals: true,
  options: {
    adapter: { type: "string", default: process.env.AENET_ADAPTER || "auto" },
    photographs: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

const listing = alignLeft(benchmarks.map(({ name, summary }) => [name, summary]));
const unknown = names.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
if (flags.list) {
  process.stdout.write(listing);
} else if (unknown !== undefined) {
  process.stderr.write(`bench: ${unknown} is none of\n${listing}`);
  process.exitCode = 2;
} else {
  const context: Context = {
    adapter: adapterNamed(flags.adapter),
    photographs: flags.photographs ?? null,
    print: (text) => void process.stdout.write(text),
    note: (text) => void process.stderr.write(`  ${text}\n`),
  };
  await runAll(names.length > 0 ? benchmarks.filter(({ name }) => names.includes(name)) : benchmarks, context);
}

async function runAll(chosen: readonly Benchmark[], context: Context): Promise<void> {
  const device = await openDevice({ adapter: context.adapter, robustness: false });
  const { kind, description } = device.platform;
  device.destroy();
  const began = new Date();
  const results: Record<string, unknown> = {};
  let failed = 0;
  context.print(`${description}, ${availableParallelism()} processors\n`);
  for (const { name, summary, run } of chosen) {
    context.print(`\n${name}: ${summary}\n`);
    const start = performance.now();
    try {
      results[name] = await run(context);
    } catch (error) {
      failed++;
      results[name] = { error: (error as Error).message };
      context.print(`failed: ${(error as Error).message}\n`);
    }
    context.note(`${((performance.now() - start) / 1000).toFixed(0)} s`);
  }
  const folder = new URL("results/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = `${kind}-${began.toISOString().slice(0, 19).replaceAll(":", "-")}.json`;
  const report = {
    adapter: description,
    kind,
    processors: availableParallelism(),
    node: process.version,
    date: began.toISOString(),
    results,
  };
  writeFileSync(new URL(file, folder), `${JSON.stringify(report, null, 2)}\n`);
  context.print(`\nwrote bench/results/${file}\n`);
  if (failed > 0) process.exitCode = 1;
}
