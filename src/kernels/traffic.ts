/** How many bytes a dispatch must move, from what its kernel says of itself. */
import type { Kernel } from "./kernel.ts";

const known = new WeakMap<Kernel, ReadonlySet<string>>();

/** The outputs that a kernel also reads: state that it updates in place. Every use in its WGSL but `name[…] = …`. */
export function updatedOutputs(kernel: Kernel): ReadonlySet<string> {
  let updated = known.get(kernel);
  if (!updated) {
    updated = new Set(Object.keys(kernel.outputs).filter((name) => isRead(kernel.wgsl, name)));
    known.set(kernel, updated);
  }
  return updated;
}

function isRead(wgsl: string, name: string): boolean {
  for (const { 0: start, index } of wgsl.matchAll(new RegExp(`\\b${name}\\[`, "g"))) {
    let at = index + start.length;
    for (let depth = 1; depth > 0 && at < wgsl.length; at++) {
      if (wgsl[at] === "[") depth++;
      else if (wgsl[at] === "]") depth--;
    }
    if (!/^\s*=[^=]/.test(wgsl.slice(at))) return true;
  }
  return false;
}

/** Bytes read and written where each binding (its size in bytes by name) is touched just once each way. */
export function bytesMoved(kernel: Kernel, sizes: Readonly<Record<string, number>>): number {
  const updated = updatedOutputs(kernel);
  return Object.entries(sizes).reduce((sum, [name, size]) => sum + (updated.has(name) ? 2 : 1) * size, 0);
}
