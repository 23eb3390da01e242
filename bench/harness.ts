/** What the benchmarks have in common: a device of their own, rounds against the ceilings, tables. */
import { type ProfileRound, type ProfileRow, summarize } from "../src/aenet/bench/profile.ts";
import {
  measureStep,
  profileRounds,
  StepRunner,
  type StepSummary,
  type StepWork,
  summarizeStep,
} from "../src/aenet/bench/step.ts";
import { type CeilingSample, Ceilings } from "../src/kernels/ceilings.ts";
import type { Device } from "../src/kernels/device.ts";
import { type AdapterChoice, openDevice, parseAdapterChoice } from "../src/node/index.ts";

/** The adapter of that name; of none such it says so, and ends the program as other wrong usage does. */
export function adapterNamed(name: string): AdapterChoice {
  try {
    return parseAdapterChoice(name);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

export interface Context {
  readonly adapter: AdapterChoice;
  /** The folder or manifest of real photographs, where one was given. */
  readonly photographs: string | null;
  /** To standard output: the tables. */
  print(text: string): void;
  /** To standard error: what is going on. */
  note(text: string): void;
}

export interface Benchmark {
  readonly name: string;
  /** One line: what is measured against what. */
  readonly summary: string;
  /** Prints a table and returns what goes into the results file. */
  run(context: Context): Promise<unknown>;
}

/** Runs `body` with a device that nothing was compiled on yet. */
export async function withDevice<T>(context: Context, body: (device: Device) => Promise<T>): Promise<T> {
  const device = await openDevice({ adapter: context.adapter, robustness: false });
  try {
    return await body(device);
  } finally {
    device.destroy();
  }
}

/** As withDevice, and with its ceilings. */
export function withCeilings<T>(
  context: Context,
  body: (device: Device, ceilings: Ceilings) => Promise<T>,
): Promise<T> {
  return withDevice(context, async (device) => {
    const ceilings = await Ceilings.create(device);
    try {
      return await body(device, ceilings);
    } finally {
      ceilings.destroy();
    }
  });
}

/** How many repetitions of something that takes `ms` fit into `seconds`; at least `least`, at most `most`. */
export function repetitions(ms: number, seconds: number, least = 2, most = 7): number {
  return Math.max(least, Math.min(most, Math.floor((1000 * seconds) / ms)));
}

/** Profiles of `run` between samples of the ceilings, after one run that warms up. */
export async function profileRun(
  device: Device,
  ceilings: Ceilings,
  run: () => unknown,
  seconds: number,
): Promise<ProfileRound[]> {
  requireTimestamps(device);
  await device.profile(run);
  const start = performance.now();
  await device.profile(run);
  const count = repetitions(performance.now() - start + 150, seconds, 3);
  const rounds: ProfileRound[] = [];
  let before = await ceilings.sample();
  for (let i = 0; i < count; i++) {
    const dispatches = await device.profile(run);
    const after = await ceilings.sample();
    rounds.push({ dispatches, ceilings: between(before, after) });
    before = after;
  }
  return rounds;
}

/** A training step as a whole, and its profile with its own pipelines. */
export async function profileStep(
  device: Device,
  ceilings: Ceilings,
  work: StepWork,
  seconds: number,
): Promise<{ step: StepSummary; profile: ProfileRound[] }> {
  requireTimestamps(device);
  const runner = await StepRunner.create(device, work);
  try {
    await runner.run();
    const { ms } = await runner.run();
    const steps = repetitions(2 * ms, seconds, 2, 5);
    const measurement = await measureStep(runner, ceilings, { steps, profile: true });
    return { step: summarizeStep(runner, measurement), profile: profileRounds(measurement) };
  } finally {
    runner.destroy();
  }
}

function requireTimestamps(device: Device): void {
  if (device.hasTimestamps) return;
  throw new Error(`${device.platform.description} has no timestamps (timestamp-query), by which kernels are timed`);
}

const between = (a: CeilingSample, b: CeilingSample): CeilingSample => ({
  operationsPerSecond: (a.operationsPerSecond + b.operationsPerSecond) / 2,
  bytesPerSecond: (a.bytesPerSecond + b.bytesPerSecond) / 2,
});

/** All dispatches whose name is `name`, as one row. @throws Error if there are none. */
export function rowOf(rows: readonly ProfileRow[], name: string): ProfileRow {
  const row = rows.find((candidate) => candidate.name === name);
  if (!row) throw new Error(`no dispatch belongs to "${name}"`);
  return row;
}

export { type ProfileRow, summarize };
