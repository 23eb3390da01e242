/** A folder of results into a report: a page, JSON and tables. Node only. */
import { join } from "node:path";
import { replaceSharedFile } from "../durable-file.ts";
import { analyse, type Report } from "./report/analysis.ts";
import { reportTables } from "./report/csv.ts";
import { reportPage } from "./report/page/page.ts";
import { readExperiment } from "./results.ts";

export interface ReportOptions {
  /** Holds experiment.json and results/. */
  readonly folder: string;
  readonly out: string;
  /** Of the bootstrap's drawings. Default 0. */
  readonly seed?: number;
  /** Default 2000. */
  readonly resamples?: number;
}

/**
 * @throws Error where there is no result yet, writing nothing, as what is there may be the tables of results that are
 *   elsewhere; naming the file and the field where a result breaks a rule, or results contradict each other.
 */
export async function writeReport(options: ReportOptions): Promise<{ report: Report; files: string[] }> {
  const { folder, out, seed = 0, resamples = 2000 } = options;
  const { experiment, results } = await readExperiment(folder);
  if (results.length === 0)
    throw new Error(
      `${join(folder, "results")}: has no result to report; the command that made ${folder} makes them ` +
        "(`aenet experiment` generated, oasis, table1, table2 or all)",
    );
  const report = analyse(experiment, results, { seed, resamples });
  const contents = {
    "report.html": reportPage(report, experiment),
    "report.json": `${JSON.stringify(report, null, 1)}\n`,
    ...reportTables(report),
  };
  const files: string[] = [];
  for (const [name, content] of Object.entries(contents)) {
    await replaceSharedFile(join(out, name), content);
    files.push(join(out, name));
  }
  return { report, files };
}
