/** What the commands of `aenet experiment` have in common: their flags, and how a run is watched. */
import type { RunEvents, RunSettings } from "../experiment/run.ts";
import { parseShard, type Shard } from "../experiment/shard.ts";
import type { Job, WorkResult } from "../experiment/worklist.ts";
import { type ExitCode, exitCodes, UsageError } from "./errors.ts";
import { interruptible } from "./interrupt.ts";
import { boolean, integer, type Kind, text } from "./kinds.ts";
import { computeOptions, json } from "./options.ts";
import { formatSeconds, Progress } from "./progress.ts";
import type { Options } from "./settings.ts";
import type { Terminal } from "./terminal.ts";
import { alignRight, formatJson, plural } from "./text.ts";

export interface ExperimentFlags {
  out: string | null;
  jobs: number | null;
  shard: Shard | null;
  again: boolean;
  dryRun: boolean;
  adapter: RunSettings["adapter"];
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
    help: "only every n-th seed's jobs, from the i-th; the folder is shared",
    group,
  },
  again: { kind: boolean, default: false, help: "read the test split once more, with the same checkpoints", group },
  dryRun: { kind: boolean, default: false, help: "print the list of jobs and what it is expected to cost", group },
  adapter: computeOptions.adapter,
  json,
};

/** `--dry-run`: the list by kind of job, or every job as JSON. */
export function listJobs(jobs: readonly Job[], { json: asJson }: ExperimentFlags, terminal: Terminal): void {
  if (asJson) {
    terminal.out(formatJson(jobs.map(({ id, needs, lane, cost }) => ({ id, needs, lane, seconds: cost }))));
    return;
  }
  for (const { id } of jobs) terminal.out(`${id}\n`);
  const seconds = jobs.reduce((sum, { cost }) => sum + cost, 0);
  terminal.out(`${plural(jobs.length, "job")}, some ${formatSeconds(seconds)} of one core\n`);
}

/** Runs an experiment with its progress on standard error. */
export async function watchExperiment(
  values: ExperimentFlags,
  terminal: Terminal,
  cores: number,
  body: (settings: RunSettings, events: RunEvents) => Promise<WorkResult & { reading: number }>,
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
    const { failed, left, reading } = await interruptible(announce, (signal) =>
      body({ adapter: values.adapter, jobs: values.jobs ?? cores, shard: values.shard, signal }, events),
    );
    progress.clear();
    const result = {
      out: values.out,
      left,
      reading,
      failed: failed.map(({ id, error }) => ({ id, error: error.message })),
    };
    if (values.json) terminal.out(formatJson(result));
    else {
      terminal.out(
        alignRight([
          ["out", String(values.out)],
          ["readings of the test split", String(reading)],
          ["jobs left", String(left)],
        ]),
      );
      for (const { id, error } of failed) terminal.err(`failed: ${id}: ${error.message}\n`);
    }
    return failed.length > 0 ? exitCodes.failed : exitCodes.done;
  } catch (error) {
    progress.clear();
    if ((error as Error).name !== "Interrupted") throw error;
    terminal.err(`interrupted; the same command goes on with ${values.out}\n`);
    return exitCodes.interrupted;
  }
}
