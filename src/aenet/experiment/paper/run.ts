/** `aenet experiment pretrain`, `table1`, `table2`: the paper's plan over a folder. Node only. */
import type { RunEvents, RunSettings } from "../run.ts";
import { workOff } from "../work-off.ts";
import { type Job, WorkFolder, type WorkResult } from "../worklist.ts";
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

    readingOf: () => 1,
  });
}

/**
 * Does a stage and what comes before it, or goes on with it.
 * @throws Error where `out` holds an experiment of other settings; Interrupted by the signal.
 */
export async function runPaper(
  { protocol, stage, out, again }: PaperOptions,
  settings: RunSettings,
  events: RunEvents = {},
): Promise<WorkResult & { readonly reading: number }> {
  const { artphoto: _, ...kept } = protocol; // looked at for the second table alone, and may be named then
  const { adapter, tune, workers } = settings;
  const planOf = (folder: WorkFolder, readingOf: (set: string) => number) =>
    paperPlan(protocol, stage, { folder, adapter, tune, workers, readingOf });
  const describe = () => Promise.resolve(describePaper(protocol));
  return workOff({ out, again, protocol: kept, sets: testSetsOf(stage), describe, planOf }, settings, events);
}
