/** What the commands of `aenet experiment` have in common: their flags, and how a run is watched. */
import type { RunEvents, RunSettings } from "../experiment/run.ts";
import { childShard, inShard, parseShard, type Shard } from "../experiment/shard.ts";
import type { WorkedOff } from "../experiment/work-off.ts";
import type { Job } from "../experiment/worklist.ts";
import { type ExitCode, exitCodes, UsageError } from "./errors.ts";
import { interruptible } from "./interrupt.ts";
import { boolean, integer, type Kind, text } from "./kinds.ts";
import { type ComputeFlags, computeOptions, json } from "./options.ts";
import { formatSeconds, Progress } from "./progress.ts";
import type { Options } from "./settings.ts";
import type { Terminal } from "./terminal.ts";
import { alignRight, formatJson, plural, shellWord } from "./text.ts";

export interface ExperimentFlags extends ComputeFlags {
  out: string | null;
  jobs: number | null;
  shard: Shard | null;
  again: boolean;
  dryRun: boolean;
  json: boolean;
}

const shard: Kind<Shard> = { placeholder: "i/n", read: (value) => parseShard(String(value)) };

const group = "Working it off:";

export const experimentOptions: Options<ExperimentFlags> = {
  out: { kind: text("folder"), default: null, help: "the experiment's folder; what is done there is not done again" },
  jobs: {
    kind: integer(1),
    default: null,
    help: "processes at once (default: one a core for small networks, else one)",
    group,
  },
  shard: {
    kind: shard,
    default: null,
    help: "every n-th part of the jobs, from the i-th, in parts that share data (a seed, a fold, a method's training)",
    group,
  },
  again: { kind: boolean, default: false, help: "read the test split once more, with the same checkpoints", group },
  dryRun: {
    kind: boolean,
    default: false,
    help: "print the list of jobs, and what small networks are expected to take",
    group,
  },
  ...computeOptions,
  json,
};

/** Small networks' protocols are in f32. @throws UsageError where something else is asked for. */
export function requireFullPrecision({ precision }: ExperimentFlags): void {
  if (precision !== "f32") throw new UsageError(`--precision ${precision}: this experiment's protocol is in f32`);
}

/**
 * `--dry-run`: the names of the jobs (of the shard's, if one is given), or every job as JSON.
 * @param isTimed Whether costs are seconds; else they only tell how jobs compare, and no time is printed.
 */
export function listJobs(
  all: readonly Job[],
  { json: asJson, shard }: ExperimentFlags,
  terminal: Terminal,
  isTimed = true,
): void {
  const jobs = all.filter((job) => shard === null || inShard(job, shard));
  if (asJson) {
    const list = jobs.map(({ id, needs, lane, cost }) => ({ id, needs, lane, ...(isTimed ? { seconds: cost } : {}) }));
    terminal.out(formatJson(list));
    return;
  }
  for (const { id } of jobs) terminal.out(`${id}\n`);
  const seconds = jobs.reduce((sum, { cost }) => sum + cost, 0);
  const time = isTimed ? `, some ${roughTime(seconds)} of one core` : "";
  terminal.out(`${plural(jobs.length, "job")}${time}\n`);
}

/** Whole minutes below an hour, half hours above: the list knows no better. */
function roughTime(seconds: number): string {
  const halves = Math.round(seconds / 1800);
  if (halves < 2) return plural(Math.max(1, Math.round(seconds / 60)), "minute");
  return `${Math.floor(halves / 2)}${halves % 2 === 1 ? "½" : ""} hour${halves === 2 ? "" : "s"}`;
}

/** Runs an experiment with its progress on standard error. */
export async function watchExperiment(
  values: ExperimentFlags,
  terminal: Terminal,
  cores: number,
  body: (settings: RunSettings, events: RunEvents) => Promise<WorkedOff>,
): Promise<ExitCode> {
  if (values.again && values.shard)
    throw new UsageError("--again: allows a reading for all shards; give it without --shard first");
  const progress = new Progress(terminal);
  const events: RunEvents = {
    onMessage: (line) => progress.note(line),
    onProgress: ({ done, total, secondsLeft, last }) =>
      progress.update(
        () => `${done}/${total} jobs${secondsLeft === null ? "" : `, ${formatSeconds(secondsLeft)} left`}, ${last}`,
      ),
  };
  const announce = () =>
    progress.note("stopping; the same command goes on from here. Press Ctrl-C again to stop at once");
  try {
    const { failed, left, waiting, reading } = await interruptible(announce, (signal) =>
      body(
        {
          adapter: values.adapter,
          tune: values.tune,
          workers: values.workers ?? undefined,
          jobs: values.jobs ?? cores,
          shard: values.shard,
          signal,
        },
        events,
      ),
    );
    progress.clear();
    const code = failed.length > 0 ? exitCodes.failed : exitCodes.done;
    if (childShard(terminal.environment)) return code; // its parent tells
    const result = {
      out: values.out,
      left,
      waiting,
      reading,
      failed: failed.map(({ id, error }) => ({ id, error: error.message })),
    };
    if (values.json) terminal.out(formatJson(result));
    else {
      terminal.out(
        alignRight([
          ["out", String(values.out)],
          ...(reading === 0 ? [] : [["readings of the test split", String(reading)]]),
          ["jobs left", String(left)],
        ]),
      );
      for (const { id, error } of failed) terminal.err(`failed: ${id}: ${error.message}\n`);
    }
    if (waiting > 0)
      terminal.err(
        `${plural(waiting, "job")} of this shard ${waiting === 1 ? "waits" : "wait"} for other shards; ` +
          "the same command goes on when those have come so far\n",
      );
    if (left === 0 && reading > 0)
      terminal.err(`aenet experiment report ${shellWord(values.out!)} makes its tables, tests and page\n`);
    return code;
  } catch (error) {
    progress.clear();
    if ((error as Error).name !== "Interrupted") throw error;
    terminal.err(`interrupted; the same command goes on with ${values.out}\n`);
    return exitCodes.interrupted;
  }
}
