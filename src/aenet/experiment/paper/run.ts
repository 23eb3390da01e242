/** `aenet experiment pretrain`, `table1`, `table2`: the paper's plan over a folder. Node only. */
import type { RunEvents, RunSettings } from "../run.ts";
import { type WorkedOff, workOff } from "../work-off.ts";
import { type Job, WorkFolder } from "../worklist.ts";
import { contentsOf } from "./given-files.ts";
import { describePaper, type PaperProtocol, paperPlan, type Stage, testSetsOf } from "./plan.ts";

export interface PaperOptions {
  readonly protocol: PaperProtocol;
  readonly stage: Stage;
  readonly out: string;
  /** Reads the test splits once more, with the same checkpoints. */
  readonly again: boolean;
}

/** The list of jobs, without doing any. @throws Error naming the flag that is missing. */
export function listPaper(protocol: PaperProtocol, stage: Stage): Job[] {
  return paperPlan(protocol, stage, {
    folder: new WorkFolder("."),
    adapter: "auto",
    contents: {},
    readingOf: () => 1,
  });
}

/**
 * Does a stage and what comes before it, or goes on with it.
 * @throws Error where `out` holds an experiment of other settings or files, and where a file cannot be used; Interrupted by
 *   the signal.
 */
export async function runPaper(
  { protocol, stage, out, again }: PaperOptions,
  settings: RunSettings,
  events: RunEvents = {},
): Promise<WorkedOff> {
  listPaper(protocol, stage); // a flag that is missing is told before files are read
  const contents = await contentsOf(protocol);
  const { data: _d, ava: _a, fi: _f, artphoto: _p, initS: _s, initWrn: _w, ...kept } = protocol; // paths decide nothing
  const { adapter, tune, workers } = settings;
  const planOf = (folder: WorkFolder, readingOf: (set: string) => number) =>
    paperPlan(protocol, stage, { folder, adapter, tune, workers, contents, readingOf });
  const describe = () => Promise.resolve(describePaper(protocol));
  return workOff({ out, again, protocol: kept, contents, sets: testSetsOf(stage), describe, planOf }, settings, events);
}
