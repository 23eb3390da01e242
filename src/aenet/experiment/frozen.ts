/**
 * `frozen.json` and the record of readings: before a test split is read, the configurations and the checkpoints' hashes
 * stand; every reading is written down before it begins. Node only.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, replaceSharedFile } from "../durable-file.ts";
import { distinctEnvironments, type Environment } from "../environment.ts";
import { type ResultKey, readRunResult, resultFile } from "./results.ts";

/** One method's networks, ready to be tested. */
export interface FrozenRun {
  readonly method: string;
  /** Where it is tested, as `cellName` has it; and the fold, where there are several. */
  readonly cell: string;
  readonly seed: number;
  readonly fold: number | null;
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  readonly networks: readonly FrozenNetwork[];
}

export interface FrozenNetwork {
  readonly arch: string;
  readonly parameters: number;
  /** Relative to the experiment's folder. */
  readonly checkpoint: string;
  readonly config_sha256: string;
  readonly checkpoint_sha256: string;
}

export interface Frozen {
  readonly format: "aenet-frozen/1";
  /**
   * With what its networks were trained: one environment, unless machines or versions were mixed. Absent where it was not
   * recorded yet; it has no part in protocol.json, which has to be the same whenever the folder is gone on with.
   */
  readonly trained_with?: readonly Environment[];
  readonly runs: readonly FrozenRun[];
}

const frozenName = "frozen.json";
const readingsName = "readings.jsonl";

/** @param environments Of all trainings; one that was done before they were recorded has none. */
export async function writeFrozen(
  folder: string,
  runs: readonly FrozenRun[],
  environments: readonly (Environment | undefined)[],
): Promise<void> {
  const known = environments.filter((environment) => environment !== undefined);
  const frozen: Frozen = { format: "aenet-frozen/1", trained_with: distinctEnvironments(known), runs };
  await replaceSharedFile(join(folder, frozenName), `${JSON.stringify(frozen, null, 1)}\n`);
}

/** @throws Error where nothing is frozen yet. */
export async function readFrozen(folder: string): Promise<Frozen> {
  const file = join(folder, frozenName);
  if (!existsSync(file)) throw new Error(`${file}: is not there, so the test split may not be read`);
  return JSON.parse(await readFile(file, "utf8")) as Frozen;
}

/** A frozen run's checkpoint, as bytes. @throws Error where they are not those that were frozen. */
export async function readFrozenCheckpoint(folder: string, network: FrozenNetwork): Promise<Uint8Array> {
  const file = join(folder, network.checkpoint);
  const bytes = await readFile(file);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 === network.checkpoint_sha256) return bytes;
  throw new Error(`${file}: is not the checkpoint that was frozen (its SHA-256 begins ${sha256.slice(0, 12)})`);
}

/** The name of a test set where there is only one. */
export const onlySet = "";

/** How often a test set may be read, in all: 1, and 1 more with every `--again` of a command that reads it. */
export async function readingOf(folder: string, set: string = onlySet): Promise<number> {
  const allowed = (await records(folder)).filter(({ event, set: of }) => event === "allowed" && (!of || of === set));
  return Math.max(1, ...allowed.map(({ reading }) => reading));
}

/** Allows one more reading of a set. @returns its number. */
export async function allowReading(folder: string, set: string = onlySet): Promise<number> {
  const reading = (await readingOf(folder, set)) + 1;
  await append(folder, { event: "allowed", job: "", reading, ...(set === onlySet ? {} : { set }) });
  return reading;
}

/** The highest number of a reading that was begun, of any test set; 0 where there was none. */
export async function lastReading(folder: string): Promise<number> {
  const begun = (await records(folder)).filter(({ event }) => event === "begun");
  return Math.max(0, ...begun.map(({ reading }) => reading));
}

/** The ID of the job that does reading number `reading` of `job`. */
export function readingId(job: string, reading: number): string {
  return `${job}/reading-${reading}`;
}

/** IDs of the jobs whose reading is done, whether or not they came as far as their done.json. */
export async function finishedReadings(folder: string): Promise<Set<string>> {
  const read = (await records(folder)).filter(({ event }) => event === "read");
  return new Set(read.map(({ job, reading }) => readingId(job, reading)));
}

/**
 * Reads the test split in `body`, which writes the results of `keys`, and writes that down before and after. A reading that
 * was cut off is done again as the same one; of one that was cut off behind its last record the results stand.
 *
 * @throws Error where this reading of `job` has been done before and a result of it was removed: --again is needed.
 */
export async function recordReading(
  folder: string,
  job: string,
  reading: number,
  keys: readonly ResultKey[],
  body: () => Promise<void>,
): Promise<{ readonly reading: number }> {
  if ((await finishedReadings(folder)).has(readingId(job, reading))) {
    const found = await Promise.all(keys.map((key) => readingOfResult(resultFile(folder, key))));
    if (found.every((number) => number === reading)) return { reading };
    throw new Error(
      `${job}: the test split was read before (reading ${reading}), but what came of it is gone; --again reads it once more`,
    );
  }
  await append(folder, { event: "begun", job, reading });
  await body();
  await append(folder, { event: "read", job, reading });
  return { reading };
}

async function readingOfResult(file: string): Promise<number | null> {
  return existsSync(file) ? (await readRunResult(file)).readings : null;
}

interface ReadingRecord {
  readonly event: "allowed" | "begun" | "read";
  readonly job: string;
  readonly reading: number;
  /** Of what is allowed: one test set of several. Without it, of all. */
  readonly set?: string;
}

async function records(folder: string): Promise<ReadingRecord[]> {
  const text = await readFile(join(folder, readingsName), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as ReadingRecord];
    } catch {
      return []; // a line that was cut off says nothing, and the one behind the last end of line is none
    }
  });
}

async function append(folder: string, record: ReadingRecord): Promise<void> {
  await makeFolder(folder);
  const file = await open(join(folder, readingsName), "a+");
  try {
    const { size } = await file.stat();
    const last = size === 0 ? "\n" : (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString();
    // What was cut off must not run into this record.
    await file.appendFile(`${last === "\n" ? "" : "\n"}${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}
