/** What may be said of the primary family, first in words, then by numbers. Pure. */

import type { Report } from "../analysis.ts";
import { dotStripChart } from "../charts/dot-strip.ts";
import { intervalChart } from "../charts/intervals.ts";
import { type DesignCheck, designFailure } from "../checks.ts";
import type { PrimaryTest } from "../comparisons.ts";
import { element, fragment, type Markup } from "../markup.ts";
import { haveSameRates, seedsText, settingsText } from "../settings.ts";
import { inlineSvg } from "../svg.ts";
import { finePercents, finePoints, points, pValue, range, taskNames } from "./format.ts";
import { table, withSmall } from "./table.ts";
import type { Titles } from "./titles.ts";

export function verdicts({ primary, checks, alpha }: Report, titles: Titles): Markup | null {
  if (primary.length === 0) return null;
  const count = (isCounted: (test: PrimaryTest) => boolean) => primary.filter(isCounted).length;
  const headline =
    count(({ verdict }) => verdict === "incomplete") > 0
      ? "The primary family is not decided: runs are missing"
      : `Of ${primary.length} primary tests: ${count(({ winner, method }) => winner === method)} won, ` +
        `${count(({ winner, against }) => winner === against)} lost, ` +
        `${count(({ winner }) => winner === null)} without a difference shown`;
  const failure = designFailure(checks);
  return element(
    "section",
    { class: "verdicts", "aria-label": "Results in words" },
    // What the tests would say stands behind what takes it back.
    failure === null ? null : element("p", {}, element("strong", { class: "loses" }, failure)),
    element("strong", {}, headline),
    element(
      "ul",
      {},
      primary.map((test) => element("li", {}, sentence(test, titles, failure === null))),
    ),
    element(
      "small",
      {},
      `Differences of test accuracy in percentage points, paired by seed; exact two-sided sign-flip tests, Holm's procedure over ` +
        `the family at ${alpha}; all intervals together hold with probability at least ${100 * (1 - alpha)} %, if each comparison's ` +
        "differences are symmetric about their centre. A method wins where that says so, and nowhere else.",
    ),
    checksPart(checks, titles),
  );
}

/** @param isClaimed Whether the checks of the design let anything be said. */
function sentence(test: PrimaryTest, titles: Titles, isClaimed: boolean): Markup {
  const [method, against] = [titles.method(test.method), titles.method(test.against)];
  const where = `on ${taskNames[test.task]}, ${titles.cell(test.cell)}`;
  if (test.verdict === "incomplete")
    return fragment(`${method} against ${against} ${where}: ${test.seeds.length} of ${test.planned} pairs are there.`);
  const figures = `${finePoints(test.mean!)} points (${range(test.interval!, finePoints)}), p by Holm ${pValue(test.holm!)}`;
  if (test.verdict === "no difference shown")
    return fragment(`No difference shown between ${method} and ${against} ${where}: ${figures}.`);
  const won = test.winner === test.method;
  const better = `${won ? method : against} is better`;
  return fragment(
    isClaimed ? element("span", { class: won ? "wins" : "loses" }, better) : `No claim: by the test ${better}`,
    ` than ${won ? against : method} ${where}: ${method} has ${figures}.`,
  );
}

export function primarySection(report: Report, titles: Titles): Markup | null {
  const { primary, checks } = report;
  if (primary.length === 0) return null;
  const failure = designFailure(checks);
  const name = (test: PrimaryTest) => `${titles.method(test.against)}, ${taskNames[test.task]}`;
  const drawn = primary.some(({ by_seed }) => by_seed.length > 0);
  const methods = [...new Set(primary.map(({ method }) => titles.method(method)))].join(", ");
  return element(
    "section",
    { id: "primary" },
    element("h2", {}, "Primary tests"),
    failure === null ? null : element("p", {}, `${failure}.`),
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
                points: [],
                note: verdictText(test, titles),
                series: seriesOf(test),
              })),
            }),
          ),
          seedsChart(primary, methods, name),
        )
      : null,
    table(
      "Paired differences of test accuracy, in percentage points",
      ["comparison", "pairs", "mean ± deviation", "simultaneous interval", "p", "p by Holm", "verdict", "detectable"],
      primary.map((test) => ({
        name: `${titles.method(test.method)} minus ${titles.method(test.against)}`,
        under: [`${taskNames[test.task]}, ${titles.cell(test.cell)}`, ...settingsLines(test, titles)],
        cells: [
          `${test.seeds.length} of ${test.planned}`,
          test.mean === null
            ? "–"
            : withSmall(
                `${finePoints(test.mean)}${test.deviation === null ? "" : ` ± ${finePercents(test.deviation)}`}`,
                test.mean_without_extreme === null
                  ? null
                  : `without seed ${test.extreme_seed}: ${finePoints(test.mean_without_extreme)}`,
              ),
          test.interval === null ? "–" : range(test.interval, finePoints),
          test.p === null ? "–" : pValue(test.p),
          test.holm === null ? "–" : pValue(test.holm),
          verdictText(test, titles),
          detectableText(test),
        ],
      })),
    ),
    element(
      "p",
      { class: "muted" },
      "Intervals invert the exact test at a level divided by the number of tests; Holm's procedure, which decides, may reject a " +
        "little more. The mean without the seed that lies farthest from it is told so that one seed's share can be seen: it is no " +
        "test, and decides nothing. Detectable is the smallest true difference that a test finds with probability 0.8 at that " +
        "level: first if the true deviation is that of the pilot's seeds, then if it is the upper limit that so few of them leave " +
        "it (one-sided, 95 %, of normal differences).",
    ),
    primary.some(settingsDiffer)
      ? element(
          "p",
          { class: "muted" },
          "Every method has the settings that tuning chose for it out of the same ones. Where two methods' differ, their " +
            "difference is one of methods as tuned, not of networks at equal rates.",
        )
      : null,
  );
}

function settingsDiffer({ settings }: PrimaryTest): boolean {
  return !haveSameRates(settings.method, settings.against);
}

function settingsLines(test: PrimaryTest, titles: Titles): string[] {
  if (!settingsDiffer(test)) return [];
  return [
    "trained with different settings:",
    `${titles.method(test.method)}: ${settingsText(test.settings.method)}`,
    `${titles.method(test.against)}: ${settingsText(test.settings.against)}`,
  ];
}

function detectableText(test: PrimaryTest): ReturnType<typeof withSmall> {
  const { detectable, detectable_at_limit, pilot_seeds, pilot_deviation, pilot_deviation_limit } = test;
  if (detectable === null) return ["–"];
  const size = (difference: number) => (100 * difference).toFixed(1);
  return [
    ...withSmall(size(detectable), `deviation ${size(pilot_deviation!)}, from ${pilot_seeds} pilot seeds`),
    ...(detectable_at_limit === null
      ? []
      : withSmall("", `${size(detectable_at_limit)} at its upper limit, ${size(pilot_deviation_limit!)}`)),
  ];
}

/** Each seed's difference, where a reader sees whether few of them carry the mean. */
function seedsChart(primary: readonly PrimaryTest[], methods: string, name: (test: PrimaryTest) => string): Markup {
  return inlineSvg(
    dotStripChart({
      title: `Each seed's difference of accuracy of ${methods} and each other method of the primary family`,
      heading: "Seed by seed: a dot is a seed, the line their mean, the dashed line the mean without the named seed",
      axis: "difference of test accuracy, percentage points",
      format: (value) => points(value),
      reference: 0,
      strips: primary.map((test) => ({
        label: name(test),
        dots: test.by_seed.map((value, i) => ({ name: `seed ${test.seeds[i]}`, value })),
        mean: test.mean,
        extreme:
          test.extreme_seed === null
            ? null
            : { name: `seed ${test.extreme_seed}`, meanWithout: test.mean_without_extreme! },
        series: seriesOf(test),
      })),
    }),
  );
}

function seriesOf({ winner, method }: PrimaryTest): number {
  return winner === null ? 6 : winner === method ? 0 : 1;
}

/** What was registered beside the tests; that a check does not hold is said as plainly as that it does. */
function checksPart(checks: readonly DesignCheck[], titles: Titles): Markup | null {
  if (checks.length === 0) return null;
  const failed = checks.filter(({ holds }) => holds === false).length;
  const open = checks.filter(({ holds }) => holds === null).length;
  return fragment(
    element(
      "strong",
      {},
      failed > 0
        ? `Of ${checks.length} checks of the design ${failed} ${failed === 1 ? "does" : "do"} not hold`
        : open > 0
          ? `Of ${checks.length} checks of the design ${open} cannot be told yet`
          : `All ${checks.length} checks of the design hold`,
    ),
    element(
      "ul",
      {},
      checks.map((check) => element("li", {}, checkSentence(check, titles))),
    ),
    element(
      "small",
      {},
      "Means of test accuracy over the seeds that both have, in the primary cell: the design asks that a single-task network be on " +
        "average better than the majority and than a regression on colours, and worse than what knows all but the noise. No tests.",
    ),
  );
}

function checkSentence(check: DesignCheck, titles: Titles): Markup {
  const { method, task, against, expected, seeds, left, right, holds } = check;
  const other = against === "majority" ? "the majority" : titles.method(against);
  const claim = `${titles.method(method)} ${expected} than ${other} on ${taskNames[task]}`;
  if (holds === null) return fragment(`${claim}: no results yet.`);
  return fragment(
    element("span", { class: holds ? "wins" : "loses" }, holds ? "holds" : "does not hold"),
    `: ${claim}: ${finePercents(left!)} against ${finePercents(right!)} % (seed${seeds.length === 1 ? "" : "s"} ${seedsText(seeds)}).`,
  );
}

function verdictText({ verdict, winner }: PrimaryTest, titles: Titles): string {
  if (winner !== null) return `${titles.method(winner)} wins`;
  return verdict === "incomplete" ? "not decided" : "no difference shown";
}
