/**
 * A pack while it is written. It grows under a temporary name beside its own, images in the manifest's order; a journal
 * says how many are on the disk for certain and which of them are damaged, so that packing goes on after it was stopped.
 * The pack gets its name when it is whole.
 */
import { appendFile, type FileHandle, open, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder, syncFolder } from "../durable-file.ts";
import { acquireLock } from "../process-lock.ts";
import { formatDamaged, layOutPack, type PackInfo } from "./pack-format.ts";

/** A line of the journal, below the first, which is the pack's info. */
interface JournalEntry {
  /** So many images are on the disk. */
  readonly rows: number;
  /** The damaged ones among those that the line before did not count. */
  readonly damaged: readonly (readonly [row: number, reason: string])[];
}

export interface PackContent {
  readonly info: PackInfo;
  /** How many images. */
  readonly count: number;
  /** The manifest's bytes. */
  readonly manifest: Uint8Array;
}

export class GrowingPack {
  /** How many rows are written, damaged ones included. */
  rows: number;
  /** Why they are damaged, by row. */
  readonly damaged: Map<number, string>;
  readonly #out: string;
  readonly #file: FileHandle;
  readonly #release: () => void;
  readonly #content: PackContent;
  readonly #layout: ReturnType<typeof layOutPack>["layout"];
  readonly #journalEvery: number;
  #journalled: { rows: number; damaged: number; at: number };

  private constructor(fields: {
    out: string;
    file: FileHandle;
    release: () => void;
    content: PackContent;
    rows: number;
    damaged: Map<number, string>;
    journalEvery: number;
  }) {
    const { content, rows, damaged } = fields;
    this.rows = rows;
    this.damaged = damaged;
    this.#out = fields.out;
    this.#file = fields.file;
    this.#release = fields.release;
    this.#content = content;
    this.#layout = layOutPack(content.info, content.count, content.manifest.length, 0).layout;
    this.#journalEvery = fields.journalEvery;
    this.#journalled = { rows, damaged: damaged.size, at: performance.now() };
  }

  /**
   * Begins the pack `out` of `count` images, or goes on with what is left of one that was begun alike.
   *
   * @param journalEvery Milliseconds between entries of the journal.
   * @throws LockedError where another process is writing it; Error where the disk has not the room.
   */
  static async begin(out: string, content: PackContent, journalEvery: number): Promise<GrowingPack> {
    await makeFolder(dirname(out));
    const release = acquireLock(`${partialOf(out)}.lock`);
    let file: FileHandle | null = null;
    try {
      const former = await readJournal(journalOf(out), content.info);
      file = (await open(partialOf(out), "r+").catch(() => null)) ?? (await open(partialOf(out), "w+"));
      const { size } = await file.stat();
      const { images, imageBytes, end } = layOutPack(content.info, content.count, content.manifest.length, 0).layout;
      const isThere = former.rows > 0 && size >= images + former.rows * imageBytes;
      const { rows, damaged } = isThere ? former : { rows: 0, damaged: new Map<number, string>() };
      // What comes after is written anew; where nothing is, zeros are read.
      await file.truncate(images + rows * imageBytes);
      await writeFile(journalOf(out), journalLines(content.info, { rows, damaged: [...damaged] }));
      await checkRoom(out, end - images - rows * imageBytes);
      return new GrowingPack({ out, file, release, content, rows, damaged, journalEvery });
    } catch (error) {
      await file?.close();
      release();
      throw error;
    }
  }

  /** The next row: its image, or why there is none. */
  async add(image: Uint8Array | { damage: string }): Promise<void> {
    const { images, imageBytes } = this.#layout;
    if (image instanceof Uint8Array) await writeAt(this.#file, image, images + this.rows * imageBytes);
    else this.damaged.set(this.rows, image.damage);
    this.rows++;
    if (performance.now() - this.#journalled.at >= this.#journalEvery) await this.#writeJournal();
  }

  async #writeJournal(): Promise<void> {
    const { images, imageBytes } = this.#layout;
    await this.#file.truncate(images + this.rows * imageBytes); // as long as it says, if the last ones are damaged, too
    await this.#file.datasync();
    const damaged = [...this.damaged].slice(this.#journalled.damaged);
    await appendFile(journalOf(this.#out), journalLines({ rows: this.rows, damaged }));
    this.#journalled = { rows: this.rows, damaged: this.damaged.size, at: performance.now() };
  }

  /** Gives the pack its name, all rows having been added. Returns its size in bytes. */
  async finish(): Promise<number> {
    const { info, count, manifest } = this.#content;
    const damaged = Buffer.from(formatDamaged(this.damaged));
    const { layout, head } = layOutPack(info, count, manifest.length, damaged.length);
    await writeAt(this.#file, manifest, layout.manifest);
    await writeAt(this.#file, damaged, layout.damaged);
    await writeAt(this.#file, head, 0);
    await this.#file.sync();
    await rename(partialOf(this.#out), this.#out);
    await rm(journalOf(this.#out), { force: true });
    await syncFolder(dirname(this.#out));
    return layout.end;
  }

  /** Lets go of the file; what was written stays for the next time. */
  async close(): Promise<void> {
    await this.#file.close();
    this.#release();
  }

  /** Removes what was written of a pack that is not to be gone on with. */
  async discard(): Promise<void> {
    for (const path of [partialOf(this.#out), journalOf(this.#out)]) await rm(path, { force: true });
  }
}

const partialOf = (out: string) => `${out}.partial`;
const journalOf = (out: string) => `${out}.partial.jsonl`;

const journalLines = (...lines: (PackInfo | JournalEntry)[]) =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join("");

/** What the journal says is there; nothing where it is of another pack. A line cut off is as if it were not there. */
async function readJournal(path: string, info: PackInfo): Promise<{ rows: number; damaged: Map<number, string> }> {
  const [first, ...lines] = (await readFile(path, "utf8").catch(() => "")).split("\n");
  const damaged = new Map<number, string>();
  let rows = 0;
  if (first !== JSON.stringify(info)) return { rows, damaged };
  for (const line of lines.slice(0, -1)) {
    const entry = JSON.parse(line) as JournalEntry;
    rows = entry.rows;
    for (const [row, reason] of entry.damaged) damaged.set(row, reason);
  }
  return { rows, damaged };
}

/** @throws Error where the disk has less room than `bytes`. */
async function checkRoom(out: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(out));
  const gibibytes = (size: number) => `${(size / 2 ** 30).toFixed(1)} GiB`;
  if (bytes > bavail * bsize) {
    throw new Error(`--out ${out}: needs ${gibibytes(bytes)}, and the disk has ${gibibytes(bavail * bsize)} left`);
  }
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
