/** `aenet experiment generated`: the plan over a folder. Node only. */

import { onlySet } from "../frozen.ts";
import { lazyDevice, type RunEvents, type RunSettings } from "../run.ts";
import { type WorkedOff, workOff } from "../work-off.ts";
import { type Job, WorkFolder } from "../worklist.ts";
import { describeFolder, generatedPlan } from "./plan.ts";
import type { GeneratedProtocol } from "./protocol.ts";

export interface GeneratedOptions {
  readonly protocol: GeneratedProtocol;
  readonly out: string;
  /** Reads the test splits once more, with the same checkpoints. */
  readonly again: boolean;
}

/** The list of jobs, without doing any. */
export function listGenerated(protocol: GeneratedProtocol): Job[] {
  const device = () => Promise.reject(new Error("a list computes nothing"));
  return generatedPlan(protocol, { folder: new WorkFolder("."), device, reading: 1 });
}

/**
 * Runs the experiment, or goes on with it.
 * @throws Error where `out` holds an experiment of other settings; Interrupted by the signal.
 */
export async function runGenerated(
  { protocol, out, again }: GeneratedOptions,
  settings: RunSettings,
  events: RunEvents = {},
): Promise<WorkedOff> {
  const { device, close } = lazyDevice(settings, out);
  const describe = (folder: WorkFolder) => describeFolder(protocol, folder);
  const planOf = (folder: WorkFolder, readingOf: (set: string) => number) =>
    generatedPlan(protocol, { folder, device, workers: settings.workers, reading: readingOf(onlySet) });
  try {
    return await workOff({ out, again, protocol, sets: [onlySet], describe, planOf }, settings, events);
  } finally {
    await close();
  }
}
