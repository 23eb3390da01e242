/** Files that were damaged at random, and what reading them allocates. */
import type { Random } from "../../src/random.ts";

export interface MutateOptions {
  /** Pieces that mean something to the format, put in somewhere. */
  readonly tokens: readonly Uint8Array[];
  /** Whether changes fall into this part; the whole file by default. */
  readonly from?: number;
  readonly to?: number;
}

/** One to three random changes: bits, bytes, digits, cuts, insertions, doubled and moved pieces, tokens. */
export function mutate(original: Uint8Array, random: Random, { tokens, from = 0, to }: MutateOptions): Uint8Array {
  let bytes = original.slice();
  const splice = (at: number, remove: number, insert: Uint8Array) => {
    const result = new Uint8Array(bytes.length - Math.min(remove, bytes.length - at) + insert.length);
    result.set(bytes.subarray(0, at));
    result.set(insert, at);
    result.set(bytes.subarray(at + remove), at + insert.length);
    return result;
  };
  for (let change = random.integer(3); change >= 0; change--) {
    const end = Math.min(to ?? bytes.length, bytes.length);
    if (end <= from) return bytes;
    const at = from + random.integer(end - from);
    switch (random.integer(9)) {
      case 0:
        bytes[at]! ^= 1 << random.integer(8);
        break;
      case 1:
        bytes[at] = random.integer(256);
        break;
      case 2: // a number becomes a little larger or smaller
        bytes[at]! += random.integer(2) * 2 - 1;
        break;
      case 3: // a digit becomes another
        for (let i = at; i < end; i++)
          if (bytes[i]! >= 48 && bytes[i]! <= 57) {
            bytes[i] = 48 + random.integer(10);
            break;
          }
        break;
      case 4: // four bytes become a huge or a tiny number
        bytes.fill(random.integer(2) * 255, at, Math.min(end, at + 1 + random.integer(8)));
        break;
      case 5:
        bytes = random.integer(2) ? bytes.slice(0, at) : splice(at, 1 + random.integer(16), new Uint8Array());
        break;
      case 6:
        bytes = splice(
          at,
          0,
          Uint8Array.from({ length: 1 + random.integer(8) }, () => random.integer(256)),
        );
        break;
      case 7: {
        // a piece of the file again, somewhere
        const begin = random.integer(original.length);
        bytes = splice(at, random.integer(2) * 100, original.slice(begin, begin + 1 + random.integer(100)));
        break;
      }
      default:
        bytes = splice(at, random.integer(4), tokens[random.integer(tokens.length)]!);
    }
  }
  return bytes;
}

/**
 * Bytes by which the process's array buffers and heap grew while `body` ran. A collection in between hides garbage that
 * was there before, never an allocation that is still referenced or was the last to be made.
 */
export function allocatedBy(body: () => unknown): number {
  const before = process.memoryUsage();
  const kept = body();
  const after = process.memoryUsage();
  void kept;
  return Math.max(0, after.arrayBuffers - before.arrayBuffers) + Math.max(0, after.heapUsed - before.heapUsed);
}
