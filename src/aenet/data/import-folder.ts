import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareCodePoints, normaliseEmotion } from "./classes.ts";
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
import { SPLITS, type Split } from "./labels.ts";

/**
 * Imports DIR/EMOTION/…/image.jpg, or DIR/{train,val,test}/EMOTION/…/image.jpg with the splits as they are. The folder's
 * name is the emotion; there is no aesthetics label.
 * @throws Error where DIR is no folder, mixes both forms, or holds no image in such a folder.
 */
export async function importFolder(source: string, options: ImportOptions): Promise<ImportReport> {
  return importClassFolders("folder", source, options);
}

/** As `importFolder`, for a set of another name; `check` may refuse the emotions that were found. */
export async function importClassFolders(
  kind: string,
  source: string,
  options: ImportOptions,
  check: (emotions: string[]) => void = () => {},
): Promise<ImportReport> {
  const root = await requireFolder(kind, source);
  const found: Found = { images: [], ignored: [] };
  const top = await list(root);
  found.ignored.push(...top.files);
  const isSplit = (name: string) => SPLITS.includes(name.toLowerCase() as Split);
  const splitFolders = top.folders.filter(isSplit);
  if (splitFolders.length === 0) {
    for (const name of top.folders) await collectClass(join(root, name), name, null, found);
  } else {
    const others = top.folders.filter((name) => !isSplit(name));
    if (others.length > 0) {
      throw new Error(
        `import ${kind}: ${source} has folders of splits (${splitFolders.join(", ")}) and others (${others.join(", ")})`,
      );
    }
    for (const split of splitFolders) {
      const { folders, files } = await list(join(root, split));
      found.ignored.push(...files);
      for (const name of folders)
        await collectClass(join(root, split, name), name, split.toLowerCase() as Split, found);
    }
  }
  if (found.images.length === 0) {
    throw new Error(
      `import ${kind}: no image in ${source}; a folder for each emotion is expected, such as ${join(source, "awe", "1.jpg")}`,
    );
  }
  check([...new Set(found.images.map(({ emotion }) => emotion!))]);
  const { sound, damaged } = await sortOutDamaged(found.images, options);
  const images = assignSplits(sound, options);
  return finishImport({ kind, images, damaged, ignored: found.ignored }, options);
}

interface Found {
  images: FoundImage[];
  ignored: string[];
}

async function collectClass(folder: string, emotion: string, split: Split | null, found: Found): Promise<void> {
  const { folders, files } = await list(folder);
  for (const path of files) {
    if (!isImageName(path.slice(folder.length + 1))) found.ignored.push(path);
    else
      found.images.push({
        absolutePath: path,
        split,
        aesScore: null,
        aesLabel: null,
        emotion: normaliseEmotion(emotion),
      });
  }
  for (const name of folders) await collectClass(join(folder, name), emotion, split, found);
}

/** Folders' names and files' paths by code point, links followed, hidden ones left out. */
async function list(folder: string): Promise<{ folders: string[]; files: string[] }> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith(".")).sort(compareCodePoints);
  const folders: string[] = [];
  const files: string[] = [];
  for (const name of names) {
    const entry = await stat(join(folder, name)).catch(() => null); // a broken link is reported as a damaged image
    if (entry?.isDirectory()) folders.push(name);
    else files.push(join(folder, name));
  }
  return { folders, files };
}
