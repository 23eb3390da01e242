/** Working off an experiment's list: in this process, or by several children of it. Node only. */
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import type { Device } from "../../kernels/device.ts";
import { type AdapterChoice, openDevice } from "../../node/index.ts";
import { measureAlone, tuneIn } from "./kernels.ts";
import { childShard, childVariable, inShard, type Shard } from "./shard.ts";
import { Interrupted } from "./trainer.ts";
import { type Job, openJobs, type WorkFolder, type WorkResult, work } from "./worklist.ts";

/** How an experiment is worked off; nothing of it changes what is computed. */
export interface RunSettings {
  readonly adapter: AdapterChoice;
  /** As openDevice takes it. Default true. */
  readonly tune?: boolean | undefined;
  /** Images decoded at a time. */
  readonly workers?: number | undefined;
  /** Processes at once. */
  readonly jobs: number;
  /** Only a part of the lanes. */
  readonly shard: Shard | null;
  readonly signal: AbortSignal;
}

export interface RunEvents {
  onProgress?(progress: { done: number; total: number; secondsLeft: number | null; last: string }): void;
  onMessage?(line: string): void;
}

/**
 * A device that is opened when it is first asked for, and given back at the end.
 * @param folder The experiment's: kernels that have to be measured are the same for all of its processes.
 */
export function lazyDevice(
  { adapter, tune = true }: Pick<RunSettings, "adapter" | "tune">,
  folder: string,
): {
  device: () => Promise<Device>;
  close: () => Promise<void>;
} {
  let opened: Promise<Device> | null = null;
  const open = async () => {
    const device = await openDevice({ adapter, robustness: false, tune: tune && tuneIn(folder) });
    measureAlone(device, folder);
    return device;
  };
  return {
    device: () => {
      opened ??= open();
      return opened;
    },
    close: async () => {
      if (opened) (await opened).destroy();
      opened = null;
    },
  };
}

interface ChildReport {
  readonly done?: { id: string };
  readonly failed?: { id: string; message: string };
}

/** Aborts when the parent says so, or is gone. */
function parentsSignal(): AbortSignal {
  const controller = new AbortController();
  process.on("message", () => controller.abort());
  process.on("disconnect", () => controller.abort());
  process.channel?.unref(); // a child that has nothing left to do ends
  return controller.signal;
}

/**
 * Works until all that may be done is done.
 * @throws Interrupted by the signal.
 */
export async function runJobs(
  jobs: readonly Job[],
  folder: WorkFolder,
  settings: RunSettings,
  events: RunEvents,
): Promise<WorkResult> {
  const { shard } = settings;
  const child = childShard(process.env);
  const signal = child ? AbortSignal.any([settings.signal, parentsSignal()]) : settings.signal;
  const mine = jobs.filter((job) => !shard || inShard(job, shard));
  const progress = new Progress(jobs, mine, folder, events);
  if (child === null && settings.jobs > 1) return runChildren(jobs, mine, folder, settings, progress, events);
  const report = (message: ChildReport) => {
    if (process.connected) process.send?.(message);
  };
  const result = await work(jobs, folder, {
    ...(shard ? { shard } : {}),
    ...(child ? { prefer: child } : {}),
    signal,
    onDone(job) {
      if (child) report({ done: { id: job.id } });
      else progress.add(job);
    },
    onFailed(job, error) {
      if (child) report({ failed: { id: job.id, message: error.message } });
      else events.onMessage?.(`failed: ${job.id}: ${error.message}`);
    },
  });
  return result;
}

/** The same command line in several processes, each of which takes what no other has taken. */
async function runChildren(
  all: readonly Job[],
  mine: readonly Job[],
  folder: WorkFolder,
  settings: RunSettings,
  progress: Progress,
  events: RunEvents,
): Promise<WorkResult> {
  const byId = new Map(mine.map((job) => [job.id, job]));
  const failed: { id: string; error: Error }[] = [];
  // A software driver with a thread a core in every process would only get in its own way.
  const threads = String(Math.max(1, Math.floor(availableParallelism() / settings.jobs)));
  const children = Array.from({ length: settings.jobs }, (_, i) => {
    const child = fork(process.argv[1]!, process.argv.slice(2), {
      env: {
        ...process.env,
        [childVariable]: `${i + 1}/${settings.jobs}`,
        LP_NUM_THREADS: process.env.LP_NUM_THREADS ?? threads,
      },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child.on("message", (message: ChildReport) => {
      const job = message.done && byId.get(message.done.id);
      if (job) progress.add(job);
      if (message.failed) {
        failed.push({ id: message.failed.id, error: new Error(message.failed.message) });
        events.onMessage?.(`failed: ${message.failed.id}: ${message.failed.message}`);
      }
    });
    return child;
  });
  // No signal of the system: Ctrl-C has reached the children by itself, and a second one would end them at once.
  const stop = () => {
    for (const child of children) if (child.connected) child.send("stop");
  };
  settings.signal.addEventListener("abort", stop);
  const codes = await Promise.all(
    children.map(
      (child) =>
        new Promise<number>((resolve) => {
          child.on("exit", (code, signalName) => resolve(code ?? (signalName ? 128 : 0)));
        }),
    ),
  );
  settings.signal.removeEventListener("abort", stop);
  if (settings.signal.aborted) throw new Interrupted("interrupted");
  const leftOf = (jobs: readonly Job[]) => jobs.filter(({ id }) => !folder.isDone(id)).length;
  const bad = codes.findIndex((code) => code !== 0);
  if (bad >= 0 && failed.length === 0 && leftOf(mine) > 0)
    failed.push({ id: `process ${bad + 1}`, error: new Error(`ended with code ${codes[bad]}`) });
  return { failed, left: leftOf(all) }; // those of other shards among them, as work() has it
}

/** How much is done, in expected seconds, and how long the rest will take at the pace so far. */
class Progress {
  readonly #events: RunEvents;
  readonly #total: number;
  readonly #began = performance.now();
  #done: number;
  #costLeft: number;
  #costDone = 0;

  constructor(all: readonly Job[], jobs: readonly Job[], folder: WorkFolder, events: RunEvents) {
    const wanted = openJobs(all, folder);
    const open = jobs.filter(({ id }) => wanted.has(id));
    this.#events = events;
    this.#total = jobs.length;
    this.#done = jobs.length - open.length;
    this.#costLeft = open.reduce((sum, { cost }) => sum + cost, 0);
  }

  add({ id, cost }: Job): void {
    this.#done++;
    this.#costDone += cost;
    this.#costLeft = Math.max(0, this.#costLeft - cost);
    const seconds = (performance.now() - this.#began) / 1000;
    this.#events.onProgress?.({
      done: this.#done,
      total: this.#total,
      secondsLeft: this.#costDone > 0 ? (seconds / this.#costDone) * this.#costLeft : null,
      last: id,
    });
  }
}
