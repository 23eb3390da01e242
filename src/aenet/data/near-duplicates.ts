/**
 * Which of many hashes lie close together, without comparing all pairs.
 *
 * A hash is cut into 8 bands of 16 bits. Two hashes that differ in at most 23 bits differ in at most 2 bits of some
 * band (were it 3 in each, it would be 24), so a hash need only be compared with those that lie in the 137 buckets
 * around it in some band. None is missed.
 */
import { bitCount, HASH_WORDS } from "./perceptual-hash.ts";

/** Two images that differ in at most so many of the 128 bits count as copies. Unrelated photographs differ in 64 ± 6. */
export const COPY_DISTANCE = 23;

const BANDS = 8;
const BUCKETS = 1 << 16;

/** Hashes, by their places in the list that was given, that are linked by steps of at most `COPY_DISTANCE` bits. */
export interface NearGroup {
  members: number[];
  /** The longest of the steps that link them. */
  distance: number;
}

/** Groups of at least two, members and groups in ascending order. null stands for an image that is like no other. */
export function findNearGroups(hashes: readonly (Uint32Array | null)[]): NearGroup[] {
  // Equal hashes are put together first: however many there are, they are one to the index.
  const membersOf = new Map<string, number[]>();
  hashes.forEach((hash, i) => {
    if (hash === null) return;
    const key = String.fromCharCode(...new Uint16Array(hash.buffer, hash.byteOffset, 2 * HASH_WORDS));
    const members = membersOf.get(key);
    if (members) members.push(i);
    else membersOf.set(key, [i]);
  });
  const groups = [...membersOf.values()];
  const words = new Uint32Array(groups.length * HASH_WORDS);
  for (const [i, [first]] of groups.entries()) words.set(hashes[first!]!, i * HASH_WORDS);
  const links = new Links(groups.length);
  forEachNearPair(words, (a, b, distance) => links.join(a, b, distance));
  const joined = new Map<number, NearGroup>();
  groups.forEach((members, i) => {
    const root = links.rootOf(i);
    const group = joined.get(root);
    if (group) group.members.push(...members);
    else joined.set(root, { members: [...members], distance: links.longest[root]! });
  });
  return [...joined.values()]
    .filter(({ members }) => members.length > 1)
    .map(({ members, distance }) => ({ members: members.sort((a, b) => a - b), distance }))
    .sort((a, b) => a.members[0]! - b.members[0]!);
}

function forEachNearPair(words: Uint32Array, found: (a: number, b: number, distance: number) => void): void {
  const count = words.length / HASH_WORDS;
  const halves = new Uint16Array(words.buffer); // [count, BANDS]
  const nearby = masksUpTo(Math.floor(COPY_DISTANCE / BANDS));
  // Each bucket is a chain: its last hash in `last`, the one before that in `before`.
  const last = new Int32Array(BANDS * BUCKETS).fill(-1);
  const before = new Int32Array(BANDS * count);
  for (let i = 0; i < count; i++) {
    const [w0, w1, w2, w3] = words.subarray(i * HASH_WORDS, (i + 1) * HASH_WORDS) as unknown as number[];
    for (let band = 0; band < BANDS; band++) {
      const value = halves[i * BANDS + band]!;
      for (const mask of nearby) {
        for (let j = last[band * BUCKETS + (value ^ mask)]!; j >= 0; j = before[j * BANDS + band]!) {
          const at = j * HASH_WORDS;
          let distance = bitCount(w0! ^ words[at]!) + bitCount(w1! ^ words[at + 1]!);
          if (distance > COPY_DISTANCE) continue;
          distance += bitCount(w2! ^ words[at + 2]!) + bitCount(w3! ^ words[at + 3]!);
          if (distance <= COPY_DISTANCE) found(j, i, distance);
        }
      }
    }
    for (let band = 0; band < BANDS; band++) {
      const bucket = band * BUCKETS + halves[i * BANDS + band]!;
      before[i * BANDS + band] = last[bucket]!;
      last[bucket] = i;
    }
  }
}

/** All 16-bit numbers with at most so many bits set. */
function masksUpTo(bits: number): number[] {
  return Array.from({ length: BUCKETS }, (_, mask) => mask).filter((mask) => bitCount(mask) <= bits);
}

/** Sets that grow together (union-find), and the longest step within each. */
class Links {
  readonly longest: Uint8Array;
  readonly #parent: Int32Array;

  constructor(count: number) {
    this.#parent = Int32Array.from({ length: count }, (_, i) => i);
    this.longest = new Uint8Array(count);
  }

  rootOf(i: number): number {
    while (this.#parent[i] !== i) {
      this.#parent[i] = this.#parent[this.#parent[i]!]!;
      i = this.#parent[i]!;
    }
    return i;
  }

  /** Steps within one set do not count: it is linked already, by steps that were found before. */
  join(a: number, b: number, distance: number): void {
    const [x, y] = [this.rootOf(a), this.rootOf(b)];
    if (x === y) return;
    this.#parent[y] = x;
    this.longest[x] = Math.max(this.longest[x]!, this.longest[y]!, distance);
  }
}
