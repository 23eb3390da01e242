/** Measurements as tables for people. Pure. */
import { alignLeft, alignRight, bytes as formatBytes, percent, short } from "../cli/text.ts";
import type { ProfileRow } from "./profile.ts";
import type { StepSummary } from "./step.ts";

const count = (value: number) => value.toLocaleString("en-US");
/** Four digits; a dash for null. */
export const milliseconds = (value: number | null): string => (value === null ? "–" : `${short(value)} ms`);

export function formatStep(step: StepSummary): string {
  const { ceilings } = step;
  const micro = step.micro_batch < step.batch_size ? ` in parts of ${step.micro_batch}` : "";
  return alignLeft([
    [
      "step",
      `${step.arch}, batch ${step.batch_size}${micro}, ${step.image_size}×${step.image_size}, ${step.precision}`,
    ],
    ["adapter", step.adapter],
    [
      "time",
      `${milliseconds(step.ms_median)} (median of ${step.steps}, ${short(step.ms_min)} to ${short(step.ms_max)})`,
    ],
    ["images", `${short(step.images_per_s)} a second`],
    ["ceilings", `${short(ceilings.gflop_per_s)} GFLOP/s, ${short(ceilings.gb_per_s)} GB/s copying, in this run`],
    ["work", `${short(step.operations / 1e9)} GFLOP, ${short(step.bytes / 1e9)} GB to move`],
    ["at the ceilings", `${milliseconds(step.ms_at_ceilings)}: the step reaches ${percent(step.share_of_ceilings)}`],
    ["JavaScript", `${milliseconds(step.ms_encode)} to encode and submit`],
    ["dispatches", `${count(step.dispatches)} of ${count(step.pipelines)} pipelines`],
    ["GPU memory", formatBytes(step.gpu_bytes)],
    ["to start", `${milliseconds(step.ms_build)} to build, first step ${milliseconds(step.ms_first_step)}`],
  ]);
}

const columns = [
  "ms",
  "time",
  "dispatches",
  "GFLOP",
  "MB",
  "of peak",
  "of copying",
  "of ceiling",
  "bound by",
  "strategy",
];

/** Rows as a table; those beyond `most` are only counted. */
export function formatRows(
  title: string,
  rows: readonly ProfileRow[],
  most: number = Number.POSITIVE_INFINITY,
): string {
  const shown = rows.slice(0, most);
  const rest = rows.slice(most);
  const cells = shown.map((row) => [
    row.name,
    row.ms === null ? "–" : row.ms.toFixed(2),
    percent(row.time_share),
    count(row.dispatches),
    row.operations === 0 ? "" : (row.operations / 1e9).toFixed(3),
    (row.bytes / 1e6).toFixed(1),
    row.operations === 0 ? "" : percent(row.peak_share),
    percent(row.copy_share),
    percent(row.ceiling_share),
    row.bound,
    row.strategy ?? "",
  ]);
  const share = rest.reduce((sum, row) => sum + (row.time_share ?? 0), 0);
  const more = rest.length > 0 ? `and ${rest.length} more, ${percent(share)} of the time (all with --json)\n` : "";
  return `${alignRight([[title, ...columns], ...cells])}${more}`;
}
