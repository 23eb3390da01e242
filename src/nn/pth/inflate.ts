/**
 * Decompression of a raw deflate stream (RFC 1951) into exactly as many bytes as were announced.
 *
 * Written out because nothing else keeps both promises of this folder: it runs wherever TypeScript does (Node 20.11 has no
 * `deflate-raw`), and it stops at the first byte beyond the announced size instead of growing a buffer.
 */
import { PthError } from "./fault.ts";

const damaged = (what: string) => new PthError("damaged deflate stream", what);

/** @throws PthError where the stream is malformed, or gives another number of bytes. */
export function inflate(source: Uint8Array, size: number): Uint8Array {
  const bits = new Bits(source);
  const out = new Uint8Array(size);
  const dynamic = new DynamicCodes();
  let at = 0;
  for (let isLast = false; !isLast; ) {
    isLast = bits.take(1) === 1;
    const kind = bits.take(2);
    if (kind === 0) {
      const stored = bits.takeStored();
      if (stored.length > size - at) throw damaged(`more than the ${size} bytes announced`);
      out.set(stored, at);
      at += stored.length;
    } else if (kind === 3) throw damaged("a block of an unknown kind");
    else at = inflateBlock(bits, kind === 1 ? fixedCodes : dynamic.read(bits), out, at);
  }
  if (at < size) throw damaged(`${at} bytes, where ${size} were announced`);
  bits.end();
  return out;
}

/** Literals and copies up to the block's end; returns the position behind them. */
function inflateBlock(bits: Bits, { literals, distances }: Codes, out: Uint8Array, at: number): number {
  for (;;) {
    const symbol = literals.read(bits);
    if (symbol === 256) return at;
    if (symbol < 256) {
      if (at === out.length) throw damaged(`more than the ${out.length} bytes announced`);
      out[at++] = symbol;
      continue;
    }
    if (symbol > 285) throw damaged(`length symbol ${symbol}`);
    const length = lengthBase[symbol - 257]! + bits.take(lengthBits[symbol - 257]!);
    const code = distances.read(bits);
    if (code > 29) throw damaged(`distance symbol ${code}`);
    const distance = distanceBase[code]! + bits.take(distanceBits[code]!);
    if (distance > at) throw damaged("a copy from before the first byte");
    if (length > out.length - at) throw damaged(`more than the ${out.length} bytes announced`);
    // One by one: a copy may overlap what it writes.
    for (const end = at + length; at < end; at++) out[at] = out[at - distance]!;
  }
}

// The lengths and distances that symbols stand for: 4 (or 2) to each number of extra bits; length 258 has a symbol alone.
const lengthBits = [...Array.from({ length: 28 }, (_, i) => Math.max(0, (i >> 2) - 1)), 0];
const lengthBase = [...lengthBits.keys()].map((i) =>
  i === 28 ? 258 : i < 8 ? i + 3 : ((4 + (i & 3)) << lengthBits[i]!) + 3,
);
const distanceBits = Array.from({ length: 30 }, (_, i) => Math.max(0, (i >> 1) - 1));
const distanceBase = distanceBits.map((extra, i) => (i < 4 ? i + 1 : ((2 + (i & 1)) << extra) + 1));

interface Codes {
  literals: Huffman;
  distances: Huffman;
}

const codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** The codes of a dynamic block, which come with it: their lengths are themselves Huffman coded, with runs. */
class DynamicCodes implements Codes {
  // Filled again by every block: a stream of tiny blocks must not allocate.
  readonly literals = new Huffman();
  readonly distances = new Huffman();
  readonly #code = new Huffman();
  readonly #order = new Uint8Array(19);
  readonly #lengths = new Uint8Array(288 + 32);

  read(bits: Bits): Codes {
    const literals = bits.take(5) + 257;
    const lengths = this.#lengths.subarray(0, literals + bits.take(5) + 1);
    this.#order.fill(0);
    for (let i = 0, n = bits.take(4) + 4; i < n; i++) this.#order[codeLengthOrder[i]!] = bits.take(3);
    const code = this.#code.set(this.#order);
    for (let i = 0; i < lengths.length; ) {
      const symbol = code.read(bits);
      if (symbol < 16) lengths[i++] = symbol;
      else {
        if (symbol === 16 && i === 0) throw damaged("a repetition of nothing");
        const value = symbol === 16 ? lengths[i - 1]! : 0;
        const run = symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
        if (run > lengths.length - i) throw damaged("more code lengths than codes");
        lengths.fill(value, i, i + run);
        i += run;
      }
    }
    if (lengths[256] === 0) throw damaged("a block without an end");
    this.literals.set(lengths.subarray(0, literals));
    this.distances.set(lengths.subarray(literals));
    return this;
  }
}

/** Codes up to this length are looked up; building the table is the cost of a block, so it stays small. */
const fastBits = 9;

/** A canonical Huffman code. */
class Huffman {
  /** By the next bits of the stream: symbol · 16 + code length, 0 where the code is longer. */
  readonly #fast = new Uint16Array(1 << fastBits);
  /** How many codes of each length there are, and the symbols in the order of their codes. */
  readonly #count = new Uint16Array(16);
  readonly #symbols = new Uint16Array(288);
  readonly #next = new Uint16Array(16);
  readonly #first = new Uint16Array(16);

  /** @param lengths Of the symbols' codes; 0 for a symbol that has none. */
  set(lengths: Uint8Array): this {
    this.#fast.fill(0);
    this.#count.fill(0);
    for (const length of lengths) this.#count[length]!++;
    const codes = lengths.length - this.#count[0]!;
    this.#count[0] = 0;
    const next = this.#next;
    const first = this.#first;
    let left = 1;
    for (let length = 1, code = 0, index = 0; length < 16; length++) {
      code = (code + this.#count[length - 1]!) << 1;
      next[length] = code;
      first[length] = index;
      index += this.#count[length]!;
      left = left * 2 - this.#count[length]!;
      if (left < 0) throw damaged("more codes than their lengths have room for");
    }
    // A block with one distance (or none) is the only one whose code may leave combinations unused.
    if (left > 0 && codes !== this.#count[1]!) throw damaged("an incomplete code");
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol]!;
      if (length === 0) continue;
      this.#symbols[first[length]!++] = symbol;
      const code = next[length]!++;
      if (length > fastBits) continue;
      for (let i = reverse(code, length); i < 1 << fastBits; i += 1 << length) this.#fast[i] = symbol * 16 + length;
    }
    return this;
  }

  read(bits: Bits): number {
    const peeked = bits.peek();
    const entry = this.#fast[peeked & ((1 << fastBits) - 1)]!;
    if (entry !== 0) {
      bits.drop(entry & 15);
      return entry >> 4;
    }
    for (let length = 1, code = 0, first = 0, index = 0; length < 16; length++) {
      code |= (peeked >> (length - 1)) & 1;
      const count = this.#count[length]!;
      if (code - first < count) {
        bits.drop(length);
        return this.#symbols[index + code - first]!;
      }
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw damaged("bits that are no code");
  }
}

function reverse(code: number, length: number): number {
  let reversed = 0;
  for (let i = 0; i < length; i++) reversed |= ((code >> i) & 1) << (length - 1 - i);
  return reversed;
}

/** Bits from the least significant of each byte on. */
class Bits {
  readonly #source: Uint8Array;
  #at = 0;
  #hold = 0;
  #held = 0;

  constructor(source: Uint8Array) {
    this.#source = source;
  }

  take(count: number): number {
    this.#fill();
    const value = this.#hold & ((1 << count) - 1);
    this.drop(count);
    return value;
  }

  /** The next 15 bits or more, zeros behind the end. */
  peek(): number {
    this.#fill();
    return this.#hold;
  }

  drop(count: number): void {
    if (count > this.#held) throw damaged("it ends too early");
    this.#hold >>>= count;
    this.#held -= count;
  }

  /** A stored block: from the next whole byte on, its length, the length's complement, and so many bytes. */
  takeStored(): Uint8Array {
    this.drop(this.#held & 7);
    const length = this.take(16);
    if (this.take(16) !== (length ^ 0xffff)) throw damaged("a stored block whose length is not confirmed");
    const begin = this.#at - this.#held / 8;
    if (length > this.#source.length - begin) throw damaged("it ends too early");
    this.#at = begin + length;
    this.#hold = 0;
    this.#held = 0;
    return this.#source.subarray(begin, this.#at);
  }

  /** @throws PthError where whole bytes are left. */
  end(): void {
    const left = this.#source.length - this.#at + (this.#held >> 3);
    if (left > 0) throw damaged(`${left} bytes behind its end`);
  }

  /** At least 16 bits, while there are any. */
  #fill(): void {
    while (this.#held < 16 && this.#at < this.#source.length) {
      this.#hold |= this.#source[this.#at++]! << this.#held;
      this.#held += 8;
    }
  }
}

const fixedCodes: Codes = {
  literals: new Huffman().set(
    Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
  ),
  distances: new Huffman().set(new Uint8Array(32).fill(5)),
};
