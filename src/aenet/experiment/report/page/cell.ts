/** One cell of the experiment: its methods' figures, differences, confusions, and what is folded away. Pure. */
import type { Task } from "../../../architecture.ts";
import { type CellReport, type MethodReport, protagonist, type TaskReport } from "../analysis.ts";
import { confusionChart } from "../charts/confusion.ts";
import { intervalChart } from "../charts/intervals.ts";
import { element, fragment, type Markup } from "../markup.ts";
import type { IntervalKind, TaskScores } from "../scores.ts";
import { seedsText } from "../settings.ts";
import { inlineSvg } from "../svg.ts";
import { curvesPart, fusionPart } from "./curves.ts";
import { charts, disclosure } from "./disclosure.ts";
import { countText, decimals, estimateText, gainText, percents, points, pValue, range, taskNames } from "./format.ts";
import { rowHead } from "./row-head.ts";
import { table, withSmall } from "./table.ts";
import type { Titles } from "./titles.ts";

const kinds: Readonly<Record<CellReport["kind"], string>> = {
  primary: "Primary cell: only the primary tests decide; all else here is shown without a claim.",
  exploratory: "Exploratory: shown for orientation. No wins are claimed here.",
  paired:
    "Tested by image: AENet against every other row, with Holm's procedure over the rows of a task. It is these trainings that " +
    "are tested, on other photographs of the kind; how other trainings would do, only seeds tell.",
  descriptive: "Descriptive: intervals, and no tests.",
};

export function cellSection(cell: CellReport, titles: Titles): Markup {
  return element(
    "section",
    { id: `cell-${cell.name}` },
    element("h2", {}, cell.title),
    element("p", {}, kinds[cell.kind]),
    cell.rows.length === 0
      ? element("p", {}, "There are no results yet.")
      : fragment(
          (["aes", "emo"] as const).map((task) => taskPart(cell, task)),
          differencesPart(cell, titles),
          confusionsPart(cell),
          curvesPart(cell),
          fusionPart(cell),
        ),
  );
}

function taskPart(cell: CellReport, task: Task): Markup | null {
  const answered = cell.rows.flatMap((row): [MethodReport, TaskReport][] =>
    row.tasks[task] ? [[row, row.tasks[task]]] : [],
  );
  if (answered.length === 0) return null;
  const [, first] = answered.find(([{ method }]) => method === protagonist) ?? answered[0]!;
  const shared = cell.shared_seeds[task];
  // Means over unequal seeds do not compare; where all rows have the same ones there is nothing to add.
  const hasOther = shared.length > 0 && answered.some(([, { ours }]) => ours.seeds.length > shared.length);
  const hasPaper = answered.some(([, { paper }]) => paper !== null);
  return fragment(
    element("h3", {}, taskNames[task][0]!.toUpperCase() + taskNames[task].slice(1)),
    element(
      "div",
      { class: "wide" },
      inlineSvg(
        intervalChart({
          title: `Test accuracy of each method on ${taskNames[task]} in ${cell.title}`,
          heading: `Test accuracy on ${taskNames[task]}`,
          axis: `%; dots are seeds, bars 95 % intervals (${describeKinds(answered)})`,
          format: (value) => percents(value),
          reference: { at: first.ours.majority, label: "majority" },
          rows: answered.map(([row, { ours }]) => ({
            label: row.title,
            value: ours.accuracy.value,
            interval: ours.accuracy.interval,
            points: ours.accuracy.by_seed.length > 1 ? ours.accuracy.by_seed : [],
            note: percents(ours.accuracy.value),
            series: row.method === protagonist ? 0 : row.role === "reference" ? 6 : row.role === "control" ? 2 : 1,
          })),
        }),
      ),
    ),
    table(
      `${taskNames[task]}: mean ± deviation over seeds, 95 % intervals below`,
      [
        "method, pre-training, settings",
        "parameters",
        "accuracy, %",
        ...(hasOther ? [`accuracy on seeds ${seedsText(shared)}, %`] : []),
        "majority, %",
        "balanced accuracy, %",
        ...(task === "aes" ? ["AUC", "SRCC with scores", "PLCC with scores"] : ["AUC, classes' mean"]),
        "AENet's gain",
        ...(hasPaper ? ["paper, %", "AENet's gain there"] : []),
        "seeds",
        "test images",
      ],
      answered.map(([row, found]) => ({
        ...rowHead(row),
        cells: [
          row.parameters.map(countText).join(" + "),
          figure(found.ours.accuracy, percents),
          ...(hasOther ? [percents(found.accuracy_on_shared!)] : []),
          percents(found.ours.majority),
          figure(found.ours.balanced_accuracy, percents),
          ...(task === "aes" ? [found.ours.auc, found.ours.srcc, found.ours.plcc] : [found.ours.auc]).map((of) =>
            figure(of, decimals),
          ),
          gainText(found.gain),
          ...(hasPaper
            ? [found.paper === null ? "–" : (100 * found.paper).toFixed(2), gainText(found.paper_gain)]
            : []),
          String(found.ours.seeds.length),
          String(found.ours.images),
        ],
      })),
    ),
    notes(cell, task, { hasOther, drawsImages: answered.some(([, { ours }]) => drawsImages(ours)) }),
  );
}

/** Whether the interval of several seeds is about their test images, which they share. */
function drawsImages({ seeds, accuracy }: TaskScores): boolean {
  return seeds.length > 1 && accuracy.interval_kind !== "student over seeds";
}

function notes(
  { folds }: CellReport,
  task: Task,
  { hasOther, drawsImages }: { hasOther: boolean; drawsImages: boolean },
): Markup | null {
  const told = [
    ...(hasOther
      ? [
          "Rows have different seeds: only the column of the seeds that all have, and AENet's gain, which is paired, compare.",
        ]
      : []),
    ...(drawsImages
      ? [
          "All seeds are tested on the same photographs, which intervals draw anew: they tell what other photographs would give " +
            "with these very trainings. How trainings differ is the deviation.",
        ]
      : []),
    ...(task === "emo" ? ["AUC is that of each class against the rest, the mean over classes."] : []),
    ...(folds !== null
      ? [
          `${task === "aes" ? "AUC and correlations are" : "It is"} of the probabilities of all ${folds} folds together, each ` +
            "fold's by a network of its own: where these networks are not equally sure, that is lower than within a fold.",
        ]
      : []),
  ];
  return told.length === 0 ? null : element("p", { class: "muted" }, told.join(" "));
}

function figure(
  estimate: TaskReport["ours"]["accuracy"] | null,
  format: (value: number) => string,
): ReturnType<typeof withSmall> {
  return withSmall(estimateText(estimate, format), estimate?.interval ? range(estimate.interval, format) : null);
}

const kindTexts: Readonly<Record<IntervalKind, string>> = {
  "student over seeds": "Student's over seeds",
  wilson: "Wilson's over images",
  "bootstrap over images": "bootstrap over images",
  "bootstrap over groups": "bootstrap over groups",
};

function describeKinds(answered: readonly [MethodReport, TaskReport][]): string {
  const found = answered.map(([, { ours }]) => ours.accuracy.interval_kind).filter((kind) => kind !== null);
  return [...new Set(found)].map((kind) => kindTexts[kind]).join("; ");
}

function differencesPart({ differences, kind }: CellReport, titles: Titles): Markup | null {
  if (differences.length === 0) return null;
  const isTested = kind === "paired";
  const notes = { primary: " (exploratory: the primary tests stand above)", paired: ", with tests" } as const;
  return disclosure(
    `AENet minus other methods${kind in notes ? notes[kind as keyof typeof notes] : ""}`,
    isTested
      ? element(
          "p",
          { class: "muted" },
          "p is exact and two-sided. Of one seed it is McNemar's, of the images on which one method is right and the other wrong; of " +
            "several seeds an image counts by how many more trainings of the one are right on it, and the signs of these differences " +
            "are flipped. It is not told before all runs of a task are there.",
        )
      : null,
    table(
      `Paired differences of test accuracy, in percentage points; each interval by itself, ${
        isTested ? "what is decided is decided by Holm's p" : "nothing is decided by it"
      }`,
      [
        ...["against", "pairs", "mean ± deviation", "95 % interval", "interval"],
        ...(isTested ? ["images better / worse", "p", "p by Holm"] : []),
      ],
      differences.map((of) => ({
        name: titles.method(of.against),
        under: [taskNames[of.task]],
        cells: [
          String(of.seeds.length),
          `${points(of.mean)}${of.deviation === null ? "" : ` ± ${percents(of.deviation)}`}`,
          of.interval === null ? "–" : range(of.interval, points),
          kindTexts[of.interval_kind],
          ...(isTested
            ? of.test
              ? [`${of.test.better} / ${of.test.worse}`, pValue(of.test.p), pValue(of.test.holm)]
              : ["–", "–", "–"]
            : []),
        ],
      })),
    ),
  );
}

function confusionsPart({ rows }: CellReport): Markup {
  return disclosure(
    "Confusion matrices and each class's accuracy",
    (["aes", "emo"] as const).map((task) => {
      const answered = rows.filter((row) => row.tasks[task] !== null);
      if (answered.length === 0) return null;
      const classes = answered[0]!.tasks[task]!.ours.per_class;
      return fragment(
        table(
          `Accuracy of each class of ${taskNames[task]}, %, all seeds together`,
          ["method", ...classes.map(({ name }) => name)],
          answered.map((row) => ({
            name: row.title,
            cells: row.tasks[task]!.ours.per_class.map(({ accuracy }) =>
              accuracy === null ? "–" : percents(accuracy),
            ),
          })),
        ),
        charts(
          answered.map((row) => {
            const { confusion, per_class } = row.tasks[task]!.ours;
            return inlineSvg(
              confusionChart(
                row.title,
                per_class.map(({ name }) => name),
                confusion,
              ),
            );
          }),
        ),
      );
    }),
  );
}
