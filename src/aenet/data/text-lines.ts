import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { CsvError } from "./csv.ts";

/** A line's fields, which white space divides. */
export interface TextLine {
  /** From 1. */
  line: number;
  fields: string[];
}

/** A text file line by line, blank lines left out, so that no file is too long. @throws Error where it cannot be read. */
export async function* readFields(file: string): AsyncGenerator<TextLine> {
  const stream = createReadStream(file, "utf8");
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  let line = 0;
  try {
    for await (const text of lines) {
      line++;
      const fields = text
        .replace(/^\uFEFF/, "")
        .trim()
        .split(/\s+/);
      if (fields[0] !== "") yield { line, fields };
    }
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    stream.destroy();
  }
}

/** A whole number from 0. @throws CsvError for anything else, naming the file, the line and what the number is. */
export function parseCount(text: string, at: { file: string; line: number }, column: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new CsvError({ ...at, column, value: text }, "must be a whole number from 0");
  return value;
}
