/** What several operations ask of their operands. */
import type { Tensor } from "../tensor.ts";

/** @throws RangeError unless x is [G, N, H, W, C]. */
export function checkImages(operation: string, x: Tensor): void {
  if (x.shape.length !== 5) throw new RangeError(`${operation}: x [${x.shape}] needs to be [G, N, H, W, C]`);
}

/** @throws RangeError naming `what`, unless the value is an integer from `least`. */
export function checkInteger(what: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`${what} ${value} needs to be an integer from ${least}`);
  }
}
