/** Two counts side by side for each of several classes, as in the paper's Figure 1. Pure. */
import { element, fragment } from "../markup.ts";
import { fill, inkFill, inkStroke } from "../palette.ts";
import { type Chart, linearScale, niceDomain, shorten, text, textWidth, thousands, yAxis } from "../svg.ts";

export interface GroupedBars {
  readonly title: string;
  readonly yLabel: string;
  readonly series: readonly string[];
  readonly groups: readonly { readonly name: string; readonly counts: readonly number[] }[];
  /** Brackets under groups that belong together. */
  readonly brackets?: readonly { readonly label: string; readonly from: number; readonly to: number }[];
}

export function groupedBars({ title, yLabel, series, groups, brackets = [] }: GroupedBars): Chart {
  const barWidth = 36;
  const groupWidth = Math.max(series.length * barWidth + 18, 60);
  const widest = Math.max(...groups.map(({ name }) => textWidth(name)));
  const isTilted = widest > groupWidth - 4;
  const left = 64;
  const width = Math.max(left + groups.length * groupWidth + 12, 320);
  const top = 66;
  const bottom = 330;
  const names = isTilted ? 84 : 22;
  const height = bottom + names + (brackets.length > 0 ? 32 : 6);
  const most = Math.max(5, ...groups.flatMap(({ counts }) => counts));
  const y = linearScale(niceDomain([0, most]), [bottom, top]);
  const centre = (group: number) => left + (group + 0.5) * groupWidth;
  const bars = groups.map(({ name, counts }, group) => {
    const start = centre(group) - (counts.length * barWidth) / 2;
    return element(
      "g",
      {},
      counts.map((count, i) => [
        element("rect", {
          x: start + i * barWidth + 1,
          y: y(count),
          width: barWidth - 2,
          height: bottom - y(count),
          ...fill(i),
        }),
        text(start + (i + 0.5) * barWidth, y(count) - 5, thousands(count), {
          "text-anchor": "middle",
          "font-size": 11,
        }),
      ]),
      isTilted
        ? text(0, 0, shorten(name, 100), {
            transform: `translate(${centre(group) + 4} ${bottom + 16}) rotate(-38)`,
            "text-anchor": "end",
          })
        : text(centre(group), bottom + 18, name, { "text-anchor": "middle" }),
    );
  });
  let x = left;
  const legend = series.map((name, i) => {
    const entry = fragment(element("rect", { x, y: 36, width: 12, height: 12, ...fill(i) }), text(x + 18, 46, name));
    x += 18 + textWidth(name) + 22;
    return entry;
  });
  const underline = bottom + names + 8;
  return {
    width,
    height,
    title,
    body: fragment(
      text(left, 20, yLabel, { "font-weight": 600 }),
      legend,
      yAxis(y, left, left + groups.length * groupWidth, thousands),
      bars,
      element("line", {
        x1: left,
        x2: left + groups.length * groupWidth,
        y1: bottom,
        y2: bottom,
        ...inkStroke("muted"),
      }),
      brackets.map(({ label, from, to }) => {
        const [start, end] = [centre(from) - groupWidth / 2 + 8, centre(to) + groupWidth / 2 - 8];
        return fragment(
          element("line", { x1: start, x2: end, y1: underline, y2: underline, ...inkStroke("muted") }),
          text((start + end) / 2, underline + 16, label, { "text-anchor": "middle", ...inkFill("muted") }),
        );
      }),
    ),
  };
}
