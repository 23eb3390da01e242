/** Estimates with their intervals and the single values behind them, one row each, along one axis. Pure. */
import type { Interval } from "../../../statistics.ts";
import { element, fragment, type Markup } from "../markup.ts";
import { fill, inkFill, inkStroke, stroke } from "../palette.ts";
import { type Chart, type Format, linearScale, niceDomain, shorten, text, textWidth, xAxis } from "../svg.ts";

export interface IntervalRow {
  readonly label: string;
  /** Null for nothing yet. */
  readonly value: number | null;
  /** A limit that is not finite is drawn to the edge. */
  readonly interval: Interval | null;
  readonly points: readonly number[];
  /** Right of the plot, in words. */
  readonly note: string;
  readonly series: number;
}

export interface IntervalChart {
  readonly title: string;
  readonly heading: string;
  readonly axis: string;
  readonly rows: readonly IntervalRow[];
  /** A line across all rows, such as 0 or the majority. */
  readonly reference: { readonly at: number; readonly label: string } | null;
  readonly format: Format;
  /** Ends of the axis that have to be seen. */
  readonly include?: readonly number[];
}

const rowHeight = 30;

export function intervalChart({ title, heading, axis, rows, reference, format, include = [] }: IntervalChart): Chart {
  const width = 860;
  const labels = rows.map(({ label }) => shorten(label, 320));
  const left = Math.min(320, Math.max(60, ...labels.map((label) => textWidth(label))) + 12);
  const right = width - Math.max(24, ...rows.map(({ note }) => textWidth(note, 11) + 14));
  const top = reference === null ? 34 : 52;
  const bottom = top + rows.length * rowHeight;
  const height = bottom + 42;
  const finite = rows.flatMap(({ value, interval, points }) =>
    [value ?? Number.NaN, interval?.low ?? Number.NaN, interval?.high ?? Number.NaN, ...points].filter(Number.isFinite),
  );
  const seen = [...finite, ...include, ...(reference ? [reference.at] : [])];
  const x = linearScale(niceDomain([Math.min(...seen), Math.max(...seen)], 6), [left, right]);
  const inside = (value: number) => Math.min(right, Math.max(left, x(value)));
  return {
    width,
    height,
    title,
    body: fragment(
      text(0, 16, heading, { "font-weight": 600 }),
      reference &&
        fragment(
          element("line", {
            x1: x(reference.at),
            x2: x(reference.at),
            y1: top - 8,
            y2: bottom,
            "stroke-dasharray": "4 3",
            ...inkStroke("muted"),
          }),
          text(
            Math.min(
              right - textWidth(reference.label, 11) / 2,
              Math.max(left + textWidth(reference.label, 11) / 2, x(reference.at)),
            ),
            top - 12,
            reference.label,
            { "text-anchor": "middle", "font-size": 11, ...inkFill("muted") },
          ),
        ),
      rows.map((row, i) => intervalRow(row, labels[i]!, top + (i + 0.5) * rowHeight, { left, right, inside })),
      xAxis(x, bottom + 4, format, 6),
      text((left + right) / 2, bottom + 38, axis, { "text-anchor": "middle", "font-size": 11, ...inkFill("muted") }),
    ),
  };
}

function intervalRow(
  { value, interval, points, note, series }: IntervalRow,
  label: string,
  y: number,
  { left, right, inside }: { left: number; right: number; inside: (value: number) => number },
): Markup {
  return element(
    "g",
    {},
    text(left - 10, y + 4, label, { "text-anchor": "end" }),
    element("line", { x1: left, x2: right, y1: y, y2: y, ...inkStroke("grid") }),
    points.map((point) =>
      element("circle", { cx: inside(point), cy: y, r: 3.2, "fill-opacity": 0.35, ...fill(series) }),
    ),
    interval &&
      fragment(
        element("line", {
          x1: inside(interval.low),
          x2: inside(interval.high),
          y1: y,
          y2: y,
          "stroke-width": 3,
          "stroke-linecap": "round",
          ...stroke(series),
        }),
        [interval.low, interval.high].filter(Number.isFinite).map((limit) =>
          element("line", {
            x1: inside(limit),
            x2: inside(limit),
            y1: y - 6,
            y2: y + 6,
            "stroke-width": 2,
            ...stroke(series),
          }),
        ),
      ),
    value === null
      ? null
      : element("circle", { cx: inside(value), cy: y, r: 5.5, "stroke-width": 2, ...dotOver(series) }),
    text(right + 12, y + 4, note, { "font-size": 11 }),
  );
}

/** A dot that stands out from the dots and lines below it, on a dark page too. */
function dotOver(series: number): Record<string, string> {
  const [dot, line] = [fill(series), inkStroke("paper")];
  return { ...dot, ...line, class: `${dot.class} ${line.class}` };
}
