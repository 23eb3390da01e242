/**
 * A plain list of jobs that any number of processes work off together, on one machine or over a shared folder. Node only.
 *
 * Job ID's folder is `jobs/ID` below the experiment's; its result, `done.json`, is there whole or not at all, and its
 * being there is what "done" means. A job is begun under a lock that names its process, so that no two do the same and
 * the lock of a dead process is taken over. What was cut off is begun anew; nothing else is remembered.
 */
import { existsSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { replaceSharedFile } from "../durable-file.ts";
import { acquireLock, LockedError } from "../process-lock.ts";
import { inShard, type Shard } from "./shard.ts";
import { Interrupted } from "./trainer.ts";

export interface Job {
  /** Its folder's path below `jobs`. */
  readonly id: string;
  /** Jobs that have to be done before. */
  readonly needs: readonly string[];
  /** Jobs of a lane share data; a shard takes whole lanes. */
  readonly lane: number;
  /** What it takes compared with other jobs, for the time left; where it is known, in seconds of one core. */
  readonly cost: number;
  /** Large files of its folder that later jobs read. Where they were removed, the job is done again if one still needs them. */
  readonly files?: readonly string[];
  /** Does the job and returns what goes into done.json. */
  run(at: JobPlace): Promise<object>;
}

export interface JobPlace {
  /** The job's own folder; it exists, and may hold what an earlier, interrupted attempt left. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** The folder of an experiment: where jobs are, and what they gave. */
export class WorkFolder {
  readonly path: string;
  readonly #done = new Set<string>();

  constructor(path: string) {
    this.path = path;
  }

  folderOf(id: string): string {
    return join(this.path, "jobs", id);
  }

  isDone(id: string): boolean {
    if (this.#done.has(id)) return true;
    const done = existsSync(join(this.folderOf(id), "done.json"));
    if (done) this.#done.add(id);
    return done;
  }

  /** What job `id` returned. @throws Error where it is not done. */
  async read<T>(id: string): Promise<T> {
    return JSON.parse(await readFile(join(this.folderOf(id), "done.json"), "utf8")) as T;
  }

  /** Whether the files that a done job left are still there. */
  hasFiles({ id, files = [] }: Job): boolean {
    return files.every((file) => existsSync(join(this.folderOf(id), file)));
  }

  /** Does a job that nobody else does. @throws LockedError where somebody does. */
  async do(job: Job, signal: AbortSignal): Promise<void> {
    const folder = this.folderOf(job.id);
    mkdirSync(folder, { recursive: true });
    const release = acquireLock(join(folder, "lock"));
    try {
      if (this.isDone(job.id) && this.hasFiles(job)) return;
      const result = await job.run({ folder, signal });
      await replaceSharedFile(join(folder, "done.json"), `${JSON.stringify(result)}\n`);
      this.#done.add(job.id);
    } finally {
      release();
    }
  }

  /** Whether a living process is at work on it. */
  isUnderWay(id: string): boolean {
    const lock = join(this.folderOf(id), "lock");
    if (!existsSync(lock)) return false;
    try {
      acquireLock(lock)(); // takes over what a dead process left
      return false;
    } catch (error) {
      if (error instanceof LockedError) return true;
      throw error;
    }
  }
}

export interface WorkOptions {
  /** Only these lanes. */
  readonly shard?: Shard;
  /** These lanes before others. */
  readonly prefer?: Shard;
  readonly signal: AbortSignal;
  onDone?(job: Job, seconds: number): void;
  onFailed?(job: Job, error: Error): void;
}

export interface WorkResult {
  /** Jobs that failed here, and those of other shards, or behind failed ones, that are not done. */
  readonly failed: readonly { id: string; error: Error }[];
  readonly left: number;
}

const pollMs = 500;

/**
 * Works until nothing is left that it may do. A job that fails is left; others go on.
 * @throws Interrupted by the signal; what was under way is begun anew next time.
 */
export async function work(jobs: readonly Job[], folder: WorkFolder, options: WorkOptions): Promise<WorkResult> {
  checkJobs(jobs);
  const { shard, prefer, signal } = options;
  const failed = new Map<string, Error>();
  const order = prefer ? [...jobs].sort((a, b) => Number(inShard(b, prefer)) - Number(inShard(a, prefer))) : jobs;
  for (;;) {
    const wanted = openJobs(jobs, folder);
    const open = order.filter(({ id }) => wanted.has(id) && !failed.has(id));
    const mine = open.filter((job) => !shard || inShard(job, shard));
    if (mine.length === 0) return resultOf(open.length);
    const before = open.length;
    let did = false;
    for (const job of mine) {
      if (signal.aborted) throw new Interrupted("interrupted");
      if (!job.needs.every((id) => folder.isDone(id) && !wanted.has(id))) continue;
      const began = performance.now();
      try {
        await folder.do(job, signal);
      } catch (error) {
        if (error instanceof LockedError) continue;
        if (signal.aborted || error instanceof Interrupted) throw new Interrupted("interrupted");
        failed.set(job.id, error as Error);
        options.onFailed?.(job, error as Error);
        continue;
      }
      options.onDone?.(job, (performance.now() - began) / 1000);
      did = true;
      break; // from the top: what has become possible earlier in the list goes first
    }
    if (did) continue;
    const others = open.filter(({ id }) => folder.isUnderWay(id));
    const now = openJobs(jobs, folder);
    if (others.length === 0 && order.filter(({ id }) => now.has(id) && !failed.has(id)).length === before)
      return resultOf(before);
    await sleep(pollMs);
  }

  function resultOf(left: number): WorkResult {
    return { failed: [...failed].map(([id, error]) => ({ id, error })), left: left + failed.size };
  }
}

/** What is not done, and what has to be done again because files that it left are gone. */
export function openJobs(jobs: readonly Job[], folder: WorkFolder): Set<string> {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const open = new Set(jobs.filter(({ id }) => !folder.isDone(id)).map(({ id }) => id));
  for (const id of open) // grows while it is gone through
    for (const needed of byId.get(id)!.needs)
      if (!open.has(needed) && !folder.hasFiles(byId.get(needed)!)) open.add(needed);
  return open;
}

/** Jobs of a shard that are open only because a job of another shard, which they need, is. */
export function waitingForOthers(jobs: readonly Job[], folder: WorkFolder, shard: Shard): Job[] {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const open = openJobs(jobs, folder);
  const known = new Map<string, boolean>();
  const waits = (id: string): boolean => {
    const found =
      known.get(id) ??
      byId.get(id)!.needs.some((needed) => open.has(needed) && (!inShard(byId.get(needed)!, shard) || waits(needed)));
    known.set(id, found);
    return found;
  };
  return jobs.filter((job) => open.has(job.id) && inShard(job, shard) && waits(job.id));
}

function checkJobs(jobs: readonly Job[]): void {
  const ids = new Set(jobs.map(({ id }) => id));
  if (ids.size < jobs.length) throw new Error("work list: two jobs have the same id");
  for (const { id, needs } of jobs)
    for (const needed of needs)
      if (!ids.has(needed)) throw new Error(`work list: ${id} needs ${needed}, which is not in the list`);
}
