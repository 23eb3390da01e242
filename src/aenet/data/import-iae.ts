/**
 * IAE (Yu et al., the paper of AENet), in both forms in which it is published: one HDF5 file with everything in it, or
 * the archive of images and lists.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readIaeArchive } from "./iae-archive.ts";
import { extractImages, readIaeHdf5 } from "./iae-hdf5.ts";
import { type IaeScores, readIaeScores } from "./iae-scores.ts";
import type { IaeSource } from "./iae-source.ts";
import {
  assignSplits,
  type FoundImage,
  finishImport,
  type ImportOptions,
  type ImportReport,
  sortOutDamaged,
} from "./import.ts";
import { type AesLabel, labelOfScore, meanRating } from "./labels.ts";

export interface ImportIaeOptions extends ImportOptions {
  /** The file with the ratings; `none` leaves them out. Default: Scores.h5 or scores.h5 beside the rest, where there is one. */
  scores?: string;
  /** `published` takes the archive's splits; `random` draws them. Default `published`, where there are any. */
  splits?: "published" | "random";
  /** A folder that receives the images of the HDF5 form as PNG files. Default: they stay where they are. */
  extract?: string;
}

const HDF5 = "final_aes_emo.h5";
const SCORES = ["Scores.h5", "scores.h5"];

/**
 * @param source The HDF5 file, or a folder that holds it, or the archive's folder with images/ and the lists.
 * @throws Hdf5Error, CsvError or Error naming what is not as it has to be.
 */
export async function importIae(source: string, options: ImportIaeOptions): Promise<ImportReport> {
  const { splits = "published", extract } = options;
  const iae = await readSource(source, splits);
  if (extract !== undefined && iae.form !== "hdf5") {
    throw new Error(`--extract ${extract}: the images of ${source} are files already`);
  }
  if (options.fractions && iae.images.every(({ split }) => split !== null)) {
    const given = `--split ${options.fractions.join(",")}`;
    throw new Error(
      `${given}: the lists of ${source} give the splits; with --splits random they are drawn by these shares`,
    );
  }
  const scores = await findScores(iae.folder, options.scores);
  if (scores !== null && (iae.form === "hdf5" ? scores.count !== iae.count : scores.count < iae.count)) {
    throw new Error(`import iae: ${scores.file} has ratings of ${scores.count} images, but ${source} has ${iae.count}`);
  }
  const rated = iae.images.map((image, i): FoundImage => {
    if (scores === null) return image;
    const raters = scores.raters(iae.ids[i]!);
    return { ...image, aesScore: meanRating(raters), raters };
  });
  const { sound, damaged } = await sortOutDamaged(rated, options);
  const images = assignSplits(sound, options);
  if (extract !== undefined) await extractImages(images, extract, options.onProgress);
  const { details, notes } = compareRatings(rated, scores);
  return finishImport(
    {
      kind: "iae",
      images,
      damaged,
      ignored: iae.ignored,
      details: {
        form: iae.form,
        splits: iae.images.some(({ split }) => split !== null) ? "published" : "random",
        ...details,
      },
      notes,
    },
    options,
  );
}

async function readSource(source: string, splits: "published" | "random"): Promise<IaeSource> {
  const entry = await stat(source).catch(() => null);
  if (entry === null) throw new Error(`import iae: ${source} is not there`);
  if (!entry.isDirectory()) return readIaeHdf5(source, dirname(source));
  const has = async (name: string) => (await stat(join(source, name)).catch(() => null)) !== null;
  const [isHdf5, isArchive] = [await has(HDF5), await has("images")];
  if (isHdf5 && isArchive) {
    throw new Error(
      `import iae: ${source} holds both forms; give ${join(source, HDF5)} for the one, a folder of its own for the other`,
    );
  }
  if (isHdf5) return readIaeHdf5(join(source, HDF5), source);
  if (isArchive) return readIaeArchive(source, splits);
  throw new Error(`import iae: ${source} holds neither ${HDF5} nor the archive's images/ and lists`);
}

async function findScores(folder: string, given: string | undefined): Promise<IaeScores | null> {
  if (given === "none") return null;
  if (given !== undefined) return readIaeScores(given);
  for (const name of SCORES) {
    const file = join(folder, name);
    if ((await stat(file).catch(() => null))?.isFile()) return readIaeScores(file);
  }
  return null;
}

/** How labels and ratings fit together: the published counts differ, and this says which they agree with. */
function compareRatings(images: readonly FoundImage[], scores: IaeScores | null) {
  if (scores === null) return { details: {}, notes: ["no ratings were found beside the labels"] };
  const byRatings: Record<AesLabel, number> = { high: 0, low: 0 };
  let disagreeing = 0;
  for (const { aesLabel, aesScore } of images) {
    const label = labelOfScore(aesScore!);
    byRatings[label]++;
    if (aesLabel !== null && aesLabel !== label) disagreeing++;
  }
  const { wrongTotals } = scores;
  return {
    details: { byRatings, labelsAgainstRatings: disagreeing, wrongTotals },
    notes: [
      `by the raters' means (high from 5): ${byRatings.high} high, ${byRatings.low} low; ` +
        `the labels of ${disagreeing} images say otherwise, and win`,
      ...(wrongTotals.length > 0
        ? [
            `the total of ${wrongTotals.length} images is not the sum of their ratings, such as ${wrongTotals[0]}; it is not used`,
          ]
        : []),
    ],
  };
}
