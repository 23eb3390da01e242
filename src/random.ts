/**
 * Seeded random numbers in named, independent streams.
 *
 * `new Random(seed, "augment", epoch, row)` gives the same numbers on every machine and whatever else was drawn
 * before, so that data, initialisation and augmentation never disturb each other and any row can be drawn on any worker.
 * The generator is sfc32 (Doty-Humphrey's Small Fast Chaotic, period at least 2^32) seeded by a 128-bit string hash.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, ...stream: (string | number)[]) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`random: seed ${seed} is not an integer`);
    [this.#a, this.#b, this.#c] = hash([seed, ...stream].map((part) => `${typeof part}:${part}`).join("\u0000"));
    for (let i = 0; i < 15; i++) this.uint32();
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    this.#c |= 0;
    return result >>> 0;
  }

  /** A number in [0, 1) with 53 random bits. */
  float(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A number in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.float();
  }

  /** A standard normal number (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.float())) * Math.cos(2 * Math.PI * this.float());
  }

  /** An integer in [0, n). */
  integer(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** The numbers 0 to n − 1 in random order (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

/** 96 bits from a string: three murmur3-style multiply-and-rotate lanes with different constants, then mixed. */
function hash(text: string): [number, number, number] {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  for (let i = 0; i < text.length; i++) {
    const k = text.charCodeAt(i);
    a = Math.imul(a ^ k, 0x85ebca6b);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ k, 0xc2b2ae35);
    b = (b << 17) | (b >>> 15);
    c = Math.imul(c ^ k, 0x27d4eb2f);
    c = (c << 11) | (c >>> 21);
  }
  a ^= b >>> 15;
  b ^= c >>> 13;
  c ^= a >>> 16;
  return [Math.imul(a, 0xcc9e2d51) | 0, Math.imul(b, 0x1b873593) | 0, Math.imul(c, 0x38b34ae5) | 0];
}
