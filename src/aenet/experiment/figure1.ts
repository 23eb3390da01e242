/** The paper's Figure 1 and the distribution of its section 2, from any labelled samples. Pure. */
import { EIGHT_EMOTIONS, emotionClasses } from "../data/classes.ts";
import { formatCsv } from "../data/csv.ts";
import { aestheticLabel, aestheticScore, HIGH_FROM, type Labels } from "../data/labels.ts";
import { type Interval, wilson } from "../statistics.ts";
import { groupedBars } from "./report/charts/grouped-bars.ts";
import { scoreHistogram } from "./report/charts/score-histogram.ts";
import { svgFile, thousands } from "./report/svg.ts";
import { fitGaussian, type GaussianFit } from "./statistics/gaussian.ts";
import { expectedCounts, explainedVariance, type Histogram, histogram } from "./statistics/histogram.ts";

export interface HighAndLow {
  readonly high: number;
  readonly low: number;
  /** high / (high + low), with its 95 % interval (Wilson); null without images. */
  readonly high_share: number | null;
  readonly high_share_interval: Interval | null;
}

export interface Figure1 {
  readonly samples: number;
  /** In the network's order; images with both labels. */
  readonly classes: readonly ({ readonly emotion: string } & HighAndLow)[];
  /** The paper's four positive and four negative emotions; null for other classes. */
  readonly positive: HighAndLow | null;
  readonly negative: HighAndLow | null;
  /** All images with an aesthetics label, and those among them that have no emotion. */
  readonly all: HighAndLow;
  readonly without_emotion: number;
  readonly without_aesthetics: number;
  /** null where fewer than two different scores are given. */
  readonly scores: {
    readonly fit: GaussianFit;
    readonly histogram: Histogram;
    /** What the fitted Gaussian expects in each interval. */
    readonly expected: readonly number[];
    /** Share of the counts' variance that these explain. */
    readonly explained_variance: number;
  } | null;
}

/** @throws RangeError for a class list that breaks a rule (`emotionClasses`). */
export function figure1(samples: readonly Labels[], override?: readonly string[]): Figure1 {
  const classes = emotionClasses(
    samples.map(({ emotion }) => emotion),
    override,
  );
  const of = (chosen: readonly Labels[]): HighAndLow => {
    const high = chosen.filter((sample) => aestheticLabel(sample) === "high").length;
    const low = chosen.filter((sample) => aestheticLabel(sample) === "low").length;
    const n = high + low;
    return {
      high,
      low,
      high_share: n === 0 ? null : high / n,
      high_share_interval: n === 0 ? null : wilson(high, n, 1.959964),
    };
  };
  const withEmotion = (names: readonly string[]) =>
    of(samples.filter(({ emotion }) => emotion !== null && names.includes(emotion)));
  const isPaperOrder = classes.join() === EIGHT_EMOTIONS.join();
  const labelled = samples.filter((sample) => aestheticLabel(sample) !== null);
  return {
    samples: samples.length,
    classes: classes.map((emotion) => ({ emotion, ...withEmotion([emotion]) })),
    positive: isPaperOrder ? withEmotion(classes.slice(0, 4)) : null,
    negative: isPaperOrder ? withEmotion(classes.slice(4)) : null,
    all: of(samples),
    without_emotion: labelled.filter(({ emotion }) => emotion === null).length,
    without_aesthetics: samples.length - labelled.length,
    scores: scoresOf(samples.map(aestheticScore).filter((score) => score !== null)),
  };
}

function scoresOf(scores: readonly number[]): Figure1["scores"] {
  if (new Set(scores).size < 2) return null;
  const fit = fitGaussian(scores);
  const bins = histogram(scores);
  const expected = expectedCounts(bins, fit);
  return { fit, histogram: bins, expected, explained_variance: explainedVariance(bins.counts, expected) };
}

/** Whether there are images with both labels, of which the figure itself is drawn. */
function hasFigure({ classes }: Figure1): boolean {
  return classes.some(({ high, low }) => high + low > 0);
}

/**
 * What is written, by file name: SVG charts for readers, CSV and JSON for programs; no chart of what is not there.
 * @throws Error where nothing can be drawn, saying what is missing.
 */
export function figure1Files(figure: Figure1, source: string): Record<string, string> {
  const { scores, samples, without_aesthetics } = figure;
  if (!hasFigure(figure) && scores === null) {
    const missing =
      samples === without_aesthetics ? "a label of aesthetics" : "an emotion beside its label of aesthetics";
    throw new Error(`${source}: no image has ${missing}, and there are no scores to show: nothing can be drawn`);
  }
  return {
    ...(hasFigure(figure) && {
      "figure1.svg": svgFile(emotionChart(figure)),
      "figure1.csv": formatCsv([
        ["emotion", "high", "low", "high_share", "high_share_low", "high_share_high"],
        ...figure.classes.map(({ emotion, high, low, high_share, high_share_interval: interval }) =>
          [emotion, high, low, high_share, interval?.low, interval?.high].map((cell) => String(cell ?? "")),
        ),
      ]),
    }),
    ...(scores && {
      "scores.svg": svgFile(scoreChart(scores)),
      "scores.csv": formatCsv([
        ["from", "to", "images", "gaussian"],
        ...scores.histogram.counts.map((count, i) => {
          const edge = (at: number) => Number((scores.histogram.from + at * scores.histogram.width).toPrecision(12));
          return [edge(i), edge(i + 1), count, scores.expected[i]!].map(String);
        }),
      ]),
    }),
    "figure1.json": `${JSON.stringify({ source, ...figure }, null, 2)}\n`,
  };
}

function emotionChart({ classes, positive, all }: Figure1) {
  const counted = classes.filter(({ high, low }) => high + low > 0).length;
  return groupedBars({
    title: `Images of high and of low aesthetics in each of ${counted} emotions`,
    yLabel: "Images by emotion",
    series: [`high aesthetics (${thousands(all.high)})`, `low aesthetics (${thousands(all.low)})`],
    groups: classes.map(({ emotion, high, low }) => ({ name: emotion, counts: [high, low] })),
    brackets: positive
      ? [
          { label: "positive", from: 0, to: 3 },
          { label: "negative", from: 4, to: 7 },
        ]
      : [],
  });
}

function scoreChart({ fit, histogram: bins, explained_variance }: NonNullable<Figure1["scores"]>) {
  return scoreHistogram({
    title: `Mean scores of ${thousands(fit.n)} images and the Gaussian that fits them`,
    bins,
    fit,
    highFrom: HIGH_FROM,
    notes: [
      `${thousands(fit.n)} images, mean ${fit.mean.toFixed(2)}, deviation ${fit.deviation.toFixed(2)}`,
      `the Gaussian explains ${(100 * explained_variance).toFixed(1)} % of the counts' variance, distance D ${fit.distance.toFixed(3)}`,
    ],
  });
}
