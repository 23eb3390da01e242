/**
 * A profile of several rounds, summed by kernel, by operation or by anything else. Every ratio is taken within a round,
 * against the ceilings measured in that round, and the median of the rounds counts. Pure.
 */
import type { CeilingSample } from "../../kernels/ceilings.ts";
import type { DispatchLabel, ProfiledDispatch } from "../../kernels/profiler.ts";

export interface ProfileRound {
  readonly ceilings: CeilingSample;
  /** The dispatches of one step, the same in every round but for their times. */
  readonly dispatches: readonly ProfiledDispatch[];
}

/** Dispatches that belong together. */
export interface ProfileRow {
  readonly name: string;
  readonly dispatches: number;
  /** Multiplications and additions. */
  readonly operations: number;
  /** Bytes that must move. */
  readonly bytes: number;
  /** Milliseconds in a step; null where the adapter has no timestamps, and so is what follows from it. */
  readonly ms: number | null;
  /** Share of the sum over all dispatches: a median over the rounds by itself, so that shares add up to about 1. */
  readonly time_share: number | null;
  /** Operations against the peak rate. */
  readonly peak_share: number | null;
  /** Bytes against copying's rate. */
  readonly copy_share: number | null;
  /** Time at the nearer ceiling of each dispatch, over the time taken. */
  readonly ceiling_share: number | null;
  /** What ceiling most of the ideal time lies at. */
  readonly bound: "operations" | "bytes";
  /** How its matrix products are computed, with a comma between where they differ; null where there are none. */
  readonly strategy: string | null;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const secondsOf = ({ time }: ProfiledDispatch) => (time ? (time.end - time.begin) / 1e9 : Number.NaN);

const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0);

/** Seconds at the peak rate, and at copying's rate. */
export const idealSeconds = (
  { operations, bytes }: Pick<DispatchLabel, "operations" | "bytes">,
  ceilings: CeilingSample,
): [number, number] => [operations / ceilings.operationsPerSecond, bytes / ceilings.bytesPerSecond];

/** The dispatches by the name that `nameOf` gives them (null leaves one out), the slowest first. */
export function summarize(
  rounds: readonly ProfileRound[],
  nameOf: (dispatch: DispatchLabel, index: number, all: readonly DispatchLabel[]) => string | null,
): ProfileRow[] {
  const labels = rounds[0]?.dispatches ?? [];
  if (rounds.some(({ dispatches }) => dispatches.length !== labels.length)) {
    throw new Error("a profile's rounds have different dispatches");
  }
  const groups = new Map<string, number[]>();
  labels.forEach((label, i) => {
    const name = nameOf(label, i, labels);
    if (name !== null) groups.set(name, [...(groups.get(name) ?? []), i]);
  });
  const rows = [...groups].map(([name, indices]): ProfileRow => {
    const members = indices.map((i) => labels[i]!);
    const operations = sum(members, (d) => d.operations);
    const bytes = sum(members, (d) => d.bytes);
    const taken = ({ dispatches }: ProfileRound) => sum(indices, (i) => secondsOf(dispatches[i]!));
    const middle = (of: (round: ProfileRound) => number) => {
      const value = median(rounds.map(of));
      return Number.isFinite(value) ? value : null;
    };
    const ideal = (round: ProfileRound, which: 0 | 1) => sum(members, (d) => idealSeconds(d, round.ceilings)[which]);
    return {
      name,
      dispatches: indices.length,
      operations,
      bytes,
      ms: middle((round) => 1000 * taken(round)),
      time_share: middle((round) => taken(round) / sum(round.dispatches, secondsOf)),
      peak_share: middle((round) => ideal(round, 0) / taken(round)),
      copy_share: middle((round) => ideal(round, 1) / taken(round)),
      ceiling_share: middle(
        (round) => sum(members, (d) => Math.max(...idealSeconds(d, round.ceilings))) / taken(round),
      ),
      bound: rounds[0] && ideal(rounds[0], 0) > ideal(rounds[0], 1) ? "operations" : "bytes",
      strategy: [...new Set(members.flatMap((d) => d.strategy ?? []))].sort().join(", ") || null,
    };
  });
  return rows.sort((a, b) => (b.ms ?? b.bytes) - (a.ms ?? a.bytes));
}

export const byKernel = (d: DispatchLabel): string => d.kernel;
export const byOperation = (d: DispatchLabel): string => d.operation;
/** "layer1.0.conv2.conv2d backward" is a "conv2d backward"; an operation of a single kernel has the kernel's name. */
export const byKind = (d: DispatchLabel): string => d.operation.replace(/^.*\.(?=[^.]*$)/, "");
