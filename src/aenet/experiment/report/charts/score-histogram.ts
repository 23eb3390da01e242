/** The distribution of mean scores, low and high apart, under the Gaussian that fits them. Pure. */
import type { GaussianFit } from "../../statistics/gaussian.ts";
import type { Histogram } from "../../statistics/histogram.ts";
import { element, fragment } from "../markup.ts";
import { fill, inkFill, inkStroke } from "../palette.ts";
import { type Chart, linearScale, linePath, niceDomain, text, thousands, xAxis, yAxis } from "../svg.ts";

export interface ScoreHistogram {
  readonly title: string;
  readonly bins: Histogram;
  readonly fit: GaussianFit;
  /** Scores from here on are high. */
  readonly highFrom: number;
  /** What is said of the fit, by lines. */
  readonly notes: readonly string[];
}

export function scoreHistogram({ title, bins, fit, highFrom, notes }: ScoreHistogram): Chart {
  const [width, height] = [640, 380];
  const [left, right, top, bottom] = [64, width - 14, 92, height - 48];
  const density = (x: number) =>
    (fit.n * bins.width * Math.exp(-((x - fit.mean) ** 2) / (2 * fit.deviation ** 2))) /
    (fit.deviation * Math.sqrt(2 * Math.PI));
  const end = bins.from + bins.counts.length * bins.width;
  const x = linearScale([Math.min(1, bins.from), Math.max(10, end)], [left, right]);
  const y = linearScale(niceDomain([0, Math.max(...bins.counts, density(fit.mean))]), [bottom, top]);
  const curve = Array.from({ length: 161 }, (_, i) => {
    const at = x.domain[0] + (i / 160) * (x.domain[1] - x.domain[0]);
    return [x(at), y(density(at))] as const;
  });
  return {
    width,
    height,
    title,
    body: fragment(
      text(left, 20, "Images by mean score", { "font-weight": 600 }),
      notes.map((note, i) => text(left, 38 + i * 16, note, { ...inkFill("muted") })),
      yAxis(y, left, right, thousands),
      bins.counts.map((count, i) => {
        const from = bins.from + i * bins.width;
        // An interval that the boundary cuts belongs to the side of its middle, where a grid value lies.
        const isHigh = from + bins.width / 2 >= highFrom - 1e-9;
        return element("rect", {
          x: x(from) + 0.5,
          y: y(count),
          width: Math.max(1, x(from + bins.width) - x(from) - 1),
          height: bottom - y(count),
          ...fill(isHigh ? 0 : 1),
        });
      }),
      element("path", { d: linePath(curve), fill: "none", "stroke-width": 2.5, ...inkStroke("text") }),
      xAxis(x, bottom, String, 10),
      text(x(highFrom) - 8, top - 6, "low", { "text-anchor": "end", "font-weight": 600, ...fill(1) }),
      text(x(highFrom) + 8, top - 6, "high", { "font-weight": 600, ...fill(0) }),
      element("line", {
        x1: x(highFrom),
        x2: x(highFrom),
        y1: top - 16,
        y2: bottom,
        "stroke-dasharray": "3 3",
        ...inkStroke("muted"),
      }),
      text((left + right) / 2, height - 10, "mean score", { "text-anchor": "middle", ...inkFill("muted") }),
    ),
  };
}
