/**
 * IAE's second form, the archive: images/ with files named 0 to 22085, and for each split the lists of labels,
 * `train_aes_list.txt` and `train_emo_list.txt`, with "ID LABEL" on each line. A label is a number (0 low, 1 high; the
 * emotion's place in IAE's order) or its name.
 */
import { readdir } from "node:fs/promises";
import { join, parse } from "node:path";
import { compareCodePoints, EIGHT_EMOTIONS, normaliseEmotion } from "./classes.ts";
import { CsvError } from "./csv.ts";
import type { IaeSource } from "./iae-source.ts";
import { type FoundImage, isImageName, requireFolder } from "./import.ts";
import { type AesLabel, SPLITS, type Split } from "./labels.ts";
import { parseCount, readFields } from "./text-lines.ts";

const TASKS = {
  aes: { names: ["low", "high"], normalise: (name: string) => name.trim().toLowerCase() },
  emo: { names: EIGHT_EMOTIONS, normalise: normaliseEmotion },
} as const;
type Task = keyof typeof TASKS;

interface Listed {
  label: string;
  split: Split;
  file: string;
  line: number;
}

/** @throws CsvError for a line that is not "ID LABEL", an id in two lists of one task, or splits that differ by task. */
export async function readIaeArchive(source: string, splits: "published" | "random"): Promise<IaeSource> {
  const folder = await requireFolder("iae", source);
  const aes = await readLists(folder, "aes");
  const emo = await readLists(folder, "emo");
  const files = await imageFiles(folder);
  const ids = [...new Set([...aes.keys(), ...emo.keys()])].sort((a, b) => a - b);
  if (ids.length === 0) throw new Error(`import iae: the lists of ${source} are empty`);
  const images = ids.map((id): FoundImage => {
    const [a, e] = [aes.get(id), emo.get(id)];
    if (splits === "published" && a && e && a.split !== e.split) {
      throw new CsvError(
        { file: e.file, line: e.line, column: "id", value: String(id) },
        `stands in ${a.file}:${a.line}, too, but an image has one split; --splits random draws splits anew`,
      );
    }
    return {
      // A file that is not there is reported like any other missing image.
      absolutePath: files.get(id) ?? join(folder, "images", `${id}.jpg`),
      split: splits === "published" ? (a ?? e)!.split : null,
      aesScore: null,
      aesLabel: (a?.label as AesLabel | undefined) ?? null,
      emotion: e?.label ?? null,
    };
  });
  const listed = new Set(ids);
  const ignored = [...files].flatMap(([id, file]) => (listed.has(id) ? [] : [file]));
  return { form: "archive", images, ids, count: ids.at(-1)! + 1, folder, ignored };
}

/** The lists of a task: by id, its label and where it stands. */
async function readLists(folder: string, task: Task): Promise<Map<number, Listed>> {
  const listed = new Map<number, Listed>();
  for (const split of SPLITS) {
    const file = join(folder, `${split}_${task}_list.txt`);
    for await (const { line, fields } of readFields(file)) {
      if (fields.length !== 2)
        throw new CsvError({ file, line }, `"ID LABEL" is expected, not ${fields.length} fields`);
      const id = parseCount(fields[0]!, { file, line }, "id");
      const before = listed.get(id);
      if (before !== undefined) {
        throw new CsvError(
          { file, line, column: "id", value: String(id) },
          `stands in ${before.file}:${before.line} already`,
        );
      }
      listed.set(id, { label: parseLabel(fields[1]!, task, { file, line }), split, file, line });
    }
  }
  return listed;
}

function parseLabel(text: string, task: Task, at: { file: string; line: number }): string {
  const { names, normalise } = TASKS[task];
  const label = /^\d+$/.test(text) ? names[Number(text)] : names.find((name) => name === normalise(text));
  if (label === undefined) {
    throw new CsvError(
      { ...at, column: "label", value: text },
      `must be 0 to ${names.length - 1} or ${names.join(", ")}`,
    );
  }
  return label;
}

/** The files of images/ by their number, in order. @throws Error where two have the same one. */
async function imageFiles(folder: string): Promise<Map<number, string>> {
  const found: [number, string][] = [];
  for (const name of (await readdir(join(folder, "images"))).filter(isImageName).sort(compareCodePoints)) {
    const stem = parse(name).name;
    if (/^\d+$/.test(stem)) found.push([Number(stem), join(folder, "images", name)]);
  }
  found.sort(([a], [b]) => a - b);
  const twice = found.find(([id], i) => i > 0 && found[i - 1]![0] === id);
  if (twice !== undefined)
    throw new Error(`import iae: two files of ${join(folder, "images")} have the number ${twice[0]}`);
  return new Map(found);
}
