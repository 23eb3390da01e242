/** Copies among images: by their bytes, by how they look, and by their names. Pure. */
import { parse } from "node:path";
import { parseImageReference } from "./image-reference.ts";
import { findNearGroups, type NearGroup } from "./near-duplicates.ts";
import { hashDistance } from "./perceptual-hash.ts";

export interface HashedImage {
  path: string;
  /** Of its bytes; null where there are none. */
  sha256: string | null;
  /** See `perceptualHash`; null where it is damaged or of one colour. */
  hash: Uint32Array | null;
}

export interface SameId extends NearGroup {
  id: string;
}

/** Images by their places in the list that was given. */
export interface FoundCopies {
  /** Of the same bytes. */
  same: number[][];
  /** Copies by how they look, but not all of the same bytes. */
  copies: NearGroup[];
  /** Alike, perhaps copies, perhaps taken from one scene. */
  alike: NearGroup[];
  /** Of one name or number, somewhat alike, and not found by either of the above. */
  sameId: SameId[];
  /** Names or numbers of which some images are not alike. */
  sharedIds: number;
}

/**
 * Two images of one name that differ in at most so many of 128 bits may be one. It is laxer than `ALIKE_DISTANCE`
 * because few pairs share a name: of unrelated photographs, one pair in 10,000 lies so close.
 */
export const SAME_ID_DISTANCE = 42;

/** A name that more images have than this says nothing. */
const MOST_OF_ONE_ID = 32;

export function findCopies(images: readonly HashedImage[]): FoundCopies {
  const same = groupBy(images, ({ sha256 }) => sha256).map(({ members }) => members);
  const near = findNearGroups(images.map(({ hash }) => hash));
  const copies = near.copies.filter(({ members }) => new Set(members.map((i) => images[i]!.sha256)).size > 1);
  const groupOf = new Map<number, number>();
  [...same, ...[...copies, ...near.alike].map(({ members }) => members)].forEach((members, group) => {
    for (const i of members) groupOf.set(i, group);
  });
  const sameId: SameId[] = [];
  let sharedIds = 0;
  for (const { key: id, members } of groupBy(images, idOf)) {
    if (members.length > MOST_OF_ONE_ID) {
      sharedIds++;
      continue;
    }
    // Of images that are known as copies of each other, one stands for all.
    const distinct = members.filter(
      (i, at) => !members.slice(0, at).some((j) => groupOf.has(i) && groupOf.get(i) === groupOf.get(j)),
    );
    if (distinct.length < 2) continue;
    const alike = closePairs(images, distinct);
    sameId.push(...alike.map(({ members, distance }) => ({ id, members, distance })));
    const found = new Set(alike.flatMap(({ members }) => members));
    if (distinct.some((i) => !found.has(i))) sharedIds++;
  }
  return { same, copies, alike: near.alike, sameId, sharedIds };
}

/** The name without folder and ending, in lower case; the number inside an HDF5 file. */
export function idOf({ path }: { path: string }): string {
  const reference = parseImageReference(path);
  return reference === null ? parse(path).name.toLowerCase() : String(reference.index);
}

function closePairs(images: readonly HashedImage[], places: readonly number[]): NearGroup[] {
  return places.flatMap((b, at) =>
    places.slice(0, at).flatMap((a): NearGroup[] => {
      const [x, y] = [images[a]!.hash, images[b]!.hash];
      const distance = x === null || y === null ? Number.POSITIVE_INFINITY : hashDistance(x, y);
      return distance <= SAME_ID_DISTANCE ? [{ members: [a, b], distance }] : [];
    }),
  );
}

/** Places of two or more items with one key, in the order in which keys first appear. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string | null): { key: string; members: number[] }[] {
  const groups = new Map<string, number[]>();
  items.forEach((item, i) => {
    const key = keyOf(item);
    if (key === null) return;
    const members = groups.get(key);
    if (members) members.push(i);
    else groups.set(key, [i]);
  });
  return [...groups].flatMap(([key, members]) => (members.length > 1 ? [{ key, members }] : []));
}
