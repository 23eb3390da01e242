/** How an image becomes the network's input, as a checkpoint records it. */
export interface Preprocessing {
  /** Side S of the square crop, in pixels. */
  readonly imageSize: number;
  /** How an image is brought to the size that the crop is taken from. */
  readonly resize: ResizeMode;
  /** Subtracted from x / 255, per RGB channel. */
  readonly mean: readonly [number, number, number];
  /** Then divided by, per RGB channel. */
  readonly deviation: readonly [number, number, number];
}

export const resizeModes = ["squash", "short-side", "none"] as const;
export type ResizeMode = (typeof resizeModes)[number];

export const defaultPreprocessing: Preprocessing = {
  imageSize: 224,
  resize: "squash",
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
};

/** One line of JSON, its keys in a fixed order. */
export function formatPreprocessing({ imageSize, resize, mean, deviation }: Preprocessing): string {
  return JSON.stringify({ image_size: imageSize, resize, mean, deviation });
}

/**
 * Reads what {@link formatPreprocessing} wrote; what is left out has its default.
 *
 * @throws Error naming the member that is not what it has to be.
 */
export function parsePreprocessing(json: string): Preprocessing {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`preprocess: ${json} is not an object`);
  const { image_size, resize, mean, deviation } = { ...toMembers(defaultPreprocessing), ...value };
  if (!Number.isSafeInteger(image_size) || image_size < 1)
    throw new Error(`preprocess: image_size ${JSON.stringify(image_size)} is not a positive integer`);
  if (!resizeModes.includes(resize))
    throw new Error(`preprocess: resize ${JSON.stringify(resize)} is none of ${resizeModes.join(", ")}`);
  if (!isTriple(mean)) throw new Error(`preprocess: mean ${JSON.stringify(mean)} is not three numbers`);
  if (!isTriple(deviation) || deviation.some((number) => number <= 0))
    throw new Error(`preprocess: deviation ${JSON.stringify(deviation)} is not three positive numbers`);
  return { imageSize: image_size, resize, mean, deviation };
}

function toMembers({ imageSize, resize, mean, deviation }: Preprocessing) {
  return { image_size: imageSize, resize, mean, deviation };
}

function isTriple(value: unknown): value is [number, number, number] {
  return Array.isArray(value) && value.length === 3 && value.every((number) => Number.isFinite(number));
}
