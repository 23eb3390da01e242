import { EIGHT_EMOTIONS } from "./classes.ts";
import type { ImportOptions, ImportReport } from "./import.ts";
import { importClassFolders } from "./import-folder.ts";

/**
 * Imports FI (You et al., AAAI 2016): DIR/EMOTION/image.jpg for each of the eight emotions, or the same below train,
 * val and test.
 * @throws Error where a folder is named otherwise, or an emotion has none.
 */
export async function importFi(source: string, options: ImportOptions): Promise<ImportReport> {
  return importClassFolders("fi", source, options, (emotions) => {
    const foreign = emotions.find((name) => !EIGHT_EMOTIONS.includes(name));
    if (foreign !== undefined) {
      throw new Error(`import fi: ${source} has a folder "${foreign}", which is none of ${EIGHT_EMOTIONS.join(", ")}`);
    }
    const missing = EIGHT_EMOTIONS.filter((name) => !emotions.includes(name));
    if (missing.length > 0) throw new Error(`import fi: ${source} has no image in a folder ${missing.join(", ")}`);
  });
}
