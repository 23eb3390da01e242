/** What a sample says about its image, and how its aesthetics label follows. Pure: also for the browser. */

export type Split = "train" | "val" | "test";
export const SPLITS: readonly Split[] = ["train", "val", "test"];

export type AesLabel = "high" | "low";

export interface Labels {
  /** 1 to 10, or null where none is given. */
  aesScore: number | null;
  /** As given, not derived: see `aestheticLabel`. */
  aesLabel: AesLabel | null;
  /** Normalised name (see `normaliseEmotion`), or null. */
  emotion: string | null;
  /** Single ratings, 1 to 10, null where a rater gave none. */
  raters?: (number | null)[];
}

/** The lowest score that counts as high. */
export const HIGH_FROM = 5;

/** high from 5, else low. */
export function labelOfScore(score: number): AesLabel {
  return score >= HIGH_FROM ? "high" : "low";
}

/** The mean of the ratings that were given, or null. One of 5 is 5, though the sum of its fractions be a rounding below. */
export function meanRating(raters: readonly (number | null)[] | undefined): number | null {
  const given = (raters ?? []).filter((rating) => rating !== null);
  if (given.length === 0) return null;
  const mean = given.reduce((sum, rating) => sum + rating, 0) / given.length;
  return Math.abs(mean - Math.round(mean)) < 1e-9 ? Math.round(mean) : mean;
}

/** `aes_score`, or else the raters' mean, or null. */
export function aestheticScore(labels: Labels): number | null {
  return labels.aesScore ?? meanRating(labels.raters);
}

/** `aes_label` where it is given; else from `aes_score`; else from the raters' mean; else null. */
export function aestheticLabel(labels: Labels): AesLabel | null {
  if (labels.aesLabel !== null) return labels.aesLabel;
  const score = aestheticScore(labels);
  return score === null ? null : labelOfScore(score);
}

/** Whether the label, the score and the raters' mean, where given, say different things. */
export function labelsDisagree(labels: Labels): boolean {
  const said = new Set<AesLabel>();
  if (labels.aesLabel !== null) said.add(labels.aesLabel);
  if (labels.aesScore !== null) said.add(labelOfScore(labels.aesScore));
  const mean = meanRating(labels.raters);
  if (mean !== null) said.add(labelOfScore(mean));
  return said.size > 1;
}
