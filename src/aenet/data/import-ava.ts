import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CsvError } from "./csv.ts";
import {
  assignSplits,
  type FoundImage,
  finishImport,
  type ImportOptions,
  type ImportReport,
  requireFolder,
  sortOutDamaged,
} from "./import.ts";
import { parseCount, readFields } from "./text-lines.ts";

export interface ImportAvaOptions extends ImportOptions {
  /** The folder of ID.jpg. Default: DIR/images, or else DIR/image. */
  images?: string;
  /** The file with the test split's ids. Default: DIR/aesthetics_image_lists/generic_test.jpgl, or DIR/generic_test.jpgl. */
  testList?: string;
  /** `published` takes the test split from the list; `random` draws it, too. Default `published`. */
  splits?: "published" | "random";
  /** `challenge` keeps a challenge's images in one split, as far as splits are drawn. */
  group?: string;
}

const COLUMNS = 15;
const TEST_LISTS = [join("aesthetics_image_lists", "generic_test.jpgl"), "generic_test.jpgl"];

/**
 * Imports AVA (Murray, Marchesotti and Perronnin, CVPR 2012): DIR/AVA.txt, whose 15 columns are an index, the image's
 * id, how many gave it 1 to 10 points, two tags and the challenge. The score is the votes' mean. The test split is the
 * official list's; the rest is divided in the proportion of the other two shares.
 * @throws CsvError for a line that breaks this or an id that stands twice; Error where a file is not there.
 */
export async function importAva(source: string, options: ImportAvaOptions): Promise<ImportReport> {
  const folder = await requireFolder("ava", source);
  const { splits = "published", group } = options;
  if (group !== undefined && group !== "challenge") {
    throw new Error(`--group ${group}: AVA.txt has the column challenge to group by, and no other`);
  }
  const images = options.images ?? (await firstOf("isDirectory", folder, ["images", "image"]));
  if (images === null) throw new Error(`import ava: ${source} has no folder images; --images says where it is`);
  const listed = splits === "random" ? null : await readTestList(folder, source, options.testList);

  const found: FoundImage[] = [];
  const lineOfId = new Map<number, number>();
  const file = join(source, "AVA.txt");
  for await (const { line, fields } of readFields(join(folder, "AVA.txt"))) {
    const { id, score, challenge } = parseRow(fields, { file, line });
    const before = lineOfId.get(id);
    if (before !== undefined) {
      throw new CsvError({ file, line, column: "image id", value: String(id) }, `stands on line ${before} already`);
    }
    lineOfId.set(id, line);
    const image: FoundImage = {
      absolutePath: join(resolve(images), `${id}.jpg`),
      split: listed?.ids.has(id) ? "test" : null,
      aesScore: score,
      aesLabel: null,
      emotion: null,
    };
    if (group !== undefined) image.group = `challenge ${challenge}`;
    found.push(image);
  }
  if (found.length === 0) throw new Error(`import ava: ${file} is empty`);
  const unknown = listed === null ? [] : [...listed.ids].filter((id) => !lineOfId.has(id));
  if (listed !== null && unknown.length === listed.ids.size) {
    throw new Error(`import ava: no id of ${listed.file} stands in ${file}, such as ${unknown[0]}`);
  }
  const { sound, damaged } = await sortOutDamaged(found, options);
  const notes = [
    listed === null ? "test split drawn at random" : `test split: the ids of ${listed.file}`,
    ...(unknown.length > 0 ? [`${unknown.length} ids of it are not in AVA.txt, such as ${unknown[0]}`] : []),
  ];
  const details = {
    splits,
    ...(listed === null ? {} : { testList: listed.file, testIdsWithoutRow: unknown }),
    ...(group === undefined ? {} : { group }),
  };
  return finishImport({ kind: "ava", images: divide(sound, options), damaged, details, notes }, options);
}

/** With a test split given, only training and validation are drawn, in the proportion of their shares. */
function divide(images: readonly FoundImage[], options: ImportAvaOptions) {
  const [train, val] = options.fractions ?? [0.7, 0.1];
  const isGiven = images.some(({ split }) => split !== null);
  return assignSplits(
    images,
    isGiven ? { ...options, fractions: [train / (train + val), val / (train + val), 0] } : options,
  );
}

function parseRow(fields: readonly string[], at: { file: string; line: number }) {
  if (fields.length !== COLUMNS) {
    throw new CsvError(at, `the line has ${fields.length} columns instead of ${COLUMNS}`);
  }
  const counts = fields.slice(2, 12).map((text, i) => parseCount(text, at, `votes for ${i + 1}`));
  const votes = counts.reduce((sum, count) => sum + count, 0);
  if (votes === 0) throw new CsvError(at, "the image has no votes");
  const points = counts.reduce((sum, count, i) => sum + count * (i + 1), 0);
  return { id: parseCount(fields[1]!, at, "image id"), score: points / votes, challenge: fields[14]! };
}

async function readTestList(folder: string, source: string, given: string | undefined) {
  const file = given ?? (await firstOf("isFile", folder, TEST_LISTS));
  if (file === null) {
    throw new Error(
      `import ava: ${source} has no ${TEST_LISTS.join(" and no ")}; --test-list says where the official test list is, ` +
        "--splits random does without",
    );
  }
  const ids = new Set<number>();
  for await (const { line, fields } of readFields(file)) {
    if (fields.length !== 1) throw new CsvError({ file, line }, "a line of the test list is one image id");
    const id = parseCount(fields[0]!, { file, line }, "image id");
    if (ids.has(id))
      throw new CsvError({ file, line, column: "image id", value: String(id) }, "stands in the list twice");
    ids.add(id);
  }
  if (ids.size === 0) throw new Error(`import ava: the test list ${file} is empty`);
  return { file, ids };
}

async function firstOf(is: "isFile" | "isDirectory", folder: string, names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const entry = await stat(join(folder, name)).catch(() => null);
    if (entry?.[is]()) return join(folder, name);
  }
  return null;
}
