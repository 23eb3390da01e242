/** What the paper reports (Tables 1 and 2), as fractions. */
import type { Task } from "../../architecture.ts";
import type { Cell, PaperRow } from "../results.ts";

export interface PaperRecord {
  readonly row: PaperRow;
  readonly title: string;
  /** Accuracies on IAE (Table 1); on AVA and ArtPhoto (Table 2). */
  readonly iae: Readonly<Record<Task, number>>;
  readonly ava: number;
  readonly artphoto: number;
  /** Trained numbers as torchvision builds these networks, for 8 emotions; the paper gives none. Two for single tasks. */
  readonly parameters: readonly number[];
}

const record = (row: PaperRow, title: string, percents: number[], parameters: number[]): PaperRecord => {
  const [aes, emo, ava, artphoto] = percents.map((percent) => Math.round(percent * 100) / 1e4);
  return { row, title, iae: { aes: aes!, emo: emo! }, ava: ava!, artphoto: artphoto!, parameters };
};

export const paperRecords: readonly PaperRecord[] = [
  record("resnet50", "ResNet50", [74.85, 61.09, 71.18, 24.83], [23510081, 23524424]),
  record("wrn", "WRN", [75.16, 62.65, 71.33, 27.02], [70295713, 70310056]),
  record("ssnet", "SSNet", [77.79, 60.23, 68.39, 23.86], [23526473]),
  record("csnet", "CSNet", [77.7, 63.17, 70.48, 27.3], [47034525]),
  record("aenet-fl", "AENet-FL", [76.68, 61.46, 70.29, 24.22], [70560969]),
  record("aenet", "AENet", [81.05, 66.23, 72.83, 27.92], [70560989]),
];

/** The paper's accuracy of a row on a data set and task; null where it has none. */
export function paperAccuracy(row: PaperRow | null, cell: Cell, task: Task): number | null {
  const found = paperRecords.find((record) => record.row === row);
  if (!found) return null;
  if (cell === "iae") return found.iae[task];
  if (cell === "ava" && task === "aes") return found.ava;
  if (cell === "artphoto" && task === "emo") return found.artphoto;
  return null;
}
