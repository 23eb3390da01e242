/**
 * Which window of a decoded image [R, R, 3] the network sees, and the order of an epoch: functions of (seed, epoch, row)
 * alone, whatever the number of workers and wherever a run was resumed. Pure: also for the browser.
 */
import { Random } from "../../random.ts";

/** The window [y, y + S) × [x, x + S), mirrored left to right where `flip`. */
export interface Crop {
  x: number;
  y: number;
  flip: boolean;
}

/** The side R, in pixels, of the square that an image is resized to before its S×S window is cut: round(S · 256 / 224). */
export function resizedSide(imageSize: number): number {
  return Math.round((imageSize * 256) / 224);
}

/** Evaluation: the centre, offset floor((R − S) / 2), never mirrored. */
export function centreCrop(decodedSize: number, imageSize: number): Crop {
  const offset = Math.floor((decodedSize - imageSize) / 2);
  return { x: offset, y: offset, flip: false };
}

/** Training: any offset from 0 to R − S on either axis, all equally likely; mirrored with probability 0.5. */
export function randomCrop(at: {
  seed: number;
  epoch: number;
  row: number;
  decodedSize: number;
  imageSize: number;
}): Crop {
  const random = new Random(at.seed, "augment", at.epoch, at.row);
  const offsets = at.decodedSize - at.imageSize + 1;
  return { x: random.integer(offsets), y: random.integer(offsets), flip: random.float() < 0.5 };
}

/** The rows in the order in which an epoch visits them; `shuffle: false` (`--no-shuffle`) keeps theirs. */
export function epochOrder(rows: readonly number[], at: { seed: number; epoch: number; shuffle: boolean }): number[] {
  if (!at.shuffle) return [...rows];
  return Array.from(new Random(at.seed, "order", at.epoch).permutation(rows.length), (i) => rows[i]!);
}
