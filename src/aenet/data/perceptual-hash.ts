/**
 * A hash that says how an image looks: the signs of the 128 lowest frequencies of its brightness. Copies that were
 * resized, squashed, encoded anew, made grey or brighter differ in few bits; a crop moves everything, so the more is cut
 * off, the more bits differ. Mirrored and turned copies are other images to it. Pure.
 */

/** The side of the images that are hashed, in pixels. */
const SIDE = 32;

/** Frequencies an axis that are looked at. */
const FREQUENCIES = 16;

/** Bits of a hash. */
export const HASH_BITS = 128;

/** 32-bit words of a hash. */
export const HASH_WORDS: number = HASH_BITS / 32;

/** Brightness that varies less than this (standard deviation, of 255) is noise: there is nothing to see. */
const LEAST_DEVIATION = 2;

/** cosines[u · SIDE + x]: the DCT-II. */
const cosines = Float64Array.from({ length: FREQUENCIES * SIDE }, (_, i) =>
  Math.cos(((2 * (i % SIDE) + 1) * Math.floor(i / SIDE) * Math.PI) / (2 * SIDE)),
);

/** (horizontal, vertical) frequencies, the lowest first, without the mean. */
const order: readonly (readonly [number, number])[] = Array.from({ length: FREQUENCIES ** 2 - 1 }, (_, i) => i + 1)
  .map((i): [number, number] => [i % FREQUENCIES, Math.floor(i / FREQUENCIES)])
  .sort((a, b) => a[0] + a[1] - (b[0] + b[1]) || a[0] - b[0])
  .slice(0, HASH_BITS);

/**
 * The hash of uint8 RGB [32, 32, 3], or null for an image of one colour.
 * Bit i of word w is the frequency 4i + w of the order, so that every word holds low and high ones.
 */
export function perceptualHash(square: Uint8Array): Uint32Array | null {
  const grey = Float64Array.from(
    { length: SIDE * SIDE },
    (_, i) => 0.299 * square[3 * i]! + 0.587 * square[3 * i + 1]! + 0.114 * square[3 * i + 2]!,
  );
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length;
  const variance = grey.reduce((sum, value) => sum + (value - mean) ** 2, 0) / grey.length;
  if (variance < LEAST_DEVIATION ** 2) return null;
  // Rows first: along[y · FREQUENCIES + u] = Σ_x grey[y, x] · cos(u, x).
  const along = new Float64Array(SIDE * FREQUENCIES);
  for (let y = 0; y < SIDE; y++) {
    for (let u = 0; u < FREQUENCIES; u++) {
      let sum = 0;
      for (let x = 0; x < SIDE; x++) sum += grey[y * SIDE + x]! * cosines[u * SIDE + x]!;
      along[y * FREQUENCIES + u] = sum;
    }
  }
  const hash = new Uint32Array(HASH_WORDS);
  order.forEach(([u, v], i) => {
    let sum = 0;
    for (let y = 0; y < SIDE; y++) sum += along[y * FREQUENCIES + u]! * cosines[v * SIDE + y]!;
    if (sum > 0) hash[i % HASH_WORDS]! |= 1 << Math.floor(i / HASH_WORDS);
  });
  return hash;
}

/** In how many of their 128 bits two hashes differ. */
export function hashDistance(a: Uint32Array, b: Uint32Array): number {
  let distance = 0;
  for (let word = 0; word < HASH_WORDS; word++) distance += bitCount(a[word]! ^ b[word]!);
  return distance;
}

/** How many bits of a 32-bit integer are set. */
export function bitCount(bits: number): number {
  bits -= (bits >>> 1) & 0x55555555;
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
