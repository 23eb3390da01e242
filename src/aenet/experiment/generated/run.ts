/** `aenet experiment generated`: the plan over a folder. Node only. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceSharedFile } from "../../durable-file.ts";
import { allowReading, readingOf } from "../frozen.ts";
import { writeExperiment } from "../results.ts";
import { childShard, lazyDevice, type RunEvents, type RunSettings, runJobs } from "../run.ts";
import { type Job, WorkFolder, type WorkResult } from "../worklist.ts";
import { describeGenerated, generatedPlan } from "./plan.ts";
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
): Promise<WorkResult & { readonly reading: number }> {
  const folder = new WorkFolder(out);
  await keepProtocol(out, protocol);
  if (!existsSync(join(out, "experiment.json"))) await writeExperiment(out, describeGenerated(protocol, null));
  let reading = await readingOf(out);
  const { device, close } = lazyDevice(settings.adapter);
  const planOf = (number: number) => generatedPlan(protocol, { folder, device, reading: number });
  if (again && childShard(process.env) === null) {
    if (planOf(reading).some(({ id }) => !folder.isDone(id)))
      throw new Error(`--again: reading ${reading} of the test splits is not finished; go on without --again`);
    reading = await allowReading(out);
  }
  try {
    return { ...(await runJobs(planOf(reading), folder, settings, events)), reading };
  } finally {
    await close();
  }
}

/** Writes the settings at the first start. @throws Error where there are others. */
async function keepProtocol(out: string, protocol: GeneratedProtocol): Promise<void> {
  const file = join(out, "protocol.json");
  const text = `${JSON.stringify(protocol, null, 2)}\n`;
  if (!existsSync(file)) return replaceSharedFile(file, text);
  if ((await readFile(file, "utf8")) !== text)
    throw new Error(`--out ${out}: holds an experiment of other settings; its protocol.json tells them`);
}
