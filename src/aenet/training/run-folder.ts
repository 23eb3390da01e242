/**
 * A run's folder. Node only.
 *
 *   config.json, env.json     what was asked for (with the kernel choices), and where it ran
 *   splits/                   train.csv, val.csv, test.csv: the samples of each split
 *   metrics.jsonl             one record a step and one a split and epoch
 *   checkpoints/              last, best, best-aes, best-emo .safetensors, and last.state.safetensors
 *   .lock                     while a process writes here
 *
 * Every file but metrics.jsonl is replaced in one instant; see checkpoint-pair.ts for the pair that has to match.
 */
import { readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { safetensorsParts, type TensorData } from "../../nn/safetensors.ts";
import { makeFolder, replaceFile, syncFolder, temporaryName } from "../durable-file.ts";
import { acquireLock } from "../process-lock.ts";
import { commitPair, type LoadedPair, loadPair, pairNames } from "./checkpoint-pair.ts";
import { MetricsLog, type MetricsRecord } from "./metrics-log.ts";
import { type BestName, bestNames } from "./schedule.ts";
import { stateFile, type TrainingState } from "./state.ts";

export type SplitName = "train" | "val" | "test";

export interface Checkpoint {
  /** The weights, running statistics included, in torchvision's names and layout. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly state: TrainingState;
  /** The bests that these weights are; without a validation split, all of them. */
  readonly bests: readonly BestName[];
}

const lockName = ".lock";
/** Our own files by subfolder; "" is the run folder itself, whose config.json makes it one and so goes last. */
const ours: Record<string, readonly string[]> = {
  checkpoints: [...pairNames, ...bestNames.map((name) => `${name}.safetensors`)],
  splits: ["train.csv", "val.csv", "test.csv"],
  "": ["metrics.jsonl", "env.json", "config.json"],
};

export class RunFolder {
  readonly path: string;
  readonly #release: () => void;
  readonly #metrics: MetricsLog;
  #saving = false;

  private constructor(path: string, release: () => void) {
    this.path = path;
    this.#release = release;
    this.#metrics = new MetricsLog(join(path, "metrics.jsonl"));
  }

  /**
   * A folder for a new run, locked. With `overwrite` a former run's own files are deleted first, and nothing else.
   *
   * @throws Error where the folder holds a run and `overwrite` is not set, holds files that are not a run's, or is in use.
   */
  static async create(path: string, { overwrite }: { overwrite: boolean }): Promise<RunFolder> {
    await checkFree(path, overwrite);
    await makeFolder(path);
    return RunFolder.#locked(path, async () => {
      await checkFree(path, overwrite);
      if (overwrite) await deleteRun(path);
      for (const folder of Object.keys(ours)) await makeFolder(join(path, folder));
      await syncFolder(path);
    });
  }

  /**
   * A former run's folder, locked, to go on with it.
   *
   * @throws Error where it is no run's or in use.
   */
  static async open(path: string): Promise<RunFolder> {
    const entries = await entriesOf(path);
    if (!entries?.includes("config.json"))
      throw new Error(`--resume ${path}: is not a run folder; it has no config.json`);
    return RunFolder.#locked(path, async () => {
      for (const folder of Object.keys(ours)) await makeFolder(join(path, folder));
    });
  }

  static async #locked(path: string, prepare: () => Promise<void>): Promise<RunFolder> {
    const release = acquireLock(join(path, lockName));
    try {
      await prepare();
      return new RunFolder(path, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Where a checkpoint lies; it may not exist yet. */
  checkpointPath(name: "last" | BestName): string {
    return join(this.path, "checkpoints", `${name}.safetensors`);
  }

  async writeConfig(config: object): Promise<void> {
    await replaceFile(join(this.path, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  }

  /** @throws Error where config.json is not JSON. */
  async readConfig(): Promise<unknown> {
    const path = join(this.path, "config.json");
    try {
      return JSON.parse(await readFile(path, "utf8"));
    } catch (error) {
      throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
    }
  }

  async writeEnvironment(environment: object): Promise<void> {
    await replaceFile(join(this.path, "env.json"), `${JSON.stringify(environment, null, 2)}\n`);
  }

  async writeSplit(split: SplitName, csv: string): Promise<void> {
    await replaceFile(join(this.path, "splits", `${split}.csv`), csv);
  }

  /** Appends to metrics.jsonl, in order; on disk for good with the next checkpoint. */
  log(...records: readonly MetricsRecord[]): void {
    this.#metrics.append(...records);
  }

  /**
   * Replaces `last` and its state, and the bests that they are. Everything logged before the call belongs to the
   * checkpoint, what is logged after it is cut off by a resume; tensors must not change until it has returned.
   */
  async saveCheckpoint({ tensors, metadata, state, bests }: Checkpoint): Promise<void> {
    if (this.#saving) throw new Error(`${this.path}: a checkpoint is still being written`);
    this.#saving = true;
    try {
      const metricsLines = this.#metrics.lines;
      this.#metrics.flush();
      const makeState = (weightsSha256: string) => {
        const file = stateFile(state, { weightsSha256, metricsLines });
        return safetensorsParts(file.tensors, file.metadata);
      };
      await commitPair(join(this.path, "checkpoints"), safetensorsParts(tensors, metadata), makeState, bests);
    } finally {
      this.#saving = false;
    }
  }

  /**
   * The last checkpoint and its state, after cutting metrics.jsonl back to it; null, with metrics.jsonl empty, where the
   * run was stopped before its first.
   *
   * @throws Error where weights and state do not belong together or are damaged.
   */
  async loadCheckpoint(): Promise<LoadedPair | null> {
    const pair = await loadPair(join(this.path, "checkpoints"));
    this.#metrics.cutBack(pair?.state.metricsLines ?? 0);
    return pair;
  }

  /** Flushes metrics.jsonl and gives the lock up. */
  close(): void {
    this.#metrics.close();
    this.#release();
  }
}

/** The folder's entries without what a lock leaves; null where there is no such folder. */
async function entriesOf(path: string): Promise<string[] | null> {
  try {
    return (await readdir(path)).filter((name) => !name.startsWith(lockName));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return null;
    if (code === "ENOTDIR") throw new Error(`${path}: is a file, not a folder`, { cause: error });
    throw error;
  }
}

async function checkFree(path: string, overwrite: boolean): Promise<void> {
  const entries = (await entriesOf(path)) ?? [];
  if (entries.length === 0) return;
  const isRun = entries.includes("config.json") && entries.includes("checkpoints");
  const known = new Set(Object.entries(ours).flatMap(([folder, names]) => folder || names.flatMap(withTemporary)));
  const foreign = entries.find((name) => !known.has(name));
  if (!isRun && foreign !== undefined)
    throw new Error(
      `--out ${path}: holds ${foreign} and is not a run folder; give a folder that is empty or not there`,
    );
  // A run that was killed while it began has nothing to go on from.
  const began = entries.includes("config.json") || (await entriesOf(join(path, "checkpoints")))?.length;
  if (!overwrite && began)
    throw new Error(`--out ${path}: holds a run; --resume ${path} goes on with it, --overwrite replaces it`);
}

/** Deletes a run's files by their names, and its subfolders where nothing else is in them. */
async function deleteRun(path: string): Promise<void> {
  for (const [folder, names] of Object.entries(ours)) {
    for (const name of names.flatMap(withTemporary)) await rm(join(path, folder, name), { force: true });
    const isFolder = folder !== "" && (await stat(join(path, folder)).catch(() => null))?.isDirectory();
    if (isFolder && (await readdir(join(path, folder))).length === 0) await rmdir(join(path, folder));
  }
}

function withTemporary(name: string): string[] {
  return [name, temporaryName(name)];
}
