/** The paper's Tables 1 and 2 with what was found beside them. Pure. */
import type { Task } from "../../../architecture.ts";
import { type Gain, gainOver, type MethodReport, type Report } from "../analysis.ts";
import { element, type Markup } from "../markup.ts";
import { paperAccuracy, paperRecords } from "../paper.ts";
import { countText, estimateText, gainText, percents, range } from "./format.ts";
import { linesOf, marksOf } from "./row-head.ts";
import { table, withSmall } from "./table.ts";

type Column = readonly ["iae" | "ava" | "artphoto", Task, string];

const tables: readonly { readonly caption: string; readonly columns: readonly Column[] }[] = [
  {
    caption: "Table 1: accuracy on IAE, %",
    columns: [
      ["iae", "aes", "aesthetics"],
      ["iae", "emo", "emotion"],
    ],
  },
  {
    caption: "Table 2: trained on IAE, tested on other sets, accuracy in %",
    columns: [
      ["ava", "aes", "AVA, aesthetics"],
      ["artphoto", "emo", "ArtPhoto, emotion"],
    ],
  },
];

function parametersCell(paper: readonly number[], ours: readonly number[]): ReturnType<typeof withSmall> {
  const text = (counts: readonly number[]) => counts.map(countText).join(" + ");
  return withSmall(text(paper), ours.length === 0 ? null : `§ ours: ${text(ours)}`);
}

/** What our row's networks count, where that is none of the paper's networks: they are of another size. */
function otherParameters(rows: readonly MethodReport[], paper: readonly number[]): readonly number[] {
  return [...new Set(rows.flatMap(({ parameters }) => parameters))].filter((count) => !paper.includes(count));
}

/** Rows of the paper, its numbers beside ours; a dash where there is none of ours. */
export function paperSection({ cells }: Report): Markup {
  const rowOf = (row: string, cell: string) =>
    cells.find(({ name }) => name === cell)?.rows.find(({ paper_row }) => paper_row === row) ?? null;
  const ours = (row: string, cell: string, task: Task) => rowOf(row, cell)?.tasks[task] ?? null;
  const rowsOf = (row: string, columns: readonly Column[]) => columns.flatMap(([cell]) => rowOf(row, cell) ?? []);
  // Of a table's data sets together: marks stand at the figures that they are about.
  const under = (row: string, columns: readonly Column[]) => [
    ...new Set(rowsOf(row, columns).flatMap((found) => linesOf(found))),
  ];
  const sizeMark = (row: string, cell: string, parameters: readonly number[]) =>
    otherParameters([rowOf(row, cell)!], parameters).length > 0 ? " §" : "";
  const any = tables.some(({ columns }) =>
    columns.some(([cell, task]) => paperRecords.some(({ row }) => ours(row, cell, task) !== null)),
  );
  const isOtherSize = tables.some(({ columns }) =>
    paperRecords.some(({ row, parameters }) => otherParameters(rowsOf(row, columns), parameters).length > 0),
  );
  return element(
    "section",
    { id: "paper" },
    element("h2", {}, "The paper's tables"),
    element(
      "p",
      {},
      any
        ? "The paper's numbers, with ours where they were computed; below a row is what ours were trained on before. Gains are AENet's over the row, in points, and in brackets as a share of the row's accuracy."
        : "None of the paper's accuracies has been reproduced here: IAE, AVA and ArtPhoto are not among this experiment's data. " +
            "Gains are AENet's over the row, in points, and in brackets as a share of the row's accuracy.",
    ),
    tables.map(({ caption, columns }) =>
      table(
        caption,
        [
          "method",
          "parameters at full size",
          ...columns.flatMap(([, , name]) => [`${name}: paper`, "AENet's gain", "ours", "AENet's gain"]),
        ],
        paperRecords.map(({ row, title, parameters }) => ({
          name: title,
          under: under(row, columns),
          ...(row === "aenet" ? { kind: "leader" as const } : {}),
          cells: [
            parametersCell(parameters, otherParameters(rowsOf(row, columns), parameters)),
            ...columns.flatMap(([cell, task]) => {
              const found = ours(row, cell, task);
              const paper = paperAccuracy(row, cell, task)!;
              const gain: Gain | null = row === "aenet" ? null : gainOver(paperAccuracy("aenet", cell, task)!, paper);
              return [
                (100 * paper).toFixed(2),
                gainText(gain),
                found === null
                  ? "–"
                  : withSmall(
                      `${estimateText(found.ours.accuracy)}${marksOf(rowOf(row, cell)!)}${sizeMark(row, cell, parameters)}`,
                      found.ours.accuracy.interval && range(found.ours.accuracy.interval, percents),
                    ),
                gainText(found?.gain ?? null),
              ];
            }),
          ],
        })),
      ),
    ),
    element(
      "p",
      { class: "muted" },
      "Parameters are those of these networks as torchvision builds them, for eight emotions; the paper gives none. It calls AENet's " +
        "gains over the single-task methods “at least 5.9 % and 3.6 %”: these are points of accuracy.",
      isOtherSize
        ? " § marks what was computed here with networks of another size: it says nothing of the paper's networks."
        : null,
    ),
  );
}
