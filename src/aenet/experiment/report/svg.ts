/** The parts that charts are made of: scales, ticks, axes, labels that do not lie on each other. Pure. */
import { type Child, element, type Markup, verbatim } from "./markup.ts";
import { darkRules, inkFill, inkStroke } from "./palette.ts";

/** A drawing of width × height pixels; `title` says in a sentence what is to be seen, for who does not see it. */
export interface Chart {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly body: Markup;
}

/** For a page, as wide as there is room up to its own width. The page's style sheet has the dark colours. */
export function inlineSvg({ width, height, title, body }: Chart): Markup {
  return element(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": title,
      "font-family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
      "font-size": 12,
    },
    element("title", {}, title),
    body,
  );
}

/** For a file of its own, light or dark as its reader's system. */
export function svgFile({ width, height, title, body }: Chart): string {
  const { source } = element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "font-family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
      "font-size": 12,
    },
    element("title", {}, title),
    element("style", {}, verbatim(`@media (prefers-color-scheme: dark){${darkRules}}`)),
    element("rect", { width, height, ...inkFill("paper") }),
    body,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${source}\n`;
}

export interface Scale {
  (value: number): number;
  readonly domain: readonly [number, number];
  readonly range: readonly [number, number];
}

/** Linear from domain to range (pixels). */
export function linearScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const [from, to] = domain;
  const span = to - from || 1;
  const scale = (value: number) => range[0] + ((value - from) / span) * (range[1] - range[0]);
  return Object.assign(scale, { domain, range });
}

/** At most some `count` multiples of 1, 2 or 5 times a power of ten within the domain. */
export function ticks([from, to]: readonly [number, number], count = 5): number[] {
  const step = tickStep((to - from) / count);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => cleanNumber((first + i) * step));
}

/** The domain widened to whole ticks. */
export function niceDomain([from, to]: readonly [number, number], count = 5): [number, number] {
  const step = tickStep((to > from ? to - from : Math.abs(from) || 1) / count);
  return [
    cleanNumber(Math.floor(from / step + 1e-9) * step),
    cleanNumber(Math.ceil((to > from ? to : from + step) / step - 1e-9) * step),
  ];
}

function tickStep(raw: number): number {
  if (!(raw > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return cleanNumber([1, 2, 5, 10].map((step) => step * power).find((step) => step >= raw * (1 - 1e-9))!);
}

/** 0.30000000000000004 as 0.3. */
function cleanNumber(value: number): number {
  return Number(value.toPrecision(12)) || 0;
}

export type Format = (value: number) => string;

/** 12641 as "12,641". */
export function thousands(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Lines across the plot at the ticks of y, and their numbers left of it. */
export function yAxis(y: Scale, left: number, right: number, format: Format, count = 5): Markup[] {
  return ticks([Math.min(...y.domain), Math.max(...y.domain)], count).map((value) =>
    element(
      "g",
      {},
      element("line", { x1: left, x2: right, y1: y(value), y2: y(value), ...inkStroke("grid") }),
      text(left - 6, y(value) + 4, format(value), { "text-anchor": "end", ...inkFill("muted"), "font-size": 11 }),
    ),
  );
}

/** The line under the plot, with numbers at the ticks of x. */
export function xAxis(x: Scale, bottom: number, format: Format, count = 6): Markup[] {
  return [
    element("line", { x1: x.range[0], x2: x.range[1], y1: bottom, y2: bottom, ...inkStroke("muted") }),
    ...ticks(x.domain as [number, number], count).map((value) =>
      element(
        "g",
        {},
        element("line", { x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4, ...inkStroke("muted") }),
        text(x(value), bottom + 16, format(value), { "text-anchor": "middle", ...inkFill("muted"), "font-size": 11 }),
      ),
    ),
  ];
}

export function text(x: number, y: number, content: Child, attributes: Record<string, string | number> = {}): Markup {
  return element("text", { x, y, ...inkFill("text"), ...attributes }, content);
}

/** Points as a line; null breaks it. */
export function linePath(points: readonly (readonly [number, number] | null)[]): string {
  let pen = "M";
  return points
    .map((point) => {
      if (point === null) {
        pen = "M";
        return "";
      }
      const command = `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      pen = "L";
      return command;
    })
    .join("");
}

/** Positions moved apart until neighbours are `gap` from each other, in their order, within [low, high] if there is room. */
export function spread(positions: readonly number[], gap: number, low: number, high: number): number[] {
  const order = positions.map((_, i) => i).sort((i, j) => positions[i]! - positions[j]! || i - j);
  const placed = order.map((i) => Math.min(high, Math.max(low, positions[i]!)));
  for (let i = 1; i < placed.length; i++) placed[i] = Math.max(placed[i]!, placed[i - 1]! + gap);
  const last = placed.length - 1;
  if (last >= 0 && placed[last]! > high) {
    placed[last] = Math.max(high, low + last * gap);
    for (let i = last - 1; i >= 0; i--) placed[i] = Math.min(placed[i]!, placed[i + 1]! - gap);
  }
  const result = new Array<number>(positions.length);
  order.forEach((original, i) => {
    result[original] = placed[i]!;
  });
  return result;
}

/** A name cut to some width at 12 pixels a line, as a browser's usual fonts are wide. */
export function shorten(name: string, width: number, size = 12): string {
  const characters = [...name];
  const most = Math.max(1, Math.floor(width / textWidth("n", size)));
  return characters.length <= most ? name : `${characters.slice(0, most - 1).join("")}…`;
}

/** About how wide a text is, in pixels: on the safe side for most fonts. */
export function textWidth(content: string, size = 12): number {
  return [...content].length * size * 0.58;
}
