/**
 * Which of many hashes lie close together, without comparing all pairs.
 *
 * A hash is cut into 8 bands of 16 bits. Two hashes that differ in at most 23 bits differ in at most 2 bits of some
 * band (were it 3 in each, it would be 24), so a hash need only be compared with those that lie in the 137 buckets
 * around it in some band. None is missed.
 */
import { bitCount, HASH_WORDS } from "./perceptual-hash.ts";

/**
 * Two images that differ in at most so many of the 128 bits are copies: resizing and encoding anew change no more.
 * Unrelated photographs differ in 64 ± 6.
 */
export const COPY_DISTANCE = 11;

/** Up to so many, they are alike and may be copies: a crop of 2 % on every side changes up to as many. */
export const ALIKE_DISTANCE = 23;

const BANDS = 8;
const BUCKETS = 1 << 16;

/** Hashes, by their places in the list that was given, that short steps link. */
export interface NearGroup {
  members: number[];
  /** The longest of the steps that link them. */
  distance: number;
}

export interface NearGroups {
  /** Linked by steps of at most `COPY_DISTANCE` bits. */
  copies: NearGroup[];
  /** Linked by steps of at most `ALIKE_DISTANCE` bits, and not all of them copies. */
  alike: NearGroup[];
}

/** Groups of at least two, members and groups in ascending order. null stands for an image that is like no other. */
export function findNearGroups(hashes: readonly (Uint32Array | null)[]): NearGroups {
  // Equal hashes are put together first: however many there are, they are one to the index.
  const membersOf = new Map<string, number[]>();
  hashes.forEach((hash, i) => {
    if (hash === null) return;
    const members = membersOf.get(hash.join());
    if (members) members.push(i);
    else membersOf.set(hash.join(), [i]);
  });
  const equal = [...membersOf.values()];
  const words = new Uint32Array(equal.length * HASH_WORDS);
  for (const [i, [first]] of equal.entries()) words.set(hashes[first!]!, i * HASH_WORDS);
  const [copies, alike] = [new Links(equal.length), new Links(equal.length)];
  forEachNearPair(words, (a, b, distance) => {
    alike.join(a, b, distance);
    if (distance <= COPY_DISTANCE) copies.join(a, b, distance);
  });
  const groups = copies.groups(equal);
  const sizes = new Map(groups.map(({ members }) => [members[0]!, members.length]));
  return {
    copies: groups,
    alike: alike.groups(equal).filter(({ members }) => sizes.get(members[0]!) !== members.length),
  };
}

function forEachNearPair(words: Uint32Array, found: (a: number, b: number, distance: number) => void): void {
  const nearby = masksUpTo(Math.floor(ALIKE_DISTANCE / BANDS));
  for (let band = 0; band < BANDS; band++) {
    const { start, order, sorted } = sortByBand(words, band);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const [from, end] = [start[bucket]!, start[bucket + 1]!];
      if (from === end) continue;
      for (const mask of nearby) {
        const other = bucket ^ mask;
        if (other < bucket) continue; // was compared when the other one's turn was
        for (let i = from; i < end; i++) {
          const at = i * HASH_WORDS;
          const w0 = sorted[at]!;
          const w1 = sorted[at + 1]!;
          const w2 = sorted[at + 2]!;
          const w3 = sorted[at + 3]!;
          for (let j = other === bucket ? i + 1 : start[other]!; j < start[other + 1]!; j++) {
            const to = j * HASH_WORDS;
            let distance = bitCount(w0 ^ sorted[to]!) + bitCount(w1 ^ sorted[to + 1]!);
            if (distance > ALIKE_DISTANCE) continue;
            distance += bitCount(w2 ^ sorted[to + 2]!) + bitCount(w3 ^ sorted[to + 3]!);
            if (distance <= ALIKE_DISTANCE) found(order[i]!, order[j]!, distance);
          }
        }
      }
    }
  }
}

/** Hashes in the order of the 16 bits of a band, so that those of a bucket lie side by side. */
function sortByBand(words: Uint32Array, band: number) {
  const count = words.length / HASH_WORDS;
  const halves = new Uint16Array(words.buffer); // [count, BANDS]
  const start = new Int32Array(BUCKETS + 1); // where each bucket begins
  for (let i = 0; i < count; i++) start[halves[i * BANDS + band]! + 1]!++;
  for (let bucket = 0; bucket < BUCKETS; bucket++) start[bucket + 1]! += start[bucket]!;
  const next = start.slice();
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[next[halves[i * BANDS + band]!]!++] = i;
  const sorted = new Uint32Array(words.length);
  for (let i = 0; i < count; i++) {
    for (let word = 0; word < HASH_WORDS; word++) sorted[i * HASH_WORDS + word] = words[order[i]! * HASH_WORDS + word]!;
  }
  return { start, order, sorted };
}

/** All 16-bit numbers with at most so many bits set. */
function masksUpTo(bits: number): number[] {
  return Array.from({ length: BUCKETS }, (_, mask) => mask).filter((mask) => bitCount(mask) <= bits);
}

/** Sets that grow together (union-find), and the longest step within each. */
class Links {
  readonly #parent: Int32Array;
  readonly #longest: Uint8Array;

  constructor(count: number) {
    this.#parent = Int32Array.from({ length: count }, (_, i) => i);
    this.#longest = new Uint8Array(count);
  }

  /** Steps within one set do not count: it is linked already, by steps that were found before. */
  join(a: number, b: number, distance: number): void {
    const [x, y] = [this.#rootOf(a), this.#rootOf(b)];
    if (x === y) return;
    this.#parent[y] = x;
    this.#longest[x] = Math.max(this.#longest[x]!, this.#longest[y]!, distance);
  }

  /** The sets of two members and more, where each of what was linked stands for some members. */
  groups(membersOf: readonly (readonly number[])[]): NearGroup[] {
    const joined = new Map<number, NearGroup>();
    for (const [i, members] of membersOf.entries()) {
      const root = this.#rootOf(i);
      const group = joined.get(root);
      if (group) group.members.push(...members);
      else joined.set(root, { members: [...members], distance: this.#longest[root]! });
    }
    const several = [...joined.values()].filter(({ members }) => members.length > 1);
    for (const { members } of several) members.sort((a, b) => a - b);
    return several.sort((a, b) => a.members[0]! - b.members[0]!);
  }

  #rootOf(i: number): number {
    while (this.#parent[i] !== i) {
      this.#parent[i] = this.#parent[this.#parent[i]!]!;
      i = this.#parent[i]!;
    }
    return i;
  }
}
