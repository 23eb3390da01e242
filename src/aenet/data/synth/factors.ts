import type { Random } from "../../../random.ts";

/** Factors that act on both tasks. */
export const sharedFactors = ["contrast", "saturation", "key"] as const;
/** Factors that act on aesthetics alone. */
export const aestheticFactors = ["placement", "sharpness", "clutter"] as const;
/** Factors that act on emotion alone. */
export const emotionFactors = ["hue", "jaggedness", "texture"] as const;
export const factorNames: readonly [...typeof sharedFactors, ...typeof aestheticFactors, ...typeof emotionFactors] = [
  ...sharedFactors,
  ...aestheticFactors,
  ...emotionFactors,
];

export type FactorName = (typeof factorNames)[number];

/**
 * What determines a generated scene and its labels, each a standard normal number over the images of a set.
 *
 * - `contrast`, `saturation`, `key`: spread of brightness, strength of colour, overall brightness
 * - `placement`: from cut off by the frame (−) to standing on a crossing of the thirds (+)
 * - `sharpness`: from blurred (−) to crisp (+); `clutter`: number of small distracting objects
 * - `hue`: from a cool (−) to a warm palette (+); `jaggedness`: from round (−) to spiky outlines (+)
 * - `texture`: strength of the hatching drawn over the picture
 */
export type Factors = Record<FactorName, number>;

/** Independent standard normal factors, rounded to 2⁻²⁰ so that no last bit of a logarithm reaches a pixel or a label. */
export function drawFactors(random: Random): Factors {
  return Object.fromEntries(factorNames.map((name) => [name, normal(random)])) as Factors;
}

/** A standard normal number on the grid of 2⁻²⁰, the same on every machine. */
export function normal(random: Random): number {
  return Math.round(random.normal() * 2 ** 20) / 2 ** 20;
}

/** The weighted sum Σ weights[name] · factors[name]. */
export function combine(weights: Partial<Factors>, factors: Factors): number {
  let sum = 0;
  for (const name of factorNames) sum += (weights[name] ?? 0) * factors[name];
  return sum;
}
