/** What the paths given to `predict` stand for: files, folders with all below them, globs. */
import { stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { glob, isDynamicPattern } from "tinyglobby";
import { compareCodePoints } from "../data/classes.ts";
import { isImageName } from "../data/import.ts";

/** An image to read, or why a path stands for none. */
export interface FoundPath {
  readonly path: string;
  readonly error: string | null;
}

/**
 * The images in the order of the paths, those of a folder or a glob sorted. A file is taken whatever its name, in a
 * folder and by a glob only what is an image by its name. A path that stands for nothing is kept with its error.
 */
export async function expandPaths(paths: readonly string[]): Promise<FoundPath[]> {
  const found: FoundPath[] = [];
  for (const path of paths) {
    const { images, error } = await expandPath(path);
    found.push(...images.map((image) => ({ path: image, error: null })));
    if (images.length === 0) found.push({ path, error });
  }
  return found;
}

async function expandPath(path: string): Promise<{ images: string[]; error: string }> {
  // A name may hold a glob's characters: what is there is meant as it is.
  const there = await stat(path).catch(() => null);
  if (there?.isDirectory()) {
    const inside = await glob("**/*", { cwd: path });
    return { images: imagesOf(inside.map((file) => join(path, file))), error: "there is no image in this folder" };
  }
  if (there) return { images: [path], error: "" };
  if (!isDynamicPattern(path)) return { images: [], error: "there is no such file" };
  const matching = await glob(path, { absolute: isAbsolute(path), expandDirectories: false });
  return { images: imagesOf(matching), error: "matches no image" };
}

function imagesOf(files: readonly string[]): string[] {
  return files.filter((file) => isImageName(file.slice(file.lastIndexOf("/") + 1))).sort(compareCodePoints);
}
