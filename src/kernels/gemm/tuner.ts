/**
 * The tuner: for each class of products the fastest of the adapter's candidates, by a short measurement whose results
 * outlive the process in a store. It never holds a program up for long: what does not fit the budget is left undecided.
 */
import type { Device } from "../device.ts";
import { bindingsOf, type Dispatch, moduleSource, withHalves } from "../kernel.ts";
import type { OpenClass, Tuner } from "./choices.ts";
import type { GemmTile } from "./core.ts";
import { type Stopwatch, trialStopwatch } from "./stopwatch.ts";
import { candidateTiles, type Precision, sharedTile, tileName } from "./tiles.ts";

/** Where measurements are kept: texts by key. */
export interface TileStore {
  /** The text written last under the key, or null. */
  read(key: string): Promise<string | null>;
  write(key: string, text: string): Promise<void>;
}

export interface TunerOptions {
  readonly store: TileStore;
  /** Lines for people: that something is measured, that the store is damaged. */
  readonly note?: (line: string) => void;
  /** Most time for the measurements of one call. Default 6000. */
  readonly budgetMs?: number;
  /** Times a class's candidates; the default runs them on the device. */
  readonly stopwatch?: (device: Device, candidates: readonly (readonly Dispatch<number>[])[]) => Promise<Stopwatch>;
  /** Milliseconds. Default performance.now. */
  readonly now?: () => number;
}

const defaultBudgetMs = 6000;

/**
 * For each time that candidates are timed, of which the least counts: one that is slower than the best by more than this is
 * out then. A single time says less than two.
 */
const margins = [1.5, 1.25, 1.25];

/** Operations of the very first trial, which tells how fast the device is. */
const firstOperations = 2 ** 30;
/** How long a trial is to take. One that is soon over has too few workgroups to fill a large GPU, as the product itself does. */
const trialSeconds = 0.003;

/**
 * The index of the fastest of `count` candidates, or null if there was no time for even one round.
 * @param time a candidate's time in any unit; one that throws is out.
 */
export async function fastest(
  count: number,
  time: (candidate: number) => Promise<number>,
  isLate: () => boolean,
): Promise<number | null> {
  const best = new Array<number>(count).fill(Number.POSITIVE_INFINITY);
  let left = Array.from({ length: count }, (_, i) => i);
  for (const [round, margin] of margins.entries()) {
    for (const candidate of left) {
      if (isLate()) return round === 0 ? null : least(best);
      try {
        best[candidate] = Math.min(best[candidate]!, await time(candidate));
      } catch {
        best[candidate] = Number.NaN; // a driver that cannot run it
      }
    }
    const limit = margin * Math.min(...best.filter((value) => !Number.isNaN(value)));
    left = left.filter((candidate) => best[candidate]! <= limit);
    if (left.length <= 1) break;
  }
  return left.length === 0 ? null : least(best);
}

/** The index of the least; NaN is never it. */
function least(values: readonly number[]): number {
  return values.reduce((best, value, i) => (Number.isNaN(values[best]!) || value < values[best]! ? i : best), 0);
}

/** A tuner for a device, to be its `tiles.tuner`. */
export function createTuner(device: Device, options: TunerOptions): Tuner {
  const { store, note = () => {}, budgetMs = defaultBudgetMs, stopwatch = trialStopwatch } = options;
  const now = options.now ?? (() => performance.now());
  const key = storeKey(device);
  /** Operations of a trial that takes its time here; not known before the first. */
  let trialOperations: number | null = null;

  async function measure(
    { product, precision }: OpenClass,
    candidates: readonly GemmTile[],
    isLate: () => boolean,
  ): Promise<GemmTile | null> {
    const trial = (tile: GemmTile, operations: number) =>
      product.trial(tile, operations).map((dispatch) => stored(dispatch, precision));
    async function timing<T>(trials: readonly Dispatch<number>[][], use: (watch: Stopwatch) => Promise<T>): Promise<T> {
      const watch = await stopwatch(device, trials);
      try {
        return await use(watch);
      } finally {
        watch.destroy();
      }
    }
    try {
      if (trialOperations === null) {
        const first = trial(sharedTile, firstOperations);
        const done = first.reduce((sum, { operations }) => sum + operations, 0);
        trialOperations = await timing([first], async ({ time }) => (done / (await time(0))) * trialSeconds);
      }
      const operations = trialOperations;
      const trials = candidates.map((tile) => trial(tile, operations));
      const found = await timing(trials, ({ time }) => fastest(candidates.length, time, isLate));
      return found === null ? null : candidates[found]!;
    } catch {
      return null; // no memory for it: the program itself will tell
    }
  }

  return async (classes) => {
    const found = new Map<string, GemmTile>();
    const known = await readStore(store, key, note);
    const missing: { open: OpenClass; candidates: GemmTile[]; entry: string }[] = [];
    for (const open of classes) {
      const candidates = candidateTiles(device, open.product, open.precision);
      const entry = `${open.name} ${generatorVersion(open, candidates)}`;
      const tile = candidates.find((candidate) => tileName(candidate) === known[entry]);
      if (tile) found.set(open.name, tile);
      else missing.push({ open, candidates, entry });
    }
    if (missing.length === 0) return found;

    note(`measuring the matrix products of ${missing.length} shapes on this adapter, once; --no-tune goes without`);
    const end = now() + budgetMs;
    // What is computed most goes first.
    const work = ({ open: { product, count } }: (typeof missing)[number]) =>
      count * product.slices * product.rows * product.columns * product.depth;
    missing.sort((a, b) => work(b) - work(a));
    const measured: Record<string, string> = {};
    for (const { open, candidates, entry } of missing) {
      if (now() >= end) break;
      const tile = await measure(open, candidates, () => now() >= end);
      if (!tile) continue;
      found.set(open.name, tile);
      measured[entry] = tileName(tile);
    }
    const left = missing.length - Object.keys(measured).length;
    if (left > 0) note(`${left} of them were left for another time, and take kernels that every adapter can run`);
    await updateStore(store, key, measured, note);
    return found;
  };
}

/** The dispatch on tensors that are stored in the precision, where the kernel leaves that open. */
function stored(dispatch: Dispatch<number>, precision: Precision): Dispatch<number> {
  if (precision === "f32") return dispatch;
  const open = bindingsOf(dispatch.kernel).flatMap(({ name, type }) => (type === "vec4" ? name : []));
  return { ...dispatch, kernel: withHalves(dispatch.kernel, open) };
}

/** What a measurement belongs to: the adapter and its driver. */
function storeKey({ adapterInfo }: Device): string {
  const { vendor, architecture, device, description } = adapterInfo;
  return JSON.stringify({ vendor, architecture, device, description });
}

/** To be raised when candidates are measured otherwise than before. */
const method = 2;

/** Changes with the WGSL of any candidate, and with how they are measured, so that nothing is believed that may not hold. */
function generatorVersion({ product, precision }: OpenClass, candidates: readonly GemmTile[]): string {
  const trials = candidates.flatMap((tile) => product.trial(tile, firstOperations));
  const text = [`${method}`, ...trials.map((trial) => moduleSource(stored(trial, precision).kernel))].join();
  // FNV-1a over UTF-16 units, twice with other bases, as one of 32 bits is short for a key.
  let [a, b] = [0x811c9dc5, 0x01234567];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x01000193);
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

async function readStore(
  store: TileStore,
  key: string,
  note: (line: string) => void,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const text = await store.read(key);
    if (text === null) return {};
    const entries: unknown = JSON.parse(text);
    if (typeof entries === "object" && entries !== null && !Array.isArray(entries)) {
      return entries as Record<string, unknown>;
    }
    throw new Error("it is not a JSON object");
  } catch (error) {
    note(`the measurements kept for this adapter cannot be read (${(error as Error).message}); they are made anew`);
    return {};
  }
}

/** Adds to what is in the store by now: another process may have measured, too. */
async function updateStore(
  store: TileStore,
  key: string,
  measured: Readonly<Record<string, string>>,
  note: (line: string) => void,
): Promise<void> {
  if (Object.keys(measured).length === 0) return;
  try {
    const former = await readStore(store, key, () => {});
    await store.write(key, `${JSON.stringify({ ...former, ...measured }, null, 2)}\n`);
  } catch (error) {
    note(`the measurements cannot be kept: ${(error as Error).message}`);
  }
}

/** A store that ends with the process. */
export function memoryStore(): TileStore {
  const texts = new Map<string, string>();
  return {
    async read(key) {
      return texts.get(key) ?? null;
    },
    async write(key, text) {
      texts.set(key, text);
    },
  };
}
