/** Loss, accuracy and fusion weights over epochs: each seed's, and their mean. Pure. */
import type { EpochCurve, FusionHistory, NetworkHistory, RunResult } from "../results.ts";
import { mean } from "../statistics/summary.ts";

export type CurveName = "loss" | "acc_aes" | "acc_emo";

/** One quantity of one split. */
export interface Curve {
  readonly quantity: CurveName;
  readonly split: EpochCurve["split"];
  /** One line a network: of every seed, and of every member of an ensemble. */
  readonly runs: readonly { readonly epoch: readonly number[]; readonly value: readonly (number | null)[] }[];
  /** Over the runs, at epochs that all of them have. */
  readonly mean: { readonly epoch: readonly number[]; readonly value: readonly number[] };
}

/** Curves of networks that are alike (of one method in one cell, answering the same tasks); none without values. */
export function curvesOf(networks: readonly NetworkHistory[]): Curve[] {
  const curves: Curve[] = [];
  for (const quantity of ["loss", "acc_aes", "acc_emo"] as const)
    for (const split of ["train", "val", "test"] as const) {
      const lines = networks
        .flatMap(({ epochs }) => epochs.filter((curve) => curve.split === split))
        .map((curve) => ({ epoch: curve.epoch, value: curve[quantity] }))
        .filter(({ value }) => value.some((number) => number !== null));
      if (lines.length > 0) curves.push({ quantity, split, runs: lines, mean: meanLine(lines) });
    }
  return curves;
}

function meanLine(lines: Curve["runs"]): Curve["mean"] {
  const maps = lines.map(({ epoch, value }) => new Map(epoch.map((at, i) => [at, value[i]!])));
  const shared = [...maps[0]!.keys()].filter((at) => maps.every((map) => typeof map.get(at) === "number"));
  return { epoch: shared, value: shared.map((at) => mean(maps.map((map) => map.get(at)!))) };
}

/** What part of each fused map comes from the other stream, the mean over runs; [epochs][points], null where undefined. */
export interface FusionRatios {
  /** Which other stream: all streams' shared one, or in a cross-stitched network the other task's. */
  readonly from: "shared stream" | "other stream";
  readonly epoch: readonly number[];
  readonly points: readonly number[];
  /** α_s / (α_p + α_s): only the ratio matters where a batch norm follows. */
  readonly alpha: readonly (readonly (number | null)[])[];
  /** β_s / (β_p + β_s). */
  readonly beta: readonly (readonly (number | null)[])[];
}

/** Over the epochs and points of the first run, as far as all runs have them; null without fusion weights. */
export function fusionRatios(runs: readonly RunResult[]): FusionRatios | null {
  const histories = runs.flatMap(({ fusion }) => (fusion === null ? [] : [fusion]));
  const [first] = histories;
  if (first === undefined) return null;
  const epoch = first.epoch.filter((at) => histories.every((history) => history.epoch.includes(at)));
  const points = first.points.filter((point) => histories.every((history) => history.points.includes(point)));
  const ratios = (shared: "alpha_s" | "beta_s", own: "alpha_p" | "beta_p") =>
    epoch.map((at) =>
      points.map((point) => {
        const found = histories.map((history) => ratioAt(history, shared, own, at, point));
        return found.every(Number.isFinite) ? mean(found) : null;
      }),
    );
  const isStitched = runs.some(({ networks }) => networks.some(({ arch }) => arch === "csnet"));
  const from = isStitched ? "other stream" : "shared stream";
  return { from, epoch, points, alpha: ratios("alpha_s", "alpha_p"), beta: ratios("beta_s", "beta_p") };
}

function ratioAt(
  history: FusionHistory,
  shared: "alpha_s" | "beta_s",
  own: "alpha_p" | "beta_p",
  epoch: number,
  point: number,
): number {
  const [i, j] = [history.epoch.indexOf(epoch), history.points.indexOf(point)];
  const [s, p] = [history[shared][i]![j]!, history[own][i]![j]!];
  return s / (p + s);
}
