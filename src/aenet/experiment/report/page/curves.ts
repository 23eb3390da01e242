/** How training went: a cell's charts over epochs. Pure. */
import type { CellReport } from "../analysis.ts";
import { lineChart } from "../charts/lines.ts";
import type { Curve, CurveName } from "../curves.ts";
import { element, type Markup } from "../markup.ts";
import { inlineSvg } from "../svg.ts";
import { charts, disclosure } from "./disclosure.ts";
import { taskNames } from "./format.ts";

const quantities: Readonly<Record<CurveName, string>> = {
  loss: "loss",
  acc_aes: "accuracy, aesthetics",
  acc_emo: "accuracy, emotion",
};
const splitSeries = { train: 1, val: 0, test: 2 } as const;

/** Loss and accuracy of every network. */
export function curvesPart({ rows }: CellReport): Markup | null {
  const drawn = rows.flatMap((row) =>
    row.curves.flatMap(({ tasks, curves }) =>
      (["loss", "acc_aes", "acc_emo"] as const).flatMap((quantity) => {
        const found = curves.filter((curve) => curve.quantity === quantity);
        const suffix = tasks.length === 1 && quantity === "loss" ? ` (${taskNames[tasks[0]!]})` : "";
        return found.length === 0 ? [] : [curveChart(`${row.title}: ${quantities[quantity]}${suffix}`, found)];
      }),
    ),
  );
  if (drawn.length === 0) return null;
  const found = rows.flatMap((row) => row.curves.flatMap(({ curves }) => curves));
  const isLossAlone = found.every(({ quantity, split }) => quantity === "loss" && split === "train");
  const isTrainTested = found.some(({ quantity, split }) => quantity !== "loss" && split === "train");
  return disclosure(
    isLossAlone ? "Training loss by epoch" : "Loss and accuracy by epoch",
    isTrainTested
      ? element(
          "p",
          { class: "muted" },
          "Of the training split, losses are means of an epoch's steps, as they were trained on; accuracies are those of the " +
            "epoch's end, evaluated as a test split is.",
        )
      : isLossAlone
        ? element("p", { class: "muted" }, "The runs recorded no accuracies by epoch, so there are no curves of them.")
        : null,
    charts(drawn),
  );
}

function curveChart(heading: string, curves: readonly Curve[]): Markup {
  const isLoss = curves[0]!.quantity === "loss";
  return inlineSvg(
    lineChart({
      title: `${heading}, by epoch; thin lines are runs, thick ones their mean`,
      heading,
      axis: "epoch",
      format: isLoss ? (value) => String(value) : (value) => `${Math.round(100 * value)} %`,
      lines: curves.map(({ split, mean, runs }) => ({
        label: { train: "train", val: "val", test: "test" }[split],
        series: splitSeries[split],
        x: mean.epoch,
        y: mean.value,
        behind: runs.length < 2 ? [] : runs.map(({ epoch, value }) => ({ x: epoch, y: value })),
      })),
    }),
  );
}

/** Fusion and stitch weights. */
export function fusionPart({ rows }: CellReport): Markup | null {
  const fused = rows.filter(({ fusion }) => fusion !== null);
  if (fused.length === 0) return null;
  return disclosure(
    "Fusion weights by layer",
    element(
      "p",
      { class: "muted" },
      "Share of the shared stream in each fused map, α_s/(α_p + α_s) for aesthetics and β_s/(β_p + β_s) for emotion, the mean over seeds; " +
        "where a batch norm follows, only this ratio matters. For cross-stitched networks it is the other stream's share.",
    ),
    charts(
      fused.flatMap(({ title, fusion }) =>
        (["alpha", "beta"] as const).map((side) =>
          inlineSvg(
            lineChart({
              title: `${title}: share of the ${fusion!.from} for ${side === "alpha" ? "aesthetics" : "emotion"}, by layer and epoch`,
              heading: `${title}: ${side === "alpha" ? "aesthetics, α" : "emotion, β"}`,
              axis: "epoch",
              format: (value) => String(value),
              lines: fusion!.points.map((point, j) => ({
                label: point === 0 ? "stem" : `layer${point}`,
                series: j,
                x: fusion!.epoch,
                y: fusion![side].map((ratios) => ratios[j]!),
              })),
            }),
          ),
        ),
      ),
    ),
  );
}
