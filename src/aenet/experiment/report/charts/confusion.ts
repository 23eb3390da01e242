/** A confusion matrix as a heat map: shares of each true class, counts in the cells. Pure. */
import type { ConfusionMatrix } from "../../statistics/confusion.ts";
import { element, fragment } from "../markup.ts";
import { fill, inkFill, inkStroke } from "../palette.ts";
import { type Chart, shorten, text, textWidth, thousands } from "../svg.ts";

export function confusionChart(heading: string, classes: readonly string[], matrix: ConfusionMatrix): Chart {
  const cell = classes.length > 10 ? 30 : classes.length > 4 ? 38 : 56;
  const names = classes.map((name) => shorten(name, 96));
  const longest = Math.max(...names.map((name) => textWidth(name, 11)));
  const left = Math.max(longest + 26, 92);
  const top = 40 + (classes.length > 2 ? longest * 0.72 + 8 : 18);
  const width = Math.max(left + classes.length * cell + 40, textWidth(heading, 13) + 8);
  const bottom = top + classes.length * cell;
  return {
    width,
    height: bottom + 8,
    title: `${heading}: how often each true class (rows) was said to be which (columns)`,
    body: fragment(
      text(0, 16, heading, { "font-weight": 600 }),
      text(left - 8, top - 8, "true ↓  said →", { "text-anchor": "end", "font-size": 10, ...inkFill("muted") }),
      names.map((name, k) => {
        const x = left + (k + 0.5) * cell;
        return classes.length > 2
          ? text(0, 0, name, { transform: `translate(${x - 2} ${top - 8}) rotate(-42)`, "font-size": 11 })
          : text(x, top - 8, name, { "text-anchor": "middle", "font-size": 11 });
      }),
      matrix.map((row, i) => {
        const n = row.reduce((a, b) => a + b, 0);
        return element(
          "g",
          {},
          text(left - 8, top + (i + 0.5) * cell + 4, names[i]!, { "text-anchor": "end", "font-size": 11 }),
          row.map((count, j) => {
            const [x, y] = [left + j * cell, top + i * cell];
            // Shades stay light enough for dark text, and on a dark page dark enough for light text.
            return fragment(
              element("rect", {
                x,
                y,
                width: cell - 1,
                height: cell - 1,
                "fill-opacity": n === 0 ? 0 : (0.62 * count) / n,
                ...fill(i === j ? 0 : 1),
              }),
              element("rect", { x, y, width: cell - 1, height: cell - 1, fill: "none", ...inkStroke("grid") }),
              text(x + cell / 2 - 0.5, y + cell / 2 + 4, thousands(count), {
                "text-anchor": "middle",
                "font-size": count > 999 && cell < 40 ? 9 : 11,
              }),
            );
          }),
        );
      }),
    ),
  };
}
