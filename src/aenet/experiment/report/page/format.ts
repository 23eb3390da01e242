/** Numbers as the page writes them. Pure. */
import type { Task } from "../../../architecture.ts";
import type { Gain } from "../analysis.ts";
import type { Estimate } from "../scores.ts";

export const taskNames: Readonly<Record<Task, string>> = { aes: "aesthetics", emo: "emotion" };

const minus = (text: string) => text.replace("-", "−");

/** 0.7451 as "74.5". */
export function percents(share: number): string {
  return minus((100 * share).toFixed(1));
}

/** 0.0121 as "+1.2"; what rounds to nothing has no sign. */
export function points(difference: number): string {
  return signed(difference, 1);
}

/** 0.0121 as "+1.21": where a limit that touches 0 has to be told from one that does not. */
export function finePoints(difference: number): string {
  return signed(difference, 2);
}

function signed(difference: number, digits: number): string {
  const text = (100 * difference).toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : minus(Number(text) > 0 ? `+${text}` : text);
}

/** 0.7451 as "74.51": for means that are compared with each other and lie close. */
export function finePercents(share: number): string {
  return minus((100 * share).toFixed(2));
}

/** "73.1 to 75.9"; a limit that is not there is unbounded. */
export function range(
  interval: { readonly low: number | null; readonly high: number | null },
  format: (value: number) => string,
): string {
  const limit = (value: number | null, edge: string) =>
    value === null || !Number.isFinite(value) ? edge : format(value);
  return `${limit(interval.low, "−∞")} to ${limit(interval.high, "∞")}`;
}

/** Three digits, and what is smaller than one in ten thousand as that. */
export function pValue(p: number): string {
  return p < 1e-4 ? "< 0.0001" : String(Number(p.toPrecision(3)));
}

/** "+1.2 (+1.6 %)": in points, and as a share of what is gained over. */
export function gainText(gain: Gain | null): string {
  return gain === null ? "–" : `${points(gain.absolute)} (${points(gain.relative)} %)`;
}

/** "74.5 ± 1.2" in percent. */
export function estimateText(estimate: Estimate | null, format: (value: number) => string = percents): string {
  if (estimate === null) return "–";
  return estimate.deviation === null
    ? format(estimate.value)
    : `${format(estimate.value)} ± ${format(estimate.deviation)}`;
}

/** A correlation, or an area: two decimals. */
export function decimals(value: number): string {
  return minus(value.toFixed(3));
}

/** 70560989 as "70.56 M". */
export function countText(count: number): string {
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)} M`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(1)} k` : String(count);
}
