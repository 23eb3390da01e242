/**
 * Which tensors are copied into which texture, and when, for the kernels that read them so (src/kernels/texels.ts). A few
 * textures serve all dispatches, one after the other; what would be copied into them several times, as weights are for a
 * forward product and again for its gradient, is kept in a texture of its own where there is room. Pure.
 */
import { bindingsOf, type Kernel } from "../kernels/kernel.ts";
import { wholeTexture } from "../kernels/texels.ts";
import { type BoundRange, sizeOf } from "./bound-range.ts";

/** What the plan has to know of a dispatch. */
interface TexelDispatch {
  readonly kernel: Kernel;
  readonly bindings: Readonly<Record<string, BoundRange>>;
}

/** An input of a dispatch that is read through a texture. */
export interface TexelUse {
  readonly binding: string;
  readonly texture: number;
  /** The texture holds it from before. */
  readonly isHeld: boolean;
}

export interface TexelPlan {
  /** Bytes of each. */
  readonly textures: readonly number[];
  /** For each dispatch. */
  readonly uses: readonly (readonly TexelUse[])[];
}

/** What lies in a range from one write to the next. */
interface Version {
  readonly range: BoundRange;
}

/** An input that is read through a texture, before it has one. */
interface TexelRead {
  readonly binding: string;
  readonly version: Version;
}

interface Slot {
  version: Version;
  bytes: number;
  lastUse: number;
  /** It belongs to one version. */
  readonly isKept: boolean;
}

/** @param room Bytes for textures of what would be copied again. */
export function planTexels(dispatches: readonly TexelDispatch[], room = 0): TexelPlan {
  const reads = texelReads(dispatches);
  const shared = assign(reads, new Set());
  const kept = new Set<Version>();
  let left = room;
  // The smallest first: whatever a copy's size, it interrupts the kernels and takes its calls.
  for (const version of copiedAgain(reads, shared).sort((a, b) => textureBytes(a) - textureBytes(b))) {
    left -= textureBytes(version);
    if (left < 0) break;
    kept.add(version);
  }
  return kept.size > 0 ? assign(reads, kept) : shared;
}

function texelReads(dispatches: readonly TexelDispatch[]): TexelRead[][] {
  let current: Version[] = [];
  return dispatches.map(({ kernel, bindings }) => {
    const names = Object.keys(kernel.inputs).filter((name) => kernel.inputs[name] === "texels");
    const reads = names.map((binding): TexelRead => {
      const range = bindings[binding]!;
      const known = current.find((version) => isSame(version.range, range));
      const version = known ?? { range };
      if (!known) current.push(version);
      return { binding, version };
    });
    for (const { name, access } of bindingsOf(kernel)) {
      if (access === "read") continue;
      current = current.filter(({ range }) => range.storage !== bindings[name]!.storage);
    }
    return reads;
  });
}

/** Gives each of the versions that are `kept` a texture, and all others a few, as many as one dispatch needs at once. */
function assign(dispatches: readonly (readonly TexelRead[])[], kept: ReadonlySet<Version>): TexelPlan {
  const slots: Slot[] = [];
  const holder = (version: Version) => slots.find((slot) => slot.version === version);
  const uses = dispatches.map((reads, time) => {
    // What is held is not to make room for another input of the same dispatch.
    for (const { version } of reads) {
      const slot = holder(version);
      if (slot) slot.lastUse = time;
    }
    return reads.map(({ binding, version }): TexelUse => {
      const held = holder(version);
      const isKept = kept.has(version);
      const free = held ?? (isKept ? undefined : leastRecent(slots, time));
      const slot = free ?? { version, bytes: 0, lastUse: time, isKept };
      if (!free) slots.push(slot);
      Object.assign(slot, { version, bytes: Math.max(slot.bytes, sizeOf(version.range)), lastUse: time });
      return { binding, texture: slots.indexOf(slot), isHeld: held !== undefined };
    });
  });
  return { textures: slots.map(({ bytes }) => wholeTexture(bytes)), uses };
}

/** The slot that was used longest ago and may take another version; none where the dispatch itself uses all. */
function leastRecent(slots: readonly Slot[], time: number): Slot | undefined {
  return slots
    .filter(({ lastUse, isKept }) => lastUse < time && !isKept)
    .sort((a, b) => a.lastUse - b.lastUse)
    .at(0);
}

/** The versions that a plan copies more than once. */
function copiedAgain(dispatches: readonly (readonly TexelRead[])[], { uses }: TexelPlan): Version[] {
  const copied = new Set<Version>();
  const again = new Set<Version>();
  dispatches.forEach((reads, time) => {
    reads.forEach(({ version }, i) => {
      if (uses[time]![i]!.isHeld) return;
      if (copied.has(version)) again.add(version);
      copied.add(version);
    });
  });
  return [...again];
}

const textureBytes = ({ range }: Version): number => wholeTexture(sizeOf(range));

const isSame = (a: BoundRange, b: BoundRange): boolean =>
  a.storage === b.storage && (a.offset ?? 0) === (b.offset ?? 0) && sizeOf(a) === sizeOf(b);
