import type { Storage } from "./tensor.ts";

/** A part of a storage as a dispatch binds it; all of it unless it says otherwise. */
export interface BoundRange {
  readonly storage: Storage;
  readonly offset?: number;
  readonly size?: number;
}

/** Bytes that are bound. */
export const sizeOf = ({ storage, size = storage.byteLength }: BoundRange): number => size;
