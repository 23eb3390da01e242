/**
 * `--init`: which of a network's tensors are loaded from which files.
 *
 * A file gives any subset of the names. Unprefixed names of a ResNet50's trunk (torchvision's and timm's are the same)
 * fill every stream; `--init-a`, `--init-s` and `--init-e` fill one stream and win over `--init`. Emotions are matched by
 * class name, never by index.
 */
import type { TensorData } from "../nn/safetensors.ts";
import { inStream } from "./architecture.ts";
import { compactNames } from "./compact-names.ts";
import { normaliseEmotion } from "./data/classes.ts";

export type InitFlag = "--init" | "--init-a" | "--init-s" | "--init-e";

export interface InitSource {
  readonly flag: InitFlag;
  /** For messages. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Names of head.emo's rows; see `readClasses`. */
  readonly classes: readonly string[];
}

export interface InitTarget {
  /** The network's tensors, running statistics included, in torchvision's names and layout (OIHW). */
  readonly tensors: ReadonlyMap<string, readonly number[]>;
  /** Prefixes of the streams; one empty name where there is only one. */
  readonly streams: readonly string[];
  readonly classes: readonly string[];
}

/** Where one of the network's tensors comes from. */
export interface InitLoad {
  readonly source: InitSource;
  /** Its name in the source. */
  readonly from: string;
  /** For head.emo with other classes: the source's row for each of ours, null where it has none. */
  readonly rows?: readonly (number | null)[];
}

export interface InitReport {
  readonly loaded: readonly { name: string; flag: InitFlag; path: string; from: string }[];
  /** Left as they were; a single row of head.emo as `head.emo.weight (class awe)`. */
  readonly missing: readonly string[];
  readonly ignored: readonly { name: string; flag: InitFlag; path: string; reason: string }[];
}

export interface InitPlan {
  /** By the network's names, in its order. */
  readonly loads: ReadonlyMap<string, InitLoad>;
  readonly report: InitReport;
}

/**
 * Decides what is loaded from where; reads shapes only.
 *
 * @throws Error where a tensor's shape differs from the network's (naming both), where a file gives nothing, where a
 *   stream does not exist, and, if `strict`, where anything is missing.
 */
export function planInitialization(target: InitTarget, sources: readonly InitSource[], strict = false): InitPlan {
  const found = new Map<string, InitLoad>();
  const ignored: InitReport["ignored"][number][] = [];
  const ignore = ({ flag, path }: InitSource, name: string, reason: string) =>
    ignored.push({ name, flag, path, reason });

  // A later claim replaces an earlier one: --init before the streams' own, unprefixed names before prefixed ones.
  const ordered = [...sources].sort((x, y) => Number(x.flag !== "--init") - Number(y.flag !== "--init"));
  const claims = ordered.flatMap((source) => claimsOf(source, target, ignore));
  for (const claim of claims)
    for (const name of claim.names) {
      const load = matchShapes(name, claim, target, ignore);
      if (load) found.set(name, load);
    }

  const used = [...found.values()];
  for (const { source, from, names } of claims)
    if (names.some((name) => found.has(name)) && !used.some((load) => load.source === source && load.from === from))
      ignore(source, from, "replaced by a more particular one");
  for (const source of sources) if (!used.some((load) => load.source === source)) throw nothingLoaded(source, ignored);

  const loads = new Map(
    [...target.tensors.keys()].flatMap((name) => {
      const load = found.get(name);
      return load ? [[name, load] as const] : [];
    }),
  );
  const missing = [...target.tensors.keys()].flatMap((name) => missingOf(name, loads.get(name), target.classes));
  if (strict && missing.length > 0)
    throw new Error(
      `--init-strict: ${missing.length} are missing: ${compactNames(missing, target.tensors.keys()).join(", ")}`,
    );
  const loaded = [...loads].map(([name, { source, from }]) => ({ name, flag: source.flag, path: source.path, from }));
  return { loads, report: { loaded, missing, ignored } };
}

/**
 * The values of a tensor that is loaded, in torchvision's layout. May share memory with the file's bytes.
 *
 * @param current The network's own initial values, kept in rows that the source does not have.
 */
export function loadedValues({ source, from, rows }: InitLoad, current: Float32Array): Float32Array {
  const { data, shape } = source.tensors.get(from)!;
  if (!rows) return data;
  const size = shape.slice(1).reduce((product, dimension) => product * dimension, 1);
  const values = current.slice();
  rows.forEach((row, i) => {
    if (row !== null) values.set(data.subarray(row * size, (row + 1) * size), i * size);
  });
  return values;
}

/** What was loaded, missing and ignored, on a few lines. */
export function formatInitReport(
  { loaded, missing, ignored }: InitReport,
  target: InitTarget,
  sources: readonly InitSource[],
): string {
  const all = [...target.tensors.keys()];
  const lines = [`initialised ${loaded.length} of ${all.length} tensors`];
  for (const [file, entries] of groupBy(loaded, ({ flag, path }) => `${flag} ${path}`))
    lines.push(
      `  loaded from ${file}: ${compactNames(
        entries.map(({ name }) => name),
        all,
      ).join(", ")}`,
    );
  lines.push(`  missing, left as initialised: ${compactNames(missing, all).join(", ") || "nothing"}`);
  for (const [why, entries] of groupBy(ignored, ({ flag, path, reason }) => `in ${flag} ${path} (${reason})`)) {
    const names = sources.find(({ flag }) => flag === entries[0]!.flag)?.tensors.keys() ?? [];
    lines.push(
      `  ignored ${why}: ${compactNames(
        entries.map(({ name }) => name),
        names,
      ).join(", ")}`,
    );
  }
  if (ignored.length === 0) lines.push("  ignored: nothing");
  return lines.join("\n");
}

interface Claim {
  source: InitSource;
  from: string;
  /** The network's tensors that it is meant for. */
  names: string[];
}

type Ignore = (source: InitSource, name: string, reason: string) => void;

function claimsOf(source: InitSource, { tensors, streams }: InitTarget, ignore: Ignore): Claim[] {
  const own = source.flag === "--init" ? null : source.flag.slice("--init-".length);
  if (own !== null && !streams.includes(own))
    throw new Error(
      `${source.flag} ${source.path}: the network has no stream ${own}; ` +
        (streams[0] === "" ? "it has only one, filled by --init" : `it has ${streams.join(", ")}`),
    );
  const shared: Claim[] = [];
  const particular: Claim[] = [];
  for (const from of source.tensors.keys()) {
    if (from.endsWith("num_batches_tracked")) continue;
    const isTrunk = /^(conv1|bn1|layer\d+)\./.test(from);
    const wanted = isTrunk
      ? (own === null ? streams : [own]).map((stream) => inStream(stream, from))
      : own === null || from.startsWith(`${own}.`)
        ? [from]
        : [];
    const names = wanted.filter((name) => tensors.has(name));
    if (names.length > 0) (isTrunk ? shared : particular).push({ source, from, names });
    else if (from.startsWith("fc.")) ignore(source, from, "another task's classifier, dropped");
    else ignore(source, from, wanted.length === 0 ? `not of stream ${own}` : "not in this network");
  }
  return [...shared, ...particular];
}

/** The load of `name` by this claim; null where head.emo has none of our classes. */
function matchShapes(name: string, { source, from }: Claim, target: InitTarget, ignore: Ignore): InitLoad | null {
  const shape = source.tensors.get(from)!.shape;
  const expected = target.tensors.get(name)!;
  const rows = name.startsWith("head.emo.") ? matchClasses(from, source, target) : undefined;
  const comparable = rows ? [shape.length, ...shape.slice(1)] : shape;
  const wanted = rows ? [expected.length, ...expected.slice(1)] : expected;
  if (comparable.join() !== wanted.join())
    throw new Error(
      `${source.flag} ${source.path}: ${from} is [${shape.join(", ")}], but ${name} of the network is [${expected.join(", ")}]`,
    );
  if (!rows) return { source, from };
  source.classes.forEach((emotion, i) => {
    if (!rows.includes(i)) ignore(source, `${from} (class ${emotion})`, "not a class of this network");
  });
  return rows.some((row) => row !== null) ? { source, from, rows } : null;
}

/** The source's row for each of our classes; undefined where both have the same classes in the same order. */
function matchClasses(from: string, source: InitSource, target: InitTarget): (number | null)[] | undefined {
  const count = source.tensors.get(from)!.shape[0];
  if (count !== source.classes.length)
    throw new Error(
      `${source.flag} ${source.path}: ${from} has ${count ?? "no"} rows, but the file names ${source.classes.length} classes`,
    );
  const names = source.classes.map(normaliseEmotion);
  const rows = target.classes.map((emotion) => {
    const row = names.indexOf(normaliseEmotion(emotion));
    return row < 0 ? null : row;
  });
  return rows.length === names.length && rows.every((row, i) => row === i) ? undefined : rows;
}

function missingOf(name: string, load: InitLoad | undefined, classes: readonly string[]): string[] {
  if (!load) return [name];
  return (load.rows ?? []).flatMap((row, i) => (row === null ? [`${name} (class ${classes[i]})`] : []));
}

function nothingLoaded(source: InitSource, ignored: InitReport["ignored"]): Error {
  const [first] = ignored.filter(({ flag }) => flag === source.flag);
  const example = first ? `; for example ${first.name}: ${first.reason}` : "";
  return new Error(`${source.flag} ${source.path}: nothing of its ${source.tensors.size} tensors is loaded${example}`);
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}
