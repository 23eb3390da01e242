/** Reading and writing CSV with errors that name the file, the line, the column, the value and the rule. */
import { CsvError as ParserError } from "csv-parse";
import { parse } from "csv-parse/sync";

/** A table that breaks a rule: `file:line: column "x": value "y": rule`. */
export class CsvError extends Error {
  readonly file: string;
  readonly line: number;
  readonly column: string | null;
  readonly value: string | null;
  readonly rule: string;

  constructor(at: { file: string; line: number; column?: string; value?: string }, rule: string) {
    const column = at.column === undefined ? "" : ` column "${at.column}":`;
    const value = at.value === undefined ? "" : ` value "${at.value}":`;
    super(`${at.file}:${at.line}:${column}${value} ${rule}`);
    this.name = "CsvError";
    this.file = at.file;
    this.line = at.line;
    this.column = at.column ?? null;
    this.value = at.value ?? null;
    this.rule = rule;
  }
}

export interface CsvRow {
  /** The line on which the row begins, from 1. */
  line: number;
  /** One value a column of the header. */
  values: string[];
}

export interface CsvTable {
  header: string[];
  rows: CsvRow[];
}

/**
 * Reads a table with a header; blank lines are skipped, a byte order mark is dropped, names in the header are trimmed.
 * @throws CsvError for bad quoting, no header, a column named twice, or a row that is longer or shorter than the header.
 */
export function parseCsv(text: string, file: string): CsvTable {
  const records = parseRecords(text, file);
  if (records.length === 0)
    throw new CsvError({ file, line: 1 }, "the file is empty; its first line names the columns");
  const header = records[0]!.values.map((name) => name.trim());
  header.forEach((name, i) => {
    if (name !== "" && header.indexOf(name) !== i) {
      throw new CsvError({ file, line: records[0]!.line, column: name }, "the column is named twice");
    }
  });
  const rows = records.slice(1);
  for (const { line, values } of rows) {
    if (values.length !== header.length) {
      throw new CsvError(
        { file, line },
        `the row has ${values.length} values but the header names ${header.length} columns`,
      );
    }
  }
  return { header, rows };
}

/** @throws CsvError for bytes that are not UTF-8: their accents would be lost in silence. */
export function decodeUtf8(content: Uint8Array | string, file: string): string {
  if (typeof content === "string") return content;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw new CsvError({ file, line: 1 }, "the file is not UTF-8 text");
  }
}

function parseRecords(text: string, file: string): CsvRow[] {
  try {
    const records: unknown = parse(text, {
      bom: true,
      info: true,
      record_delimiter: ["\r\n", "\n", "\r"], // whatever the first line ends with
      relax_column_count: true,
      skip_empty_lines: true,
    });
    return (records as { info: { lines: number }; record: string[] }[]).map(({ info, record }) => ({
      line: info.lines - record.reduce((breaks, value) => breaks + value.split("\n").length - 1, 0),
      values: record,
    }));
  } catch (error) {
    if (!(error instanceof ParserError)) throw error;
    throw new CsvError({ file, line: Number(error.lines ?? 1) }, error.message);
  }
}

/** One line for each row, with values quoted where they need it (RFC 4180), lines ended by "\n". */
export function formatCsv(rows: readonly (readonly string[])[]): string {
  const quote = (value: string) => (/[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => `${row.map(quote).join(",")}\n`).join("");
}
