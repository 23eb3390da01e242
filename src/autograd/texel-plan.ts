/**
 * Which tensors are copied into which texture, and when, for the kernels that read them so (src/kernels/texels.ts). A few
 * textures serve all dispatches, one after the other; a tensor that one of them still holds is not copied again. Pure.
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

interface Slot {
  range: BoundRange | null;
  bytes: number;
  lastUse: number;
}

export function planTexels(dispatches: readonly TexelDispatch[]): TexelPlan {
  const slots: Slot[] = [];
  const uses = dispatches.map(({ kernel, bindings }, time) => {
    const names = Object.keys(kernel.inputs).filter((name) => kernel.inputs[name] === "texels");
    const holder = (name: string) => slots.find(({ range }) => range !== null && isSame(range, bindings[name]!));
    // What is held is not to make room for another input of the same dispatch.
    for (const name of names) {
      const slot = holder(name);
      if (slot) slot.lastUse = time;
    }
    const used = names.map((binding): TexelUse => {
      const held = holder(binding);
      const slot = held ?? leastRecent(slots, time);
      if (!held) {
        const range = bindings[binding]!;
        Object.assign(slot, { range, bytes: Math.max(slot.bytes, sizeOf(range)), lastUse: time });
      }
      return { binding, texture: slots.indexOf(slot), isHeld: held !== undefined };
    });
    for (const { name, access } of bindingsOf(kernel)) {
      if (access === "read") continue;
      for (const slot of slots) if (slot.range?.storage === bindings[name]!.storage) slot.range = null;
    }
    return used;
  });
  return { textures: slots.map(({ bytes }) => wholeTexture(bytes)), uses };
}

/** The slot that was used longest ago; a new one where the dispatch itself uses all. */
function leastRecent(slots: Slot[], time: number): Slot {
  const free = slots.filter(({ lastUse }) => lastUse < time);
  if (free.length > 0) return free.reduce((oldest, slot) => (slot.lastUse < oldest.lastUse ? slot : oldest));
  const slot = { range: null, bytes: 0, lastUse: time };
  slots.push(slot);
  return slot;
}

const isSame = (a: BoundRange, b: BoundRange): boolean =>
  a.storage === b.storage && (a.offset ?? 0) === (b.offset ?? 0) && sizeOf(a) === sizeOf(b);
