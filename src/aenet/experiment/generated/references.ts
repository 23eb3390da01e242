/** What networks are held against: a regression on colours, which sees no shapes, and an oracle, which sees no pixels. */
import { fitLogistic } from "../../baselines/logistic.ts";
import type { ImageSource } from "../../data/image-source.ts";
import type { Sample } from "../../data/manifest.ts";
import { describeScene, emotionOf, emotions } from "../../data/synth/index.ts";
import type { Answer } from "../answers.ts";

const bins = 8;

/** Histograms of red, green and blue, 8 bins each, of the rows that are labelled; empty for others. */
export async function histogramFeatures(samples: readonly Sample[], source: ImageSource): Promise<number[][]> {
  const features: number[][] = [];
  for (const [row, { emotion }] of samples.entries()) {
    if (emotion === null) {
      features.push([]);
      continue;
    }
    const pixels = await source.read(row);
    const counts = new Array<number>(3 * bins).fill(0);
    for (let i = 0; i < pixels.length; i++) counts[(i % 3) * bins + (pixels[i]! >> 5)]!++;
    features.push(counts);
  }
  return features;
}

/** Answers on the test split of regressions that were fitted to the training split; certain, as only the class is known. */
export function logisticAnswers(
  samples: readonly Sample[],
  features: readonly number[][],
  classes: readonly string[],
): Answer[] {
  const rows = (split: string) =>
    samples.flatMap((sample, row) => (sample.split === split && sample.emotion !== null ? [row] : []));
  const train = rows("train");
  const fitted = (count: number, label: (sample: Sample) => number) =>
    fitLogistic(
      train.map((row) => features[row]!),
      train.map((row) => label(samples[row]!)),
      { classes: count, iterations: 300 },
    );
  const aes = fitted(2, ({ aesLabel }) => Number(aesLabel === "high"));
  const emo = fitted(classes.length, ({ emotion }) => classes.indexOf(emotion!));
  return rows("test").map((row) => ({
    aes: aes.predict(features[row]!),
    emo: oneHot(emo.predict(features[row]!), classes.length),
  }));
}

/**
 * What one who knows the factors says of the test scenes: high where the aesthetic latent gives an impression of at least
 * 5, and the octant of the emotional latents. Only the labels' noise is hidden from it.
 */
export function oracleAnswers(samples: readonly Sample[], seed: number, rho: number): Answer[] {
  return samples.flatMap(({ split }, row) => {
    if (split !== "test") return [];
    const { latents } = describeScene({ seed, rho }, row);
    // Scores scatter evenly about 5.32 + 1.5 · latent, so their mean reaches 5 as likely as not where this does.
    const high = 5.32 + 1.5 * latents.aesthetic >= 5;
    return [{ aes: Number(high), emo: oneHot(emotions.indexOf(emotionOf(latents)), emotions.length) }];
  });
}

function oneHot(index: number, length: number): number[] {
  return Array.from({ length }, (_, i) => Number(i === index));
}
