/** What may be said of the primary family, first in words, then by numbers. Pure. */

import type { Report } from "../analysis.ts";
import { intervalChart } from "../charts/intervals.ts";
import type { PrimaryTest } from "../comparisons.ts";
import { element, fragment, type Markup } from "../markup.ts";
import { inlineSvg } from "../svg.ts";
import { points, pValue, range, taskNames } from "./format.ts";
import { table, withSmall } from "./table.ts";
import type { Titles } from "./titles.ts";

export function verdicts({ primary, alpha }: Report, titles: Titles): Markup | null {
  if (primary.length === 0) return null;
  const count = (verdict: PrimaryTest["verdict"]) => primary.filter((test) => test.verdict === verdict).length;
  const headline =
    count("incomplete") > 0
      ? "The primary family is not decided: runs are missing"
      : `Of ${primary.length} primary tests: ${count("method wins")} won, ${count("against wins")} lost, ` +
        `${count("no difference shown")} without a difference shown`;
  return element(
    "section",
    { class: "verdicts", "aria-label": "Results in words" },
    element("strong", {}, headline),
    element(
      "ul",
      {},
      primary.map((test) => element("li", {}, sentence(test, titles))),
    ),
    element(
      "small",
      {},
      `Differences of test accuracy in percentage points, paired by seed; exact two-sided sign-flip tests, Holm's procedure over ` +
        `the family at ${alpha}; all intervals together hold with probability ${100 * (1 - alpha)} %. A method wins where that says so, and nowhere else.`,
    ),
  );
}

function sentence(test: PrimaryTest, titles: Titles): Markup {
  const [method, against] = [titles.method(test.method), titles.method(test.against)];
  const where = `on ${taskNames[test.task]}, ${titles.cell(test.cell)}`;
  if (test.verdict === "incomplete")
    return fragment(`${method} against ${against} ${where}: ${test.seeds.length} of ${test.planned} pairs are there.`);
  const figures = `${points(test.mean!)} points (${range(test.interval!, points)}), p by Holm ${pValue(test.holm!)}`;
  if (test.verdict === "no difference shown")
    return fragment(`No difference shown between ${method} and ${against} ${where}: ${figures}.`);
  const won = test.verdict === "method wins";
  return fragment(
    element("span", { class: won ? "wins" : "loses" }, `${won ? method : against} is better`),
    ` than ${won ? against : method} ${where}: ${method} has ${figures}.`,
  );
}

export function primarySection(report: Report, titles: Titles): Markup | null {
  const { primary } = report;
  if (primary.length === 0) return null;
  const name = (test: PrimaryTest) => `${titles.method(test.against)}, ${taskNames[test.task]}`;
  const drawn = primary.some(({ by_seed }) => by_seed.length > 0);
  const methods = [...new Set(primary.map(({ method }) => titles.method(method)))].join(", ");
  return element(
    "section",
    { id: "primary" },
    element("h2", {}, "Primary tests"),
    drawn
      ? element(
          "div",
          { class: "wide" },
          inlineSvg(
            intervalChart({
              title: `Differences of accuracy of ${methods} and each other method of the primary family, with simultaneous intervals`,
              heading: `${methods} minus …`,
              axis: "difference of test accuracy, percentage points",
              format: (value) => points(value),
              reference: { at: 0, label: "no difference" },
              rows: primary.map((test) => ({
                label: name(test),
                value: test.mean,
                interval: test.interval && {
                  low: test.interval.low ?? Number.NEGATIVE_INFINITY,
                  high: test.interval.high ?? Number.POSITIVE_INFINITY,
                },
                points: test.by_seed,
                note: verdictText(test, titles),
                series: test.verdict === "method wins" ? 0 : test.verdict === "against wins" ? 1 : 6,
              })),
            }),
          ),
        )
      : null,
    table(
      "Paired differences of test accuracy, in percentage points",
      ["comparison", "pairs", "mean ± deviation", "simultaneous interval", "p", "p by Holm", "verdict", "detectable"],
      primary.map((test) => ({
        name: `${titles.method(test.method)} minus ${titles.method(test.against)}`,
        under: [`${taskNames[test.task]}, ${titles.cell(test.cell)}`],
        cells: [
          `${test.seeds.length} of ${test.planned}`,
          test.mean === null
            ? "–"
            : `${points(test.mean)}${test.deviation === null ? "" : ` ± ${(100 * test.deviation).toFixed(1)}`}`,
          test.interval === null ? "–" : range(test.interval, points),
          test.p === null ? "–" : pValue(test.p),
          test.holm === null ? "–" : pValue(test.holm),
          verdictText(test, titles),
          test.detectable === null
            ? "–"
            : withSmall(points(test.detectable), `pilot's deviation ${(100 * test.pilot_deviation!).toFixed(1)}`),
        ],
      })),
    ),
    element(
      "p",
      { class: "muted" },
      "Dots are seeds. Intervals invert the exact test at a level divided by the number of tests; Holm's procedure, which decides, " +
        "may reject a little more. Detectable is the smallest true difference that a test finds with probability 0.8 at that level, " +
        "if the deviation is the pilot's.",
    ),
  );
}

function verdictText({ verdict, method, against }: PrimaryTest, titles: Titles): string {
  if (verdict === "method wins") return `${titles.method(method)} wins`;
  if (verdict === "against wins") return `${titles.method(against)} wins`;
  return verdict === "incomplete" ? "not decided" : "no difference shown";
}
