import { writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ProfileRow } from "../../bench/profile.ts";
import { makeFolder } from "../../durable-file.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes } from "../errors.ts";
import { boolean, integer, text } from "../kinds.ts";
import { type ComputeFlags, computeOptions, json } from "../options.ts";
import type { Options } from "../settings.ts";
import { formatJson } from "../text.ts";
import { type TrainFlags, trainOptions } from "../train-options.ts";

type NetworkFlags = Pick<
  TrainFlags,
  | "arch"
  | "depth"
  | "baseChannels"
  | "baseWidth"
  | "fusionPoints"
  | "fusionGranularity"
  | "detachShared"
  | "batchSize"
  | "microBatch"
  | "imageSize"
>;

interface StepFlags extends NetworkFlags, ComputeFlags {
  steps: number;
  profile: boolean;
  trace: string | null;
  json: boolean;
}

const group = "Measuring:";
const { arch, depth, baseChannels, baseWidth, fusionPoints, fusionGranularity, detachShared, microBatch } =
  trainOptions;

const options: Options<StepFlags> = {
  json,
  arch,
  depth,
  baseChannels,
  baseWidth,
  fusionPoints,
  fusionGranularity,
  detachShared,
  batchSize: { kind: integer(1), default: 4, help: "samples a step", group },
  microBatch: { ...microBatch, group },
  imageSize: { kind: integer(1), default: 64, help: "side of the images in pixels", group },
  steps: { kind: integer(1), default: 10, help: "steps to time", group },
  profile: { kind: boolean, default: false, help: "the time of every kernel in the step, from timestamps", group },
  trace: { kind: text("file"), default: null, help: "write a profile that ui.perfetto.dev opens", group },
  ...computeOptions,
  workers: { ...computeOptions.workers, help: "taken as everywhere; nothing is decoded here" },
};

type Backend = typeof import("../../bench/step.ts") &
  typeof import("../../bench/profile.ts") &
  typeof import("../../bench/trace.ts") &
  typeof import("../../bench/format.ts") &
  Pick<typeof import("../../../node/adapter.ts"), "openDevice">;

async function loadBackend(): Promise<Backend> {
  const [step, profile, trace, format, { openDevice }] = await Promise.all([
    import("../../bench/step.ts"),
    import("../../bench/profile.ts"),
    import("../../bench/trace.ts"),
    import("../../bench/format.ts"),
    import("../../../node/adapter.ts"),
  ]);
  return { ...step, ...profile, ...trace, ...format, openDevice };
}

/** How a profile came about, for whoever reads the figures. */
const method =
  "timestamps around a compute pass for every dispatch of a real step; the step's own time is taken without them, " +
  "in few passes";
const withoutTimestamps = "the adapter has no timestamps (timestamp-query): a profile has no times on it";

/** Most operations in a table for people. */
const mostOperations = 25;

export function benchStepCommand(load: () => Promise<Backend> = loadBackend): CommandSpec<StepFlags> {
  return {
    name: "step",
    summary: "time a training step on noise, against what the adapter can do at most",
    options,
    examples: [
      "aenet bench step --arch resnet50-aes --batch-size 4 --image-size 64 --profile",
      "aenet bench step --arch aenet --batch-size 2 --image-size 224 --trace step.json",
    ],
    async run({ values }, terminal) {
      const { openDevice, benchStep, profileRounds, summarize, toTrace, formatStep, formatRows, ...by } = await load();
      const { steps, profile: isWanted, trace, json, adapter, tune, workers: _, baseWidth, ...rest } = values;
      if (trace !== null) await makeFolder(dirname(trace)); // before the time is spent
      const device = await openDevice({ adapter, robustness: false, tune, note: (line) => terminal.err(`${line}\n`) });
      try {
        const profiles = isWanted || trace !== null;
        if (profiles && !device.hasTimestamps) terminal.err(`${withoutTimestamps}\n`);
        const { microBatch, ...network } = rest;
        const work = {
          ...network,
          ...(microBatch === null ? {} : { microBatch }),
          ...(baseWidth === null ? {} : { baseWidth }),
        };
        const { summary, measurement } = await benchStep(device, work, { steps, profile: profiles });
        const rounds = profileRounds(measurement);
        const last = rounds.at(-1);
        if (trace !== null && last && device.hasTimestamps) {
          const title = `aenet bench step, ${summary.arch} ${summary.batch_size}×${summary.image_size}²`;
          await writeFile(trace, formatJson(toTrace(title, last.dispatches, { adapter: summary.adapter, method })));
          terminal.err(`wrote ${trace}; ui.perfetto.dev opens it\n`);
        }
        const profile = isWanted && {
          method: device.hasTimestamps ? method : withoutTimestamps,
          rounds: rounds.length,
          by_kernel: summarize(rounds, by.byKernel),
          by_kind: summarize(rounds, by.byKind),
          by_operation: summarize(rounds, by.byOperation),
        };
        if (json) {
          terminal.out(formatJson({ ...summary, ...(profile ? { profile } : {}) }));
        } else {
          const table = (title: string, rows: readonly ProfileRow[], most?: number) =>
            terminal.out(`\n${formatRows(title, rows, most)}`);
          terminal.out(formatStep(summary));
          if (profile) {
            table("kernel", profile.by_kernel);
            table("kind of operation", profile.by_kind);
            table("operation", profile.by_operation, mostOperations);
            terminal.out(`\nProfile: ${profile.method}.\n`);
          }
        }
        return exitCodes.done;
      } finally {
        device.destroy();
      }
    },
  };
}
