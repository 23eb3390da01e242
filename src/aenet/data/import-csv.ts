import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CsvError, type CsvTable, decodeUtf8, parseCsv } from "./csv.ts";
import {
  assignSplits,
  type FoundImage,
  finishImport,
  type ImportOptions,
  type ImportReport,
  sortOutDamaged,
} from "./import.ts";
import { type Cell, parseAesLabel, parseEmotion, parseScore, parseSplit, raterColumnsOf } from "./manifest.ts";

export interface ImportCsvOptions extends ImportOptions {
  /** The column whose equal values stay in one split. */
  group?: string;
}

/** The names that a column may have; the first that the table has is taken. */
const COLUMNS = {
  path: ["path", "file", "image", "filename", "image_path"],
  split: ["split"],
  aesScore: ["aes_score", "score"],
  aesLabel: ["aes_label"],
  emotion: ["emotion", "label"],
} as const;

/**
 * Imports a table: a column of image paths, relative to the table, and any of split, score (1 to 10), aes_label (high,
 * low), emotion and rater_1 to rater_10. Where there is a split column, its values hold.
 * @throws CsvError for a column that is missing or a value against its column's rule; Error where it cannot be read.
 */
export async function importCsv(source: string, options: ImportCsvOptions): Promise<ImportReport> {
  const content = await readFile(source).catch((error: Error) => {
    throw new Error(`import csv: ${source} cannot be read: ${error.message}`, { cause: error });
  });
  const found = readTable(parseCsv(decodeUtf8(content, source), source), source, options.group);
  const { sound, damaged } = await sortOutDamaged(found, options);
  const details = options.group === undefined ? {} : { group: options.group };
  return finishImport({ kind: "csv", images: assignSplits(sound, options), damaged, details }, options);
}

function readTable(table: CsvTable, file: string, groupColumn: string | undefined): FoundImage[] {
  const { header, rows } = table;
  const columnOf = (key: keyof typeof COLUMNS) => COLUMNS[key].find((name) => header.includes(name));
  const pathColumn = columnOf("path");
  if (pathColumn === undefined) {
    throw new CsvError({ file, line: 1 }, `no column of image paths: one of ${COLUMNS.path.join(", ")} is needed`);
  }
  if (groupColumn !== undefined && !header.includes(groupColumn)) {
    throw new CsvError(
      { file, line: 1, column: groupColumn },
      `the group's column is missing; there are ${header.join(", ")}`,
    );
  }
  const raterColumns = raterColumnsOf(header, file);
  const lineOfPath = new Map<string, number>();
  return rows.map(({ line, values }): FoundImage => {
    const cell = (column: string | undefined): Cell => {
      return { file, line, column: column ?? "", value: column === undefined ? "" : values[header.indexOf(column)]! };
    };
    const path = cell(pathColumn);
    if (path.value.trim() === "") throw new CsvError(path, "must not be empty");
    const absolutePath = resolve(dirname(file), path.value);
    const before = lineOfPath.get(absolutePath);
    if (before !== undefined) throw new CsvError(path, `the same path stands on line ${before} already`);
    lineOfPath.set(absolutePath, line);
    const splitColumn = columnOf("split");
    const image: FoundImage = {
      absolutePath,
      split: splitColumn === undefined ? null : parseSplit(cell(splitColumn)),
      aesScore: parseScore(cell(columnOf("aesScore"))),
      aesLabel: parseAesLabel(cell(columnOf("aesLabel"))),
      emotion: parseEmotion(cell(columnOf("emotion"))),
    };
    if (raterColumns.length > 0) image.raters = raterColumns.map((column) => parseScore(cell(column)));
    const group = cell(groupColumn).value.trim();
    if (group !== "") image.group = `group ${group}`; // apart from the paths that stand for images without a group
    return image;
  });
}
