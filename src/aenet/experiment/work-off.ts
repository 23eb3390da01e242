/** An experiment over its folder: its settings are kept, its readings counted, its jobs worked off. Node only. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { allowReading, finishedReadings, lastReading, readingOf } from "./frozen.ts";
import { type Contents, keepProtocol } from "./keep-protocol.ts";
import { type Experiment, writeExperiment } from "./results.ts";
import { type RunEvents, type RunSettings, runJobs } from "./run.ts";
import { childShard } from "./shard.ts";
import { type Job, WorkFolder, type WorkResult, waitingForOthers } from "./worklist.ts";

export interface WorkOff {
  readonly out: string;
  /** Reads the test splits once more, with the same checkpoints. */
  readonly again: boolean;
  /** What decides what is computed: kept in protocol.json, and the same whenever the folder is gone on with. */
  readonly protocol: object;
  /** What the files that it is given hold, where there are any: kept beside it. */
  readonly contents?: Contents;
  /** The test sets that this command reads: each counts its own readings. */
  readonly sets: readonly string[];
  /** What experiment.json begins with, from what is done by then. */
  readonly describe: (folder: WorkFolder) => Promise<Experiment>;
  /** The jobs, with the reading of each set that is due; refuses by an Error what cannot be begun. */
  readonly planOf: (folder: WorkFolder, readingOf: (set: string) => number) => readonly Job[];
}

export interface WorkedOff extends WorkResult {
  /** Of what is left, this shard's jobs that wait for other shards. */
  readonly waiting: number;
  /** The number of the last reading of a test split that the folder records; 0 where nothing was read yet. */
  readonly reading: number;
}

/**
 * Works until all that may be done is done.
 * @throws Error where `out` holds an experiment of other settings, or --again comes too early; Interrupted by the signal.
 */
export async function workOff(
  { out, again, protocol, contents, sets, describe, planOf }: WorkOff,
  settings: RunSettings,
  events: RunEvents,
): Promise<WorkedOff> {
  const folder = new WorkFolder(out);
  const readings = new Map<string, number>();
  for (const set of sets) readings.set(set, await readingOf(out, set));
  const dueOf = (set: string) => readings.get(set)!;
  const jobs = planOf(folder, dueOf); // what it refuses leaves no folder behind
  const read = await finishedReadings(out);
  refuseResultsAlone(out, jobs, folder, read);
  await keepProtocol(out, protocol, contents);
  if (!existsSync(join(out, "experiment.json"))) await writeExperiment(out, await describe(folder));
  if (again && childShard(process.env) === null) {
    // A reading whose result was removed can only be done once more.
    if (jobs.some(({ id }) => !folder.isDone(id) && !read.has(id)))
      throw new Error("--again: the last reading of the test splits is not finished; go on without --again");
    for (const set of sets) readings.set(set, await allowReading(out, set));
  }
  const list = planOf(folder, dueOf);
  const result = await runJobs(list, folder, settings, events);
  const waiting = settings.shard ? waitingForOthers(list, folder, settings.shard).length : 0;
  return { ...result, waiting, reading: await lastReading(out) };
}

/**
 * A folder may hold what came of an experiment without the work behind it, as the published ones do: gone on with, it would
 * train everything anew, overwrite what was frozen, and not be allowed to read the test split in the end.
 */
function refuseResultsAlone(out: string, jobs: readonly Job[], folder: WorkFolder, read: ReadonlySet<string>): void {
  const alone = jobs.find(
    ({ id, needs }) => read.has(id) && !folder.isDone(id) && needs.some((need) => !folder.isDone(need)),
  );
  if (!alone) return;
  throw new Error(
    `--out ${out}: holds the results of an experiment (${alone.id} is done), but not the work behind them; ` +
      "another folder runs it anew",
  );
}
