/** `--no-tune` reaches what computes, from every command that does. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { benchStepCommand } from "../../src/aenet/cli/commands/bench-step.ts";
import { evalCommand } from "../../src/aenet/cli/commands/eval.ts";
import { generatedCommand } from "../../src/aenet/cli/commands/experiment-generated.ts";
import { oasisCommand } from "../../src/aenet/cli/commands/experiment-oasis.ts";
import { paperCommand } from "../../src/aenet/cli/commands/experiment-paper.ts";
import { predictCommand } from "../../src/aenet/cli/commands/predict.ts";
import { trainCommand } from "../../src/aenet/cli/commands/train.ts";
import { type Commands, runProgram } from "../../src/aenet/cli/program.ts";
import { runCommand } from "./run.ts";

const tuned: unknown[] = [];
/** Stands for what computes: notes how it was to choose its kernels, and does nothing. */
const backend = {
  train: async (...[, , settings]: [unknown, unknown, { tune?: unknown }]) => stop(settings),
  resumeTraining: async (...[, , settings]: [unknown, unknown, { tune?: unknown }]) => stop(settings),
  dryRun: async () => stop({}),
  evaluate: async (options: { tune?: unknown }) => stop(options),
  predict: async (options: { tune?: unknown }) => stop(options),
  openDevice: async (options: { tune?: unknown }) => stop(options),
  runPaper: async (_: unknown, settings: { tune?: unknown }) => stop(settings),
  runGenerated: async (_: unknown, settings: { tune?: unknown }) => stop(settings),
  runOasis: async (_: unknown, settings: { tune?: unknown }) => stop(settings),
};

function stop({ tune }: { tune?: unknown }): never {
  tuned.push(tune);
  throw new Error("nothing is computed here");
}

// biome-ignore lint/suspicious/noExplicitAny: each command's backend is another part of this one
const load = async (): Promise<any> => backend;
const commands: Commands = {
  top: [trainCommand(load), evalCommand(load), predictCommand(load)],
  data: [],
  experiment: [paperCommand("table1", load), generatedCommand(load), oasisCommand(load)],
  bench: [benchStepCommand(load)],
};

async function tuneOf(args: readonly string[], environment: Record<string, string> = {}) {
  tuned.length = 0;
  const terminal = { out: () => {}, err: () => {}, interactive: false, columns: 80, environment };
  await runProgram(args, terminal, commands);
  return [...tuned];
}

/** A run's folder, as far as --print-config looks into it. */
const run = mkdtempSync(join(tmpdir(), "aenet-tune-"));
writeFileSync(join(run, "config.json"), JSON.stringify({ lr: 0.5, kernels: {} }));
afterAll(() => rmSync(run, { recursive: true, force: true }));

describe.each([
  ["train --data x.csv --out nowhere"],
  [`train --resume ${run}`],
  ["eval --checkpoint c --data x.csv"],
  ["predict --checkpoint c a.jpg"],
  ["bench step"],
  ["experiment table1 --data x.csv --ava y.csv --fi z.csv --out nowhere"],
  ["experiment generated --out nowhere"],
  ["experiment oasis --data x --out nowhere"],
])("%s", (line) => {
  const args = line.split(" ");
  it("measures unless it is told not to", async () => {
    expect(await tuneOf(args)).toEqual([true]);
    expect(await tuneOf([...args, "--no-tune"])).toEqual([false]);
    expect(await tuneOf(args, { AENET_NO_TUNE: "1" })).toEqual([false]);
  });

  it("says so in its help and its settings", async () => {
    const name = args.slice(0, /^(bench|experiment)$/.test(args[0]!) ? 2 : 1);
    expect((await runCommand([...name, "--help"])).out).toMatch(/^ {2}--no-tune /m);
    const printed = await runCommand([...args, "--no-tune", "--print-config"]);
    expect(JSON.parse(printed.out)).toMatchObject({ tune: false });
  });
});
