import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { compareCodePoints, EIGHT_EMOTIONS, normaliseEmotion } from "./classes.ts";
import {
  assignSplits,
  type FoundImage,
  finishImport,
  type ImportOptions,
  type ImportReport,
  isImageName,
  requireFolder,
  sortOutDamaged,
} from "./import.ts";

/**
 * Imports ArtPhoto (Machajdik and Hanbury, 2010): files in one folder, the emotion before the first `_` of their names,
 * such as `sad_0123.jpg`.
 * @throws Error where a file's name does not begin with one of the eight emotions, or there is no image.
 */
export async function importArtPhoto(source: string, options: ImportOptions): Promise<ImportReport> {
  const folder = await requireFolder("artphoto", source);
  const names = (await readdir(folder)).sort(compareCodePoints);
  const found = names.filter(isImageName).map((name): FoundImage => {
    const emotion = normaliseEmotion(name.split("_", 1)[0]!);
    if (!name.includes("_") || !EIGHT_EMOTIONS.includes(emotion)) {
      throw new Error(
        `import artphoto: ${join(source, name)}: what stands before the first "_" is none of ${EIGHT_EMOTIONS.join(", ")}`,
      );
    }
    return { absolutePath: join(folder, name), split: null, aesScore: null, aesLabel: null, emotion };
  });
  if (found.length === 0)
    throw new Error(`import artphoto: no image in ${source}, such as ${join(source, "awe_0001.jpg")}`);
  const { sound, damaged } = await sortOutDamaged(found, options);
  const ignored = names.filter((name) => !isImageName(name) && !name.startsWith(".")).map((name) => join(folder, name));
  return finishImport({ kind: "artphoto", images: assignSplits(sound, options), damaged, ignored }, options);
}
