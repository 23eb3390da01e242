/** Looking through data sets before training: damaged files, missing labels, class counts, duplicates, leaks. */
import { createHash } from "node:crypto";
import { emotionClasses } from "./classes.ts";
import { type CountsBySplit, countLabels, formatCounts } from "./counts.ts";
import { DecodeError, damageOf, readBytes } from "./decode.ts";
import { aestheticLabel, labelsDisagree, type Split } from "./labels.ts";
import { DEFAULT_WORKERS } from "./loader.ts";
import { readManifest, type Sample } from "./manifest.ts";
import { mapConcurrently } from "./prefetch.ts";

export interface CheckOptions {
  /** How many images are looked through at once. */
  workers?: number;
  /** Called with how many of how many images have been looked through. */
  onProgress?: (done: number, total: number) => void;
}

export interface ManifestCheck {
  manifest: string;
  samples: number;
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

/** Files with the same bytes, within or between the manifests. */
export interface Duplicate {
  sha256: string;
  places: Place[];
  /** They lie in more than one split. */
  leak: boolean;
  /** Two of them carry different labels of the same kind. */
  conflict: boolean;
}

export interface CheckReport {
  manifests: ManifestCheck[];
  damaged: (Place & { error: string })[];
  duplicates: Duplicate[];
  /** No damaged file, no leak, no conflict. */
  ok: boolean;
}

/**
 * Reads and decodes every image of the manifests.
 * @throws CsvError where a manifest breaks a rule; Error where one cannot be read.
 */
export async function checkManifests(paths: readonly string[], options: CheckOptions = {}): Promise<CheckReport> {
  const manifests = await Promise.all(paths.map(readManifest));
  const entries = manifests.flatMap(({ file, samples }) => samples.map((sample) => ({ manifest: file, sample })));
  const { workers = DEFAULT_WORKERS, onProgress } = options;
  const files = await mapConcurrently(entries, workers, ({ sample }) => inspect(sample.absolutePath), onProgress);

  const damaged: CheckReport["damaged"] = [];
  const byHash = new Map<string, Entry[]>();
  entries.forEach((entry, i) => {
    const { sha256, damage } = files[i]!;
    if (damage !== null) damaged.push({ ...placeOf(entry), error: damage });
    if (sha256 === null) return;
    const same = byHash.get(sha256);
    if (same) same.push(entry);
    else byHash.set(sha256, [entry]);
  });
  const duplicates = [...byHash].flatMap(([sha256, same]) => (same.length > 1 ? [duplicate(sha256, same)] : []));
  return {
    manifests: manifests.map(({ file, samples, ignoredColumns }) => ({
      manifest: file,
      samples: samples.length,
      classes: emotionClasses(samples.map(({ emotion }) => emotion)),
      counts: countLabels(samples),
      unlabelled: samples.filter((s) => s.emotion === null && aestheticLabel(s) === null).map(({ path }) => path),
      disagreeing: samples.filter(labelsDisagree).map(({ path }) => path),
      ignoredColumns,
    })),
    damaged,
    duplicates,
    ok: damaged.length === 0 && !duplicates.some(({ leak, conflict }) => leak || conflict),
  };
}

interface Entry {
  manifest: string;
  sample: Sample;
}

function placeOf({ manifest, sample: { path, split } }: Entry): Place {
  return { manifest, path, split };
}

async function inspect(path: string): Promise<{ sha256: string | null; damage: string | null }> {
  try {
    const bytes = await readBytes(path);
    const damage = await damageOf(bytes, path);
    // Empty files are all alike without being copies of one image.
    const sha256 = bytes.length === 0 ? null : createHash("sha256").update(bytes).digest("hex");
    return { sha256, damage: damage?.reason ?? null };
  } catch (error) {
    if (error instanceof DecodeError) return { sha256: null, damage: error.reason };
    throw error;
  }
}

function duplicate(sha256: string, same: Entry[]): Duplicate {
  const differ = (values: (string | null)[]) => new Set(values.filter((value) => value !== null)).size > 1;
  return {
    sha256,
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
    lines.push(
      `${check.manifest}: ${check.samples} samples, ${check.classes.length} classes: ${check.classes.join(", ")}`,
    );
    lines.push(formatCounts(check.counts));
    if (check.ignoredColumns.length > 0)
      lines.push(`columns without a meaning here: ${check.ignoredColumns.join(", ")}`);
    lines.push(...some("no label at all", check.unlabelled, limit));
    lines.push(...some("aes_label, aes_score and raters disagree (the first given wins)", check.disagreeing, limit));
    lines.push("");
  }
  const name = ({ manifest, path }: Place) => (report.manifests.length > 1 ? `${manifest}: ${path}` : path);
  const places = ({ places }: Duplicate) => places.map((place) => `${name(place)} (${place.split})`).join(" = ");
  const { damaged, duplicates } = report;
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
  lines.push(report.ok ? "no damaged files, no leaks between splits, no conflicting labels" : "problems were found");
  return lines.join("\n");
}

function some(title: string, items: readonly string[], limit: number): string[] {
  if (items.length === 0) return [];
  const rest = items.length > limit ? [`  … and ${items.length - limit} more`] : [];
  return [`${title}: ${items.length}`, ...items.slice(0, limit).map((item) => `  ${item}`), ...rest];
}
