/** What all importers share: sorting out damaged images, dividing into splits, writing the manifest and its record. */
import { existsSync, realpathSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { replaceSharedFile } from "../durable-file.ts";
import { type CountsBySplit, countLabels, formatCounts } from "./counts.ts";
import { inspectImage } from "./decode.ts";
import { ImportJournal } from "./import-journal.ts";
import { aestheticLabel, type Labels, type Split } from "./labels.ts";
import { DEFAULT_WORKERS } from "./loader.ts";
import { type ManifestRow, pathInManifest, writeManifest } from "./manifest.ts";
import { mapConcurrently } from "./prefetch.ts";
import { formatPublished, publishedSet } from "./published.ts";
import { DEFAULT_FRACTIONS, type Fractions, splitSamples } from "./split.ts";

export interface ImportOptions {
  /** The manifest to write. */
  out: string;
  /** Default 0.7, 0.1, 0.2. */
  fractions?: Fractions;
  /** Default 0. */
  seed?: number;
  /** How many images are looked through at once. */
  workers?: number;
  /** Called with how many of how many images have been looked through. */
  onProgress?: (done: number, total: number) => void;
}

/** An image as an importer found it, with the source's own labels and, perhaps, split. */
export interface FoundImage extends Labels {
  absolutePath: string;
  /** null: to be decided by `splitSamples`. */
  split: Split | null;
  /** Images of one group fall into one split. */
  group?: string;
}

export interface ImportReport {
  kind: string;
  manifest: string;
  /** The JSON file beside the manifest that says how it was made. */
  record: string;
  counts: CountsBySplit;
  /** Images that are left out of the manifest because they are missing or damaged. */
  damaged: { path: string; error: string }[];
  /** Files that are no images by their names, or lie where none belong. */
  ignored: string[];
  /** What else the record holds, such as OASIS's thresholds. */
  details: Record<string, unknown>;
  /** Lines for people about what was found beside the counts. */
  notes: string[];
}

/** Decodes every image once, also where an earlier import of the same manifest was stopped (see `ImportJournal`). */
export async function sortOutDamaged<T extends FoundImage>(
  images: readonly T[],
  { out, workers = DEFAULT_WORKERS, onProgress }: ImportOptions,
): Promise<{ sound: T[]; damaged: ImportReport["damaged"] }> {
  const journal = await ImportJournal.open(out);
  const inspect = async (path: string) => (await inspectImage(path)).damage?.reason ?? null;
  const damages = await mapConcurrently(
    images,
    workers,
    ({ absolutePath }) => journal.damageOf(absolutePath, inspect),
    onProgress,
  ).finally(() => journal.flush());
  return {
    sound: images.filter((_, i) => damages[i] === null),
    damaged: damages.flatMap((error, i) => (error === null ? [] : [{ path: images[i]!.absolutePath, error }])),
  };
}

/** Keeps the source's splits where it has them; otherwise divides by seed, stratified by both labels, by group. */
export function assignSplits<T extends FoundImage>(
  images: readonly T[],
  options: ImportOptions,
): (T & { split: Split })[] {
  const { fractions = DEFAULT_FRACTIONS, seed = 0 } = options;
  const open = images.filter(({ split }) => split === null);
  const groups = open.map(({ group, absolutePath }) => group ?? absolutePath);
  const strata = open.map((image) => JSON.stringify([aestheticLabel(image), image.emotion]));
  const splits = splitSamples({ fractions, seed, strata, groups });
  let next = 0;
  return images.map((image) => ({ ...image, split: image.split ?? splits[next++]! }));
}

/**
 * Writes the manifest and its record.
 * @throws Error where no image is left.
 */
export async function finishImport(
  found: {
    kind: string;
    images: readonly (FoundImage & { split: Split })[];
    damaged: ImportReport["damaged"];
    ignored?: string[];
    details?: Record<string, unknown>;
    notes?: string[];
  },
  { out, fractions = DEFAULT_FRACTIONS, seed = 0 }: ImportOptions,
): Promise<ImportReport> {
  const { kind, images, damaged, ignored = [], details = {}, notes = [] } = found;
  if (images.length === 0)
    throw new Error(`import ${kind}: no sound image was found (${damaged.length} damaged or missing)`);
  const rows = images.map(({ absolutePath, split, group: _, ...labels }): ManifestRow => {
    return { path: pathInManifest(out, absolutePath), split, ...labels };
  });
  const counts = countLabels(rows);
  const record = recordPath(out);
  await writeManifest(out, rows);
  const content = {
    kind,
    fractions,
    seed,
    ...details,
    counts,
    damaged: damaged.map(({ path, error }) => ({ path: pathInManifest(out, path), error })),
  };
  await replaceSharedFile(record, `${JSON.stringify(content, null, 2)}\n`);
  await (await ImportJournal.open(out)).remove();
  return { kind, manifest: out, record, counts, damaged, ignored, details, notes };
}

/** @throws Error where `out` is a file that an import would lose: what it reads, or what no import wrote. */
export function checkManifestOut(out: string, source: string): void {
  if (!existsSync(out)) return;
  const isSource = existsSync(source) && realpathSync(out) === realpathSync(source);
  if (isSource || !existsSync(recordPath(out))) {
    const why = isSource ? "is what is to be read" : "is there, and no import wrote it";
    throw new Error(`--out ${out}: ${why}; give another name${isSource ? "" : ", or delete it"}`);
  }
}

/** `x/manifest.csv` → `x/manifest.import.json`. */
export function recordPath(manifest: string): string {
  return `${manifest.replace(/\.csv$/i, "")}.import.json`;
}

/** The table that an import ends with, and what was left out. */
export function formatImport({ kind, manifest, record, counts, damaged, ignored, notes }: ImportReport): string {
  const published = publishedSet(kind);
  return [
    `import ${kind}: ${manifest}`,
    formatCounts(counts),
    ...(published === null ? [] : [formatPublished(published, counts)]),
    ...notes,
    ...damaged.slice(0, MOST_LISTED).map(({ path, error }) => `damaged, left out: ${path}: ${error}`),
    ...(damaged.length > MOST_LISTED ? [`… and ${damaged.length - MOST_LISTED} more, in ${record}`] : []),
    ...(ignored.length > 0 ? [`${ignored.length} other files were ignored, such as ${ignored[0]}`] : []),
  ].join("\n");
}

const MOST_LISTED = 20;

const IMAGE_NAME = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif)$/i;

/** Whether a file's name is an image's; hidden files never are. */
export function isImageName(name: string): boolean {
  return IMAGE_NAME.test(name) && !name.startsWith(".");
}

/** @throws Error unless `folder` is one. */
export async function requireFolder(kind: string, folder: string): Promise<string> {
  const found = await stat(folder).catch(() => null);
  if (!found?.isDirectory()) throw new Error(`import ${kind}: ${folder} is not a folder`);
  return resolve(folder);
}
