import { Random } from "../../../random.ts";
import { eightEmotions } from "../classes.ts";
import { type aestheticFactors, combine, type Factors, normal, sharedFactors } from "./factors.ts";

/** The eight emotions in the order of every manifest: four positive, then four negative ones. */
export const emotions: typeof eightEmotions = eightEmotions;
export type Emotion = (typeof emotions)[number];
export const positiveEmotions: readonly Emotion[] = emotions.slice(0, 4);

type Shared = Record<(typeof sharedFactors)[number], number>;

/** How factors become labels; all weights are directions, and only their ratios matter. */
export interface LabelOptions {
  /**
   * Correlation over images of the two tasks' readings of the shared factors, 0 to 1.
   *
   * Aesthetics reads u = a·s and emotion v = (ρ·a + √(1 − ρ²)·b)·s, s being the three shared factors, a the unit vector
   * of `sharedWeights.aesthetics` and b that of `sharedWeights.emotion` made orthogonal to a. Both readings are standard
   * normal and corr(u, v) = ρ exactly. Images do not depend on ρ, only labels do.
   */
  rho: number;
  sharedWeights: { aesthetics: Shared; emotion: Shared };
  /** Share of the variance of the aesthetic latent (before noise) that the shared factors explain, 0 to 1. */
  aestheticShared: number;
  aestheticWeights: Record<(typeof aestheticFactors)[number], number>;
  /** Share of the variance of valence (before noise) that the shared factors explain, 0 to 1; hue explains the rest. */
  valenceShared: number;
  /** Standard deviation of what no factor explains, in the aesthetic latent and in each emotional one (of deviation 1). */
  aestheticNoise: number;
  emotionNoise: number;
  raters: number;
  /** Deviations, in points of score, of a rater's severity and of a single judgement. */
  raterBias: number;
  raterNoise: number;
  /** A judgement is scoreMean + scoreDeviation · latent + bias + noise, rounded to 1, 4, 7 or 10. */
  scoreMean: number;
  scoreDeviation: number;
}

export const defaultLabelOptions: LabelOptions = {
  rho: 0.5,
  sharedWeights: {
    aesthetics: { contrast: 3, saturation: 3, key: 2 },
    emotion: { contrast: 0, saturation: 1, key: 2 },
  },
  aestheticShared: 0.4,
  aestheticWeights: { placement: 2, sharpness: 3, clutter: -3 },
  valenceShared: 0.5,
  aestheticNoise: 0.25,
  emotionNoise: 0.25,
  raters: 10,
  raterBias: 0.6,
  raterNoise: 1.6,
  scoreMean: 5.32,
  scoreDeviation: 1.5,
};

/** What an oracle that knows the factors knows: the latents without noise, each standard normal over images. */
export interface Latents {
  aesthetic: number;
  valence: number;
  arousal: number;
  dominance: number;
}

export interface Labels {
  /** One score of {1, 4, 7, 10} a rater. */
  ratings: number[];
  /** Mean of the ratings, 1 to 10. */
  aesScore: number;
  aesLabel: "high" | "low";
  emotion: Emotion;
}

/** The unit vectors over (contrast, saturation, key) by which the two tasks read the shared factors. */
export function sharedDirections(options: Pick<LabelOptions, "rho" | "sharedWeights">): {
  aesthetics: Shared;
  emotion: Shared;
} {
  const { rho, sharedWeights } = options;
  if (!(rho >= 0 && rho <= 1)) throw new RangeError(`synth: rho is ${rho} but a correlation from 0 to 1 is expected`);
  const a = unit(sharedFactors.map((name) => sharedWeights.aesthetics[name]));
  const raw = sharedFactors.map((name) => sharedWeights.emotion[name]);
  const b = unit(raw.map((x, i) => x - dot(raw, a) * a[i]!));
  const e = a.map((x, i) => rho * x + Math.sqrt(1 - rho * rho) * b[i]!);
  const named = (v: number[]) => Object.fromEntries(sharedFactors.map((name, i) => [name, v[i]])) as Shared;
  return { aesthetics: named(a), emotion: named(e) };
}

/** The four latents that the factors determine. */
export function latents(factors: Factors, options: LabelOptions): Latents {
  const { placement, sharpness, clutter } = options.aestheticWeights;
  const [p, s, c] = unit([placement, sharpness, clutter]);
  const reading = sharedDirections(options);
  return {
    aesthetic: mix(
      combine(reading.aesthetics, factors),
      p! * factors.placement + s! * factors.sharpness + c! * factors.clutter,
      options.aestheticShared,
    ),
    valence: mix(combine(reading.emotion, factors), factors.hue, options.valenceShared),
    arousal: factors.jaggedness,
    dominance: factors.texture,
  };
}

/**
 * The emotion of an octant of the space of valence, arousal and dominance, after Mehrabian's temperament model
 * (1996): exuberant, dependent, relaxed, docile; hostile, anxious, disdainful, bored.
 */
export function emotionOf({ valence, arousal, dominance }: Omit<Latents, "aesthetic">): Emotion {
  if (valence >= 0) {
    if (arousal >= 0) return dominance >= 0 ? "excitement" : "awe";
    return dominance >= 0 ? "amusement" : "contentment";
  }
  if (arousal >= 0) return dominance >= 0 ? "anger" : "fear";
  return dominance >= 0 ? "disgust" : "sadness";
}

/** The severities of a set's raters: normal of deviation `raterBias`, shifted so that they sum to zero. */
export function drawRaters(seed: number, options: Pick<LabelOptions, "raters" | "raterBias">): number[] {
  if (!(Number.isInteger(options.raters) && options.raters >= 1))
    throw new RangeError(`synth: ${options.raters} raters, but at least one is needed`);
  const random = new Random(seed, "synth raters");
  const biases = Array.from({ length: options.raters }, () => options.raterBias * normal(random));
  const mean = biases.reduce((sum, x) => sum + x, 0) / biases.length;
  return biases.map((x) => x - mean);
}

/** Both labels of a scene; `random` gives the noise of its latents and of the raters' judgements. */
export function labelScene(factors: Factors, options: LabelOptions, raterBiases: number[], random: Random): Labels {
  const truth = latents(factors, options);
  const emotion = emotionOf({
    valence: truth.valence + options.emotionNoise * normal(random),
    arousal: truth.arousal + options.emotionNoise * normal(random),
    dominance: truth.dominance + options.emotionNoise * normal(random),
  });
  const aesthetic = truth.aesthetic + options.aestheticNoise * normal(random);
  const impression = options.scoreMean + options.scoreDeviation * aesthetic;
  const ratings = raterBiases.map((bias) => quantise(impression + bias + options.raterNoise * normal(random)));
  const aesScore = ratings.reduce((sum, x) => sum + x, 0) / ratings.length;
  return { ratings, aesScore, aesLabel: aesScore >= 5 ? "high" : "low", emotion };
}

/** The nearest of the four quality levels Bad 1, Fair 4, Good 7 and Excellent 10. */
function quantise(score: number): number {
  return 1 + 3 * Math.min(3, Math.max(0, Math.round((score - 1) / 3)));
}

/** √share · shared + √(1 − share) · own: of deviation 1 when both are. */
function mix(shared: number, own: number, share: number): number {
  if (!(share >= 0 && share <= 1)) throw new RangeError(`synth: share of variance ${share} is not within 0 to 1`);
  return Math.sqrt(share) * shared + Math.sqrt(1 - share) * own;
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}

function unit(v: number[]): number[] {
  const norm = Math.sqrt(dot(v, v));
  if (!(norm > 1e-9))
    throw new RangeError(`synth: weights [${v}] have no direction (zero, or parallel to the other task's)`);
  return v.map((x) => x / norm);
}
