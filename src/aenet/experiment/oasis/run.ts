/** `aenet experiment oasis`: the plan over a folder. Node only. */
import { readOasis } from "../../data/import-oasis.ts";
import { onlySet } from "../frozen.ts";
import { lazyDevice, type RunEvents, type RunSettings } from "../run.ts";
import { type WorkedOff, workOff } from "../work-off.ts";
import { type Job, WorkFolder } from "../worklist.ts";
import { describeOasis, type OasisProtocol, oasisPlan } from "./plan.ts";

export interface OasisOptions {
  /** A folder with oasis.csv and oasis/. */
  readonly data: string;
  readonly protocol: OasisProtocol;
  readonly out: string;
  readonly again: boolean;
}

/** The list of jobs, without doing any. */
export function listOasis(protocol: OasisProtocol): Job[] {
  const device = () => Promise.reject(new Error("a list computes nothing"));
  return oasisPlan(protocol, { folder: new WorkFolder("."), photos: [], device, reading: 1 });
}

/**
 * Runs the experiment, or goes on with it.
 * @throws Error where `out` holds an experiment of other settings; Interrupted by the signal.
 */
export async function runOasis(
  { data, protocol, out, again }: OasisOptions,
  settings: RunSettings,
  events: RunEvents = {},
): Promise<WorkedOff> {
  const photos = await readOasis(data);
  const { device, close } = lazyDevice(settings, out);
  const describe = () => Promise.resolve(describeOasis(protocol));
  const planOf = (folder: WorkFolder, readingOf: (set: string) => number) =>
    oasisPlan(protocol, { folder, photos, device, workers: settings.workers, reading: readingOf(onlySet) });
  try {
    return await workOff({ out, again, protocol, sets: [onlySet], describe, planOf }, settings, events);
  } finally {
    await close();
  }
}
