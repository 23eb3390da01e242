/**
 * What an importer has found out about images so far, kept beside the manifest it is going to write, so that an import
 * that was stopped goes on when the same command is given again: images that have not changed since are not decoded
 * anew. One JSON object a line; a line that was cut off by the end of the process is as if it had not been written.
 */
import { appendFile, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder } from "../durable-file.ts";
import { fileOfPath } from "./image-reference.ts";

/** A file as it was when it was looked through. */
interface Entry {
  path: string;
  size: number;
  mtimeMs: number;
  /** What is wrong with the image, or null. */
  damage: string | null;
}

const FLUSH_MS = 1000;

export class ImportJournal {
  readonly file: string;
  readonly #known: Map<string, Entry>;
  #pending: string[] = [];
  #flushed = performance.now();
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: string, known: Map<string, Entry>) {
    this.file = file;
    this.#known = known;
  }

  /** The journal of the import that writes `manifest`, with what an earlier one left. */
  static async open(manifest: string): Promise<ImportJournal> {
    const file = `${manifest.replace(/\.csv$/i, "")}.import.partial.jsonl`;
    const text = await readFile(file, "utf8").catch(() => "");
    const known = new Map<string, Entry>();
    for (const line of text.split("\n")) {
      const entry = parseLine(line);
      if (entry !== null) known.set(entry.path, entry);
    }
    // A cut-off last line must not run into the next one.
    if (text !== "" && !text.endsWith("\n")) await appendFile(file, "\n");
    return new ImportJournal(file, known);
  }

  /** What is wrong with an image (null: nothing), from the journal if its file is as it was then, else by `inspect`. */
  async damageOf(path: string, inspect: (path: string) => Promise<string | null>): Promise<string | null> {
    const file = await stat(fileOfPath(path)).catch(() => null);
    if (file === null) return inspect(path);
    const { size, mtimeMs } = file;
    const known = this.#known.get(path);
    if (known?.size === size && known.mtimeMs === mtimeMs) return known.damage;
    const damage = await inspect(path);
    this.#pending.push(`${JSON.stringify({ path, size, mtimeMs, damage } satisfies Entry)}\n`);
    if (performance.now() - this.#flushed > FLUSH_MS) await this.flush();
    return damage;
  }

  /** Writes what is new; done by itself every second, so that a short import leaves no trace. */
  flush(): Promise<void> {
    this.#flushed = performance.now();
    const text = this.#pending.join("");
    this.#pending = [];
    this.#writing = this.#writing.then(async () => {
      if (text === "") return;
      await makeFolder(dirname(this.file));
      await appendFile(this.file, text);
    });
    return this.#writing;
  }

  /** Once the manifest is there. */
  async remove(): Promise<void> {
    this.#pending = [];
    await this.#writing;
    await rm(this.file, { force: true });
  }
}

function parseLine(line: string): Entry | null {
  try {
    const { path, size, mtimeMs, damage } = JSON.parse(line) as Entry;
    const isEntry = typeof path === "string" && (damage === null || typeof damage === "string");
    return isEntry ? { path, size, mtimeMs, damage } : null;
  } catch {
    return null;
  }
}
