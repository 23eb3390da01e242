import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CsvError, decodeUtf8, parseCsv } from "./csv.ts";
import {
  assignSplits,
  type FoundImage,
  finishImport,
  type ImportOptions,
  type ImportReport,
  requireFolder,
  sortOutDamaged,
} from "./import.ts";
import type { AesLabel, Labels } from "./labels.ts";
import { type Cell, parseNumber } from "./manifest.ts";

/** A photograph of OASIS with its mean ratings, each from 1 to 7. */
export interface OasisPhoto {
  absolutePath: string;
  /** "Acorns 1". */
  theme: string;
  /** The theme without its number: related pictures, never divided between splits. */
  group: string;
  beauty: number;
  valence: number;
  arousal: number;
}

/** At or above is high, pleasant, aroused. */
export interface OasisThresholds {
  beauty: number;
  valence: number;
  arousal: number;
}

/**
 * Imports DIR/oasis.csv and DIR/oasis/. The split is by group and stratified by what the labels would be with the
 * medians of all photographs; the labels themselves come from the medians of the training split alone.
 * @throws CsvError for a column that is missing or a rating that is none; Error where the files are not there.
 */
export async function importOasis(source: string, options: ImportOptions): Promise<ImportReport> {
  const photos = await readOasis(source);
  const overall = oasisThresholds(photos);
  const found = photos.map((photo): FoundImage & { photo: OasisPhoto } => {
    return { absolutePath: photo.absolutePath, split: null, group: photo.group, ...oasisLabels(photo, overall), photo };
  });
  const { sound, damaged } = await sortOutDamaged(found, options);
  const divided = assignSplits(sound, options);
  const thresholds = oasisThresholds(divided.filter(({ split }) => split === "train").map(({ photo }) => photo));
  const images = divided.map(({ photo, split }) => ({
    absolutePath: photo.absolutePath,
    split,
    ...oasisLabels(photo, thresholds),
  }));
  return finishImport(
    { kind: "oasis", images, damaged, details: { group: "theme without its number", thresholds } },
    options,
  );
}

/** The photographs of DIR in the table's order. */
export async function readOasis(source: string): Promise<OasisPhoto[]> {
  const folder = await requireFolder("oasis", source);
  const file = join(source, "oasis.csv");
  const content = await readFile(file).catch((error: Error) => {
    throw new Error(`import oasis: ${file} cannot be read: ${error.message}`, { cause: error });
  });
  const { header, rows } = parseCsv(decodeUtf8(content, file), file);
  const columns = ["file", "theme", "beauty_mean", "valence_mean", "arousal_mean"];
  for (const column of columns) {
    if (!header.includes(column)) throw new CsvError({ file, line: 1, column }, "the column is missing");
  }
  return rows.map(({ line, values }) => {
    const cell = (column: string): Cell => ({ file, line, column, value: values[header.indexOf(column)]! });
    const theme = cell("theme").value.trim();
    if (theme === "") throw new CsvError(cell("theme"), "must not be empty");
    return {
      absolutePath: join(folder, "oasis", cell("file").value),
      theme,
      group: themeGroup(theme),
      beauty: parseRating(cell("beauty_mean")),
      valence: parseRating(cell("valence_mean")),
      arousal: parseRating(cell("arousal_mean")),
    };
  });
}

/** "Acorns 1" → "Acorns". */
export function themeGroup(theme: string): string {
  return theme.replace(/\s*\d+$/, "");
}

/** The medians of these photographs' ratings. */
export function oasisThresholds(photos: readonly OasisPhoto[]): OasisThresholds {
  return {
    beauty: median(photos.map(({ beauty }) => beauty)),
    valence: median(photos.map(({ valence }) => valence)),
    arousal: median(photos.map(({ arousal }) => arousal)),
  };
}

/** aes_score = 1 + 1.5 · (beauty − 1), from 1 to 10; the label and the quadrant of valence and arousal by threshold. */
export function oasisLabels(photo: OasisPhoto, thresholds: OasisThresholds): Labels {
  const aesLabel: AesLabel = photo.beauty >= thresholds.beauty ? "high" : "low";
  const valence = photo.valence >= thresholds.valence ? "pleasant" : "unpleasant";
  const arousal = photo.arousal >= thresholds.arousal ? "aroused" : "calm";
  return { aesScore: 1 + 1.5 * (photo.beauty - 1), aesLabel, emotion: `${valence}-${arousal}` };
}

function parseRating(cell: Cell): number {
  const rating = parseNumber(cell);
  if (rating < 1 || rating > 7) throw new CsvError(cell, "must lie from 1 to 7");
  return rating;
}

/** The middle value, or the mean of the middle two; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
