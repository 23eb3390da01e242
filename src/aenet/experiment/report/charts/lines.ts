/** A few lines over epochs, each named at its end, with the single runs behind them. Pure. */
import { element, fragment } from "../markup.ts";
import { fill, inkFill, stroke } from "../palette.ts";
import {
  type Chart,
  type Format,
  linearScale,
  linePath,
  niceDomain,
  spread,
  text,
  textWidth,
  xAxis,
  yAxis,
} from "../svg.ts";

export interface Line {
  readonly label: string;
  readonly series: number;
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
  /** Single runs, thin. */
  readonly behind?: readonly { readonly x: readonly number[]; readonly y: readonly (number | null)[] }[];
}

export interface LineChart {
  readonly title: string;
  readonly heading: string;
  readonly lines: readonly Line[];
  readonly format: Format;
  readonly axis: string;
  /** Values of y that have to be seen. */
  readonly include?: readonly number[];
}

export function lineChart({ title, heading, lines, format, axis, include = [] }: LineChart): Chart {
  const [width, height] = [340, 220];
  const [top, bottom, left] = [34, height - 42, 48];
  const right = width - Math.max(30, ...lines.map(({ label }) => textWidth(label, 11) + 12));
  const all = lines.flatMap((line) => [line, ...(line.behind ?? [])]);
  const xs = all.flatMap(({ x }) => x);
  const ys = [...all.flatMap(({ y }) => y).filter((value) => value !== null), ...include];
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const x = linearScale([first, Math.max(last, first + 1)], [left, right]);
  const y = linearScale(niceDomain([Math.min(...ys), Math.max(...ys)], 4), [bottom, top]);
  const points = (line: { readonly x: readonly number[]; readonly y: readonly (number | null)[] }) =>
    line.x.map((at, i) => (line.y[i] === null ? null : ([x(at), y(line.y[i]!)] as const)));
  const ends = lines.map((line) => points(line).findLast((point) => point !== null) ?? null);
  const labels = spread(
    ends.map((end) => end?.[1] ?? bottom),
    13,
    top,
    bottom,
  );
  return {
    width,
    height,
    title,
    body: fragment(
      text(0, 16, heading, { "font-weight": 600 }),
      yAxis(y, left, right, format, 4),
      lines.map(({ behind = [], series }) =>
        behind.map((run) =>
          element("path", { d: linePath(points(run)), fill: "none", "stroke-opacity": 0.3, ...stroke(series) }),
        ),
      ),
      lines.map((line) =>
        element("path", { d: linePath(points(line)), fill: "none", "stroke-width": 2.2, ...stroke(line.series) }),
      ),
      lines.map(({ label, series }, i) =>
        ends[i]
          ? fragment(
              element("circle", { cx: ends[i]![0], cy: ends[i]![1], r: 2.6, ...fill(series) }),
              text(right + 8, labels[i]! + 4, label, { "font-size": 11, ...fill(series) }),
            )
          : null,
      ),
      xAxis(
        x,
        bottom + 4,
        (value) => (Number.isInteger(value) ? String(value) : ""),
        Math.min(6, Math.max(1, last - first)),
      ),
      text((left + right) / 2, height - 4, axis, { "text-anchor": "middle", "font-size": 11, ...inkFill("muted") }),
    ),
  };
}
