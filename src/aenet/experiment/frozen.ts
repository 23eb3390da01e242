/**
 * `frozen.json` and the record of readings: before a test split is read, the configurations and the checkpoints' hashes
 * stand; every reading is written down before it begins. Node only.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceSharedFile } from "../durable-file.ts";

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
  readonly runs: readonly FrozenRun[];
}

const frozenName = "frozen.json";
const readingsName = "readings.jsonl";

export async function writeFrozen(folder: string, runs: readonly FrozenRun[]): Promise<void> {
  const frozen: Frozen = { format: "aenet-frozen/1", runs };
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

/** How often the test split may be read, in all: 1, and 1 more with every `--again`. */
export async function readingOf(folder: string): Promise<number> {
  return Math.max(
    1,
    ...(await records(folder)).flatMap(({ event, reading }) => (event === "allowed" ? [reading] : [])),
  );
}

/** Allows one more reading. @returns its number. */
export async function allowReading(folder: string): Promise<number> {
  const reading = (await readingOf(folder)) + 1;
  await append(folder, { event: "allowed", job: "", reading });
  return reading;
}

/**
 * Reads the test split in `body`, and writes that down before and after. A reading that was cut off is done again as the
 * same one.
 *
 * @throws Error where this reading of `job` has been done before: its result was removed, and --again is needed.
 */
export async function recordReading<T>(
  folder: string,
  job: string,
  reading: number,
  body: () => Promise<T>,
): Promise<T> {
  const before = await records(folder);
  if (before.some((record) => record.event === "read" && record.job === job && record.reading === reading))
    throw new Error(
      `${job}: the test split was read before (reading ${reading}), but what came of it is gone; --again reads it once more`,
    );
  await append(folder, { event: "begun", job, reading });
  const result = await body();
  await append(folder, { event: "read", job, reading });
  return result;
}

interface ReadingRecord {
  readonly event: "allowed" | "begun" | "read";
  readonly job: string;
  readonly reading: number;
}

async function records(folder: string): Promise<ReadingRecord[]> {
  const text = await readFile(join(folder, readingsName), "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line.endsWith("}")) // a line that was cut off says nothing
    .map((line) => JSON.parse(line) as ReadingRecord);
}

async function append(folder: string, record: ReadingRecord): Promise<void> {
  await mkdir(folder, { recursive: true });
  await appendFile(join(folder, readingsName), `${JSON.stringify(record)}\n`);
}
