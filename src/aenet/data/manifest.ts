/**
 * The manifest: a CSV file with one row a sample, `path,split,aes_score,aes_label,emotion` and, where known,
 * `rater_1` to `rater_10`. Empty means no label; paths are relative to the manifest.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve, sep } from "node:path";
import { replaceSharedFile } from "../durable-file.ts";
import { normaliseEmotion } from "./classes.ts";
import { CsvError, type CsvTable, decodeUtf8, formatCsv, parseCsv } from "./csv.ts";
import { type AesLabel, type Labels, SPLITS, type Split } from "./labels.ts";

/** A row as it stands in the file. */
export interface ManifestRow extends Labels {
  /** As in the manifest, relative to it. */
  path: string;
  split: Split;
}

export interface Sample extends ManifestRow {
  absolutePath: string;
}

export interface Manifest {
  /** As it was given, for messages. */
  file: string;
  /** In the file's order: a sample's index is its row. */
  samples: Sample[];
  /** Columns of the header that mean nothing here. */
  ignoredColumns: string[];
  /** SHA-256 of the file's bytes, as `sha256sum` prints it. */
  sha256: string;
}

const MAX_RATERS = 10;
const LABEL_COLUMNS = ["aes_score", "aes_label", "emotion"];

/**
 * @throws CsvError where the file breaks a rule; Error where it cannot be read.
 */
export async function readManifest(file: string): Promise<Manifest> {
  return parseManifest(await readManifestBytes(file), file);
}

/** @throws Error where the file cannot be read. */
export async function readManifestBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const isFolder = (error as NodeJS.ErrnoException).code === "EISDIR";
    const reason = isFolder
      ? "is a folder; a manifest is a CSV file (data import makes one)"
      : `cannot be read: ${(error as Error).message}`;
    throw new Error(`manifest ${file}: ${reason}`, { cause: error });
  }
}

/**
 * Reads a manifest's content; `file` places its relative paths and names it in errors.
 * @throws CsvError for a missing column, a value against its column's rule, or a path that stands twice.
 */
export function parseManifest(content: Uint8Array | string, file: string): Manifest {
  const table = parseCsv(decodeUtf8(content, file), file);
  const { header } = table;
  for (const name of ["path", "split"]) {
    if (!header.includes(name)) throw new CsvError({ file, line: 1, column: name }, "the column is missing");
  }
  const raterColumns = raterColumnsOf(header, file);
  if (raterColumns.length === 0 && !LABEL_COLUMNS.some((name) => header.includes(name))) {
    throw new CsvError(
      { file, line: 1 },
      `no column of labels: one of ${LABEL_COLUMNS.join(", ")} or rater_1 is needed`,
    );
  }
  const known = new Set(["path", "split", ...LABEL_COLUMNS, ...raterColumns]);
  return {
    file,
    samples: parseSamples(table, raterColumns, file),
    ignoredColumns: header.filter((name) => !known.has(name)),
    sha256: dataSha256(content),
  };
}

/** The `data_sha256` of checkpoints: SHA-256 over the manifest's bytes, in hexadecimal. */
export function dataSha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The columns `rater_1` to `rater_10` that are there, by number. @throws CsvError for any other number. */
export function raterColumnsOf(header: readonly string[], file: string): string[] {
  const allowed = Array.from({ length: MAX_RATERS }, (_, i) => `rater_${i + 1}`);
  for (const name of header) {
    if (/^rater_\d+$/.test(name) && !allowed.includes(name)) {
      throw new CsvError({ file, line: 1, column: name }, `raters' columns are rater_1 to rater_${MAX_RATERS}`);
    }
  }
  return allowed.filter((name) => header.includes(name));
}

/** A cell by which errors can name it. */
export interface Cell {
  file: string;
  line: number;
  column: string;
  value: string;
}

/** Empty → null. @throws CsvError for anything but a number from 1 to 10. */
export function parseScore(cell: Cell): number | null {
  const text = cell.value.trim();
  if (text === "") return null;
  const score = parseNumber(cell);
  if (score < 1 || score > 10) throw new CsvError(cell, "must lie from 1 to 10");
  return score;
}

/** @throws CsvError for anything but a finite decimal number. */
export function parseNumber(cell: Cell): number {
  const text = cell.value.trim();
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new CsvError(cell, "must be a number");
  return value;
}

/** Empty → null. @throws CsvError for anything but `high` and `low`. */
export function parseAesLabel(cell: Cell): AesLabel | null {
  const text = cell.value.trim();
  if (text === "") return null;
  if (text !== "high" && text !== "low") throw new CsvError(cell, "must be high, low or empty");
  return text;
}

/** @throws CsvError for anything but `train`, `val` and `test`. */
export function parseSplit(cell: Cell): Split {
  const text = cell.value.trim();
  if (!SPLITS.includes(text as Split)) throw new CsvError(cell, `must be ${SPLITS.join(", ")}`);
  return text as Split;
}

/** Empty → null, else the normalised name. */
export function parseEmotion(cell: Cell): string | null {
  const name = normaliseEmotion(cell.value);
  return name === "" ? null : name;
}

function parseSamples({ header, rows }: CsvTable, raterColumns: string[], file: string): Sample[] {
  const index = new Map(header.map((name, i) => [name, i]));
  const folder = dirname(resolve(file));
  const lineOfPath = new Map<string, number>();
  const samples = rows.map(({ line, values }): Sample => {
    const cell = (column: string): Cell => ({ file, line, column, value: values[index.get(column) ?? -1] ?? "" });
    const path = cell("path").value;
    if (path.trim() === "") throw new CsvError(cell("path"), "must not be empty");
    const absolutePath = resolve(folder, path);
    const before = lineOfPath.get(absolutePath);
    if (before !== undefined) throw new CsvError(cell("path"), `the same path stands on line ${before} already`);
    lineOfPath.set(absolutePath, line);
    const labels: Labels = {
      aesScore: parseScore(cell("aes_score")),
      aesLabel: parseAesLabel(cell("aes_label")),
      emotion: parseEmotion(cell("emotion")),
    };
    if (raterColumns.length > 0) labels.raters = raterColumns.map((column) => parseScore(cell(column)));
    return { path, absolutePath, split: parseSplit(cell("split")), ...labels };
  });
  if (samples.length === 0) throw new CsvError({ file, line: 1 }, "the manifest has a header but no samples");
  return samples;
}

/** The manifest's text; numbers are printed so that they parse back exactly. Raters' columns only where there are any. */
export function formatManifest(rows: readonly ManifestRow[]): string {
  const raters = rows.reduce((most, row) => Math.max(most, row.raters?.length ?? 0), 0);
  if (raters > MAX_RATERS) throw new RangeError(`manifest: ${raters} raters, but at most ${MAX_RATERS} have a column`);
  const ratersHeader = Array.from({ length: raters }, (_, i) => `rater_${i + 1}`);
  const text = (value: string | number | null | undefined) =>
    value === null || value === undefined ? "" : String(value);
  return formatCsv([
    ["path", "split", ...LABEL_COLUMNS, ...ratersHeader],
    ...rows.map((row) => [
      row.path,
      row.split,
      text(row.aesScore),
      text(row.aesLabel),
      text(row.emotion),
      ...ratersHeader.map((_, i) => text(row.raters?.[i])),
    ]),
  ]);
}

/** Writes the manifest whole or not at all. */
export async function writeManifest(file: string, rows: readonly ManifestRow[]): Promise<void> {
  await replaceSharedFile(file, formatManifest(rows));
}

/** The path of an image as the manifest `file` writes it: relative to the manifest, with forward slashes. */
export function pathInManifest(file: string, imagePath: string): string {
  return relative(dirname(resolve(file)), resolve(imagePath))
    .split(sep)
    .join("/");
}
