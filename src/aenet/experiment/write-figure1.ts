/** Figure 1 of a manifest, into a folder. Node only. */
import { join } from "node:path";
import { openDataSet } from "../data/data-set.ts";
import type { Split } from "../data/labels.ts";
import { replaceSharedFile } from "../durable-file.ts";
import { type Figure1, figure1, figure1Files } from "./figure1.ts";

export interface Figure1Options {
  /** A manifest, or a pack of one. */
  readonly data: string;
  readonly out: string;
  readonly split: Split | "all";
  readonly classes?: readonly string[];
}

/**
 * @returns what was counted, and the files written.
 * @throws Error where the manifest cannot be read or breaks a rule.
 */
export async function writeFigure1(options: Figure1Options): Promise<{ figure: Figure1; files: string[] }> {
  const { data, out, split, classes } = options;
  const dataSet = await openDataSet(data);
  await dataSet.close();
  const { samples } = dataSet.manifest;
  const figure = figure1(split === "all" ? samples : samples.filter((sample) => sample.split === split), classes);
  const files: string[] = [];
  for (const [name, content] of Object.entries(figure1Files(figure, dataSet.name))) {
    await replaceSharedFile(join(out, name), content);
    files.push(join(out, name));
  }
  return { figure, files };
}
