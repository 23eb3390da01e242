/** Looking through data sets before training: damaged files, missing labels, class counts, copies, leaks. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { emotionClasses } from "./classes.ts";
import { findCopies, type SameId } from "./copies.ts";
import { type CountsBySplit, countLabels, formatCounts } from "./counts.ts";
import { inspectImage } from "./decode.ts";
import { recordPath } from "./import.ts";
import { aestheticLabel, labelsDisagree, type Split } from "./labels.ts";
import { DEFAULT_WORKERS } from "./loader.ts";
import { readManifest, type Sample } from "./manifest.ts";
import { perceptualHash } from "./perceptual-hash.ts";
import { mapConcurrently } from "./prefetch.ts";
import { type CountComparison, comparePublished, formatPublished, publishedSet, type SetName } from "./published.ts";

export interface CheckOptions {
  /** How many images are looked through at once. */
  workers?: number;
  /** Called with how many of how many images have been looked through. */
  onProgress?: (done: number, total: number) => void;
  /** Which published set each manifest is; null: none. Default: what the import's record beside it says. */
  sets?: readonly (SetName | null)[];
}

export interface ManifestCheck {
  manifest: string;
  /** The published set that its counts are held against. */
  set: SetName | null;
  published: CountComparison[];
  samples: number;
  /** None where no sample has an emotion. */
  classes: string[];
  counts: CountsBySplit;
  /** Paths of samples that carry neither label. */
  unlabelled: string[];
  /** Paths of samples whose aes_label, aes_score and raters' mean do not all say the same; the first that is given wins. */
  disagreeing: string[];
  ignoredColumns: string[];
}

export interface Place {
  manifest: string;
  path: string;
  split: Split;
}

/** Images that are one. */
export interface Copies {
  places: Place[];
  /** They lie in more than one split. */
  leak: boolean;
  /** Two of them carry different labels of the same kind. */
  conflict: boolean;
}

/** Files with the same bytes, within or between the manifests. */
export interface Duplicate extends Copies {
  sha256: string;
}

/** Images that look the same, or alike; not those of which all are the same file. */
export interface NearDuplicate extends Copies {
  /** The longest step, in bits of the perceptual hash, that links one to the next. */
  distance: number;
}

/** Images of one name or number that look somewhat alike, such as a crop and its original. */
export interface SameIdCopies extends NearDuplicate {
  id: string;
}

export interface CheckReport {
  manifests: ManifestCheck[];
  damaged: (Place & { error: string })[];
  duplicates: Duplicate[];
  /** Copies by how they look: resized, encoded anew. */
  nearDuplicates: NearDuplicate[];
  /** Perhaps copies, such as crops, perhaps only of one scene: for a person to look at. */
  alike: NearDuplicate[];
  /** As little certain. */
  sameIds: SameIdCopies[];
  /** How many names or numbers stand for several images that do not look alike: no copies. */
  sharedIds: number;
  /** No damaged file, no (near) duplicate in two splits, no duplicate with conflicting labels. */
  ok: boolean;
}

/**
 * Reads and decodes every image of the manifests.
 * @throws CsvError where a manifest breaks a rule; Error where one cannot be read, or `sets` are not one a manifest.
 */
export async function checkManifests(paths: readonly string[], options: CheckOptions = {}): Promise<CheckReport> {
  const { workers = DEFAULT_WORKERS, onProgress, sets } = options;
  if (sets !== undefined && sets.length !== paths.length) {
    throw new Error(
      `--set ${sets.join(",")}: names ${sets.length} sets for ${paths.length} manifests; give one for each`,
    );
  }
  const manifests = await Promise.all(paths.map(readManifest));
  const setOf = await Promise.all(paths.map(async (path, i) => (sets ? sets[i]! : await recordedSet(path))));
  const entries = manifests.flatMap(({ file, samples }) => samples.map((sample) => ({ manifest: file, sample })));
  const files = await mapConcurrently(entries, workers, ({ sample }) => inspect(sample.absolutePath), onProgress);

  const damaged = entries.flatMap((entry, i) => {
    const { damage } = files[i]!;
    return damage === null ? [] : [{ ...placeOf(entry), error: damage }];
  });
  const found = findCopies(entries.map(({ sample }, i) => ({ path: sample.path, ...files[i]! })));
  const copies = (members: readonly number[]) => copiesOf(members.map((i) => entries[i]!));
  const duplicates = found.same.map((members) => ({ sha256: files[members[0]!]!.sha256!, ...copies(members) }));
  const nearDuplicates = found.copies.map(({ members, distance }) => ({ distance, ...copies(members) }));
  const alike = found.alike.map(({ members, distance }) => ({ distance, ...copies(members) }));
  const sameIds = found.sameId.map(({ id, members, distance }: SameId) => ({ id, distance, ...copies(members) }));
  return {
    manifests: manifests.map(({ file, samples, ignoredColumns }, i) => {
      const counts = countLabels(samples);
      const published = publishedSet(setOf[i] ?? "");
      return {
        manifest: file,
        set: setOf[i]!,
        published: published === null ? [] : comparePublished(published, counts),
        samples: samples.length,
        classes: samples.some(({ emotion }) => emotion !== null)
          ? emotionClasses(samples.map(({ emotion }) => emotion))
          : [],
        counts,
        unlabelled: samples.filter((s) => s.emotion === null && aestheticLabel(s) === null).map(({ path }) => path),
        disagreeing: samples.filter(labelsDisagree).map(({ path }) => path),
        ignoredColumns,
      };
    }),
    damaged,
    duplicates,
    nearDuplicates,
    alike,
    sameIds,
    sharedIds: found.sharedIds,
    ok:
      damaged.length === 0 &&
      !duplicates.some(({ leak, conflict }) => leak || conflict) &&
      !nearDuplicates.some(({ leak }) => leak),
  };
}

/** The set that an importer has written into its record beside the manifest. */
async function recordedSet(manifest: string): Promise<SetName | null> {
  try {
    const { kind } = JSON.parse(await readFile(recordPath(manifest), "utf8")) as { kind?: unknown };
    return publishedSet(String(kind))?.name ?? null;
  } catch {
    return null; // no record: a set of one's own
  }
}

interface Entry {
  manifest: string;
  sample: Sample;
}

function placeOf({ manifest, sample: { path, split } }: Entry): Place {
  return { manifest, path, split };
}

async function inspect(path: string) {
  const { bytes, square, damage } = await inspectImage(path);
  // Empty files are all alike without being copies of one image.
  const hasBytes = bytes !== null && bytes.length > 0;
  return {
    sha256: hasBytes ? createHash("sha256").update(bytes).digest("hex") : null,
    hash: square === null ? null : perceptualHash(square),
    damage: damage?.reason ?? null,
  };
}

function copiesOf(same: readonly Entry[]): Copies {
  const differ = (values: (string | null)[]) => new Set(values.filter((value) => value !== null)).size > 1;
  return {
    places: same.map(placeOf),
    leak: differ(same.map(({ sample }) => sample.split)),
    conflict:
      differ(same.map(({ sample }) => sample.emotion)) || differ(same.map(({ sample }) => aestheticLabel(sample))),
  };
}

/** The report for people: the counts of each manifest, then what is wrong, at most `limit` lines of a kind. */
export function formatCheck(report: CheckReport, limit = 20): string {
  const lines: string[] = [];
  for (const check of report.manifests) {
    const { classes } = check;
    const told = classes.length === 0 ? "no emotions" : `${classes.length} classes: ${classes.join(", ")}`;
    lines.push(`${check.manifest}: ${check.samples} samples, ${told}`);
    lines.push(formatCounts(check.counts));
    const published = publishedSet(check.set ?? "");
    if (published !== null) lines.push(formatPublished(published, check.counts));
    if (check.ignoredColumns.length > 0)
      lines.push(`columns without a meaning here: ${check.ignoredColumns.join(", ")}`);
    lines.push(...some("no label at all", check.unlabelled, limit));
    lines.push(...some("aes_label, aes_score and raters disagree (the first given wins)", check.disagreeing, limit));
    lines.push("");
  }
  const name = ({ manifest, path }: Place) => (report.manifests.length > 1 ? `${manifest}: ${path}` : path);
  const places = ({ places }: Copies) => places.map((place) => `${name(place)} (${place.split})`).join(" = ");
  const { damaged, duplicates, nearDuplicates, alike, sameIds, sharedIds } = report;
  const measured = (copies: NearDuplicate) => `${places(copies)}, ${copies.distance} bits apart`;
  lines.push(
    ...some(
      "damaged",
      damaged.map((place) => `${name(place)}: ${place.error}`),
      limit,
    ),
  );
  lines.push(...some("same file in different splits", duplicates.filter(({ leak }) => leak).map(places), limit));
  lines.push(...some("same file, different labels", duplicates.filter(({ conflict }) => conflict).map(places), limit));
  const plain = duplicates.filter(({ leak, conflict }) => !leak && !conflict);
  lines.push(...some("same file twice in one split", plain.map(places), limit));
  for (const [what, copies] of [
    ["look the same", nearDuplicates],
    ["look alike, perhaps copies", alike],
    ["have one name or number and look alike, perhaps copies", sameIds],
  ] as const) {
    const [leaks, others] = [copies.filter(({ leak }) => leak), copies.filter(({ leak }) => !leak)];
    lines.push(...some(`${what}, in different splits`, leaks.map(measured), limit));
    lines.push(...some(`${what}, in one split`, others.map(measured), limit));
  }
  if (sharedIds > 0) lines.push(`names or numbers that stand for several different images: ${sharedIds}`);
  lines.push(report.ok ? "no damaged files, no leaks between splits, no conflicting labels" : "problems were found");
  return lines.join("\n");
}

function some(title: string, items: readonly string[], limit: number): string[] {
  if (items.length === 0) return [];
  const rest = items.length > limit ? [`  … and ${items.length - limit} more`] : [];
  return [`${title}: ${items.length}`, ...items.slice(0, limit).map((item) => `  ${item}`), ...rest];
}
