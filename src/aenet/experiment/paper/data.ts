/** The data sets of the paper's experiment as its networks see them: derived manifests below the experiment's folder. */
import { join } from "node:path";
import { checkManifests } from "../../data/check.ts";
import { EIGHT_EMOTIONS } from "../../data/classes.ts";
import { openDataSet } from "../../data/data-set.ts";
import { aestheticLabel, type Split } from "../../data/labels.ts";
import { dataSha256, formatManifest, pathInManifest, type Sample } from "../../data/manifest.ts";
import { packManifest } from "../../data/pack.ts";
import { DEFAULT_FRACTIONS, splitSamples } from "../../data/split.ts";
import { replaceSharedFile } from "../../durable-file.ts";
import type { ResizeMode } from "../../preprocessing.ts";

/** What a job that prepares a data set returns. */
export interface PreparedData {
  /** Relative to the experiment's folder: a manifest, or a pack of it. */
  readonly file: string;
  /** Of the manifest. */
  readonly sha256: string;
  readonly images: Readonly<Record<Split, number>>;
  /** In words, what was done to it. */
  readonly note: string;
}

export interface Packing {
  readonly imageSize: number;
  readonly resize: ResizeMode;
}

/** Reads a manifest's samples. */
export async function samplesOf(file: string): Promise<Sample[]> {
  const dataSet = await openDataSet(file);
  await dataSet.close();
  return dataSet.manifest.samples;
}

/** 70, 10 and 20 % at random, by the seed, each class as frequent in every split. */
export function splitAtRandom(samples: readonly Sample[], seed: number): Sample[] {
  const strata = samples.map((sample) => `${aestheticLabel(sample)} ${sample.emotion}`);
  const splits = splitSamples({ fractions: DEFAULT_FRACTIONS, seed, strata });
  return samples.map((sample, i) => ({ ...sample, split: splits[i]! }));
}

/**
 * FI without what IAE holds out, both as manifests: every image that is in one of `data check`'s groups (same bytes, same
 * look, alike, same name and somewhat alike) with an image of IAE's validation or test split.
 */
export async function withoutHeldOut(
  fi: string,
  iae: string,
  workers: number | undefined,
): Promise<{ samples: Sample[]; excluded: number }> {
  const report = await checkManifests([iae, fi], { sets: [null, null], ...(workers === undefined ? {} : { workers }) });
  const excluded = new Set<string>();
  for (const { places } of [...report.duplicates, ...report.nearDuplicates, ...report.alike, ...report.sameIds]) {
    if (!places.some(({ manifest, split }) => manifest === iae && split !== "train")) continue;
    for (const { manifest, path } of places) if (manifest === fi) excluded.add(path);
  }
  const samples = (await samplesOf(fi)).filter(({ path }) => !excluded.has(path));
  return { samples, excluded: excluded.size };
}

/** Every sample in one split. */
export function allIn(split: Split, samples: readonly Sample[]): Sample[] {
  return samples.map((sample) => ({ ...sample, split }));
}

/** What its splits hold back for tests is trained on, where the set is never tested; validation stays as it is. */
export function withoutTestSplit(samples: readonly Sample[]): Sample[] {
  return samples.map((sample) => (sample.split === "test" ? { ...sample, split: "train" } : sample));
}

/** Only what one task needs; emotions that are none of the eight are dropped. */
export function labelsOf(task: "aes" | "emo", samples: readonly Sample[]): Sample[] {
  return samples.map((sample) => {
    const { path, absolutePath, split } = sample;
    const place = { path, absolutePath, split };
    if (task === "aes") return { ...place, aesScore: sample.aesScore, aesLabel: aestheticLabel(sample), emotion: null };
    const { emotion } = sample;
    return {
      ...place,
      aesScore: null,
      aesLabel: null,
      emotion: emotion !== null && EIGHT_EMOTIONS.includes(emotion) ? emotion : null,
    };
  });
}

/** Writes `data/NAME.csv` below `folder`, and a pack of it where one is wanted. */
export async function writeData(
  folder: string,
  name: string,
  samples: readonly Sample[],
  note: string,
  packing: Packing | null,
): Promise<PreparedData> {
  const file = `data/${name}.csv`;
  const manifest = join(folder, file);
  const text = formatManifest(
    samples.map((sample) => ({ ...sample, path: pathInManifest(manifest, sample.absolutePath) })),
  );
  await replaceSharedFile(manifest, text);
  const images = { train: 0, val: 0, test: 0 };
  for (const { split } of samples) images[split]++;
  const prepared = { file, sha256: dataSha256(text), images, note };
  if (!packing) return prepared;
  const pack = `data/${name}.pack`;
  await packManifest(manifest, { out: join(folder, pack), ...packing });
  return { ...prepared, file: pack };
}
