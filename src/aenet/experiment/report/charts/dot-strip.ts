/** Single values along one axis, a strip each, with their mean and the mean without the most extreme one. Pure. */
import { element, fragment, type Markup } from "../markup.ts";
import { fill, inkFill, inkStroke, stroke } from "../palette.ts";
import {
  type Chart,
  type Format,
  linearScale,
  niceDomain,
  type Scale,
  shorten,
  text,
  textWidth,
  xAxis,
} from "../svg.ts";

export interface DotStrip {
  readonly label: string;
  readonly dots: readonly { readonly name: string; readonly value: number }[];
  readonly mean: number | null;
  /** Named beside its dot. */
  readonly extreme: { readonly name: string; readonly meanWithout: number } | null;
  readonly series: number;
}

export interface DotStripChart {
  readonly title: string;
  readonly heading: string;
  readonly axis: string;
  readonly strips: readonly DotStrip[];
  /** A line across all strips, such as 0. */
  readonly reference: number;
  readonly format: Format;
}

const rowHeight = 46;
const radius = 3.6;

export function dotStripChart({ title, heading, axis, strips, reference, format }: DotStripChart): Chart {
  const width = 860;
  const labels = strips.map(({ label }) => shorten(label, 320));
  const left = Math.min(320, Math.max(60, ...labels.map((label) => textWidth(label))) + 12);
  const right = width - 24;
  const top = 34;
  const bottom = top + strips.length * rowHeight;
  const seen = [reference, ...strips.flatMap(({ dots }) => dots.map(({ value }) => value))];
  const x = linearScale(niceDomain([Math.min(...seen), Math.max(...seen)], 6), [left, right]);
  return {
    width,
    height: bottom + 42,
    title,
    body: fragment(
      text(0, 16, heading, { "font-weight": 600 }),
      element("line", {
        x1: x(reference),
        x2: x(reference),
        y1: top - 8,
        y2: bottom,
        "stroke-dasharray": "4 3",
        ...inkStroke("muted"),
      }),
      strips.map((of, i) => strip(of, labels[i]!, top + (i + 0.5) * rowHeight, x, format)),
      xAxis(x, bottom + 4, format, 6),
      text((left + right) / 2, bottom + 38, axis, { "text-anchor": "middle", "font-size": 11, ...inkFill("muted") }),
    ),
  };
}

function strip({ label, dots, mean, extreme, series }: DotStrip, name: string, y: number, x: Scale, format: Format) {
  const [left, right] = x.range;
  const heights = stacked(dots.map(({ value }) => x(value)));
  return element(
    "g",
    {},
    element("title", {}, label),
    text(left - 10, y + 4, name, { "text-anchor": "end" }),
    element("line", { x1: left, x2: right, y1: y, y2: y, ...inkStroke("grid") }),
    dots.map(({ name, value }, i) =>
      element(
        "g",
        {},
        element("title", {}, `${name}: ${format(value)}`),
        element("circle", { cx: x(value), cy: y + heights[i]!, r: radius, "fill-opacity": 0.55, ...fill(series) }),
      ),
    ),
    mean === null ? null : meanMark(x(mean), y, series, null),
    extreme && meanMark(x(extreme.meanWithout), y, series, "3 2"),
    dots
      .filter(({ name }) => name === extreme?.name)
      .map(({ name, value }) =>
        text(
          Math.min(right - textWidth(name, 11) / 2, Math.max(left + textWidth(name, 11) / 2, x(value))),
          y - 9,
          name,
          {
            "text-anchor": "middle",
            "font-size": 11,
            ...inkFill("muted"),
          },
        ),
      ),
  );
}

function meanMark(at: number, y: number, series: number, dashes: string | null): Markup {
  return element("line", {
    x1: at,
    x2: at,
    y1: y - 15,
    y2: y + 15,
    "stroke-width": 2,
    "stroke-dasharray": dashes,
    ...stroke(series),
  });
}

/** Offsets from the strip's middle, so that no dot lies on another that is there before it. */
function stacked(positions: readonly number[]): number[] {
  const offsets: number[] = [];
  const levels = [0, 1, -1, 2, -2].map((level) => level * radius * 1.8);
  positions.forEach((at, i) => {
    const isFree = (offset: number) =>
      offsets.every((other, j) => Math.hypot(positions[j]! - at, other - offset) >= 1.8 * radius);
    offsets[i] = levels.find(isFree) ?? 0;
  });
  return offsets;
}
