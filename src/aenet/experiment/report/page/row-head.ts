/** What a row has to say of itself beside its name: marks, and lines under it. Pure. */
import { type MethodReport, protagonist } from "../analysis.ts";
import { settingsText } from "../settings.ts";
import type { Row } from "./table.ts";

/** The name with its marks; under it what it was trained on before, and with what settings. */
export function rowHead(row: MethodReport): Pick<Row, "name" | "under" | "kind"> {
  const kind = row.method === protagonist ? "leader" : row.role === "reference" ? "reference" : null;
  return { name: `${row.title}${marksOf(row)}`, under: linesOf(row), ...(kind === null ? {} : { kind }) };
}

/** † and ‡ with a space before each; without any, nothing. */
export function marksOf({ paper_protocol, readings }: MethodReport): string {
  return `${paper_protocol ? " †" : ""}${readings > 1 ? " ‡" : ""}`;
}

/** Pre-training, settings, and what the marks mean. */
export function linesOf(row: MethodReport): string[] {
  return [
    ...row.pretraining.map((text) => (text === "" ? "not pre-trained" : text)),
    ...(row.settings.length > 0 ? [settingsText(row.settings)] : []),
    ...(row.paper_protocol ? ["† pre-training saw images that are tested on (--paper-protocol)"] : []),
    ...(row.readings > 1 ? [`‡ the test split was read ${row.readings} times`] : []),
  ];
}
