/**
 * The memory plan: a pure function from a list of dispatches to a place for every tensor.
 *
 * Tensors whose lifetimes do not overlap share memory. Because WebGPU refuses a buffer that is bound for reading and
 * for writing in one dispatch (even for disjoint ranges), memory consists of a few banks, and what a dispatch writes
 * lies in other banks than what it reads.
 */

/** What the planner needs to know of a dispatch: which tensors it reads and which it writes. */
export interface PlannedDispatch {
  readonly reads: readonly PlannedTensor[];
  readonly writes: readonly PlannedTensor[];
}

export interface PlannedTensor {
  readonly byteLength: number;
}

export interface Place {
  readonly bank: number;
  readonly offset: number;
}

export interface MemoryPlan {
  readonly places: ReadonlyMap<PlannedTensor, Place>;
  /** Bytes of each bank. */
  readonly banks: readonly number[];
}

/** Bind offsets have to be multiples of this many bytes on every adapter. */
export const alignment = 256;

const align = (bytes: number) => alignment * Math.ceil(bytes / alignment);

interface Interval extends Place {
  readonly last: number;
  readonly size: number;
}

/**
 * @param outputs tensors that must survive the whole run
 * @param reuse false gives every tensor a place of its own (to prove that sharing changes nothing)
 * @param bankLimit most bytes of a bank; a new bank is opened beyond it
 */
export function planMemory(
  dispatches: readonly PlannedDispatch[],
  outputs: ReadonlySet<PlannedTensor>,
  { reuse = true, bankLimit = Number.POSITIVE_INFINITY }: { reuse?: boolean; bankLimit?: number } = {},
): MemoryPlan {
  const lastUse = new Map<PlannedTensor, number>();
  /** What a tensor may not share a bank with. Not only what its first writer reads: several dispatches may write it. */
  const apart = new Map<PlannedTensor, Set<PlannedTensor>>();
  dispatches.forEach(({ reads, writes }, time) => {
    for (const tensor of [...reads, ...writes]) {
      lastUse.set(tensor, time);
      if (!apart.has(tensor)) apart.set(tensor, new Set());
    }
    for (const written of writes) {
      for (const read of reads) {
        apart.get(written)!.add(read);
        apart.get(read)!.add(written);
      }
    }
  });

  const places = new Map<PlannedTensor, Place>();
  const banks: number[] = [];
  /** Live stretches of each bank, ordered by offset. */
  const live: Interval[][] = [];

  dispatches.forEach(({ writes }, time) => {
    for (const bank of live) {
      for (let i = bank.length - 1; i >= 0; i--) if (bank[i]!.last < time) bank.splice(i, 1);
    }
    for (const tensor of writes) {
      if (places.has(tensor)) continue;
      const size = align(tensor.byteLength);
      const last = outputs.has(tensor) || !reuse ? Number.POSITIVE_INFINITY : lastUse.get(tensor)!;
      const place = choose(size, new Set([...apart.get(tensor)!].flatMap((other) => places.get(other)?.bank ?? [])));
      places.set(tensor, place);
      while (banks.length <= place.bank) {
        banks.push(0);
        live.push([]);
      }
      banks[place.bank] = Math.max(banks[place.bank]!, place.offset + size);
      const interval = { ...place, last, size };
      const bank = live[place.bank]!;
      const at = bank.findIndex((other) => other.offset > place.offset);
      bank.splice(at < 0 ? bank.length : at, 0, interval);
    }
  });
  return { places, banks };

  /** The gap that makes its bank grow least, then the tightest; some banks are out. */
  function choose(size: number, excluded: ReadonlySet<number>): Place {
    let best: (Place & { growth: number; slack: number }) | null = null;
    for (let bank = 0; bank < live.length; bank++) {
      if (excluded.has(bank)) continue;
      let offset = 0;
      for (const { offset: start, size: taken } of [...live[bank]!, { offset: Number.POSITIVE_INFINITY, size: 0 }]) {
        const open = start === Number.POSITIVE_INFINITY;
        if (start - offset >= size) {
          const growth = Math.max(0, offset + size - banks[bank]!);
          const slack = open ? Math.max(0, banks[bank]! - offset - size) : start - offset - size;
          const better = !best || growth < best.growth || (growth === best.growth && slack < best.slack);
          if (better && offset + size <= bankLimit) best = { bank, offset, growth, slack };
        }
        offset = Math.max(offset, start + taken);
      }
    }
    // A new bank costs its whole size, but may be the only one that is not out.
    if (!best) return { bank: live.length, offset: 0 };
    return { bank: best.bank, offset: best.offset };
  }
}
