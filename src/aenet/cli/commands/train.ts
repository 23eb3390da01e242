import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { checkTrainConfig, type TrainConfig } from "../../training/config.ts";
import type { DryRun, TrainEvents, TrainProgress, TrainResult, TrainSettings } from "../../training/train.ts";
import type { CommandSpec } from "../command.ts";
import { type ExitCode, exitCodes, required, UsageError } from "../errors.ts";
import { interruptible } from "../interrupt.ts";
import { formatSeconds, Progress, TimeLeft } from "../progress.ts";
import type { Resolved } from "../settings.ts";
import type { Terminal } from "../terminal.ts";
import { alignLeft, bytes, formatJson, percent, plural, shellWord, short } from "../text.ts";
import {
  changesOf,
  departures,
  fixedByResume,
  type TrainFlags,
  trainConfigOf,
  trainOptions,
} from "../train-options.ts";

type Backend = Pick<typeof import("../../training/train.ts"), "train" | "resumeTraining" | "dryRun">;
type EpochRecord = Parameters<NonNullable<TrainEvents["onEpoch"]>>[0];
type StepRecord = Parameters<NonNullable<TrainEvents["onStep"]>>[0];

export function trainCommand(
  load: () => Promise<Backend> = () => import("../../training/train.ts"),
): CommandSpec<TrainFlags> {
  return {
    name: "train",
    summary: "train a network on a manifest, or go on with a run",
    options: trainOptions,
    passedOver: ["kernels"],
    examples: [
      "aenet train --data photos/manifest.csv --out runs/first --init resnet50.safetensors --batch-size 32 --micro-batch 8",
      "aenet train --resume runs/first --epochs 40",
    ],
    async valuesInForce({ values, given }) {
      if (values.resume === null) return values;
      const run = readRunConfig(values.resume);
      refuseFixed({ values, given }, await run.catch(() => null));
      const config = { ...(await run), ...changesOf({ values, given }) };
      const known = Object.entries(config).filter(([key]) => key in trainOptions);
      return { ...values, ...Object.fromEntries(known) };
    },
    async run({ values, given }, terminal) {
      const settings = { adapter: values.adapter, tune: values.tune, workers: values.workers ?? undefined };
      if (values.resume !== null) return resume(await load(), values.resume, { values, given }, settings, terminal);
      const config = trainConfigOf(values, required("--data", values.data, "the manifest to train on"));
      checkTrainConfig(config);
      if (values.dryRun) {
        const plan = await (await load()).dryRun(config, settings);
        terminal.out(values.json ? formatJson(plan) : formatDryRun(plan));
        return exitCodes.done;
      }
      const path = required("--out", values.out, "the run's folder");
      const out = { path, overwrite: values.overwrite };
      const { train } = await load();
      return watch(terminal, values, config.data, config.epochs, (settingsNow, events) => {
        tellDepartures(config, events);
        return train(config, out, { ...settings, ...settingsNow }, events);
      });
    },
  };
}

async function resume(
  { resumeTraining }: Backend,
  path: string,
  { values, given }: Resolved<TrainFlags>,
  settings: TrainSettings,
  terminal: Terminal,
): Promise<ExitCode> {
  const changes = changesOf({ values, given });
  const stored = await readRunConfig(path).catch(() => null); // resuming tells more of what is wrong with it
  refuseFixed({ values, given }, stored);
  const epochs = changes.epochs ?? stored?.epochs ?? null;
  return watch(terminal, values, null, epochs, (settingsNow, events) => {
    if (stored) tellDepartures({ ...stored, ...changes }, events);
    return resumeTraining(path, changes, { ...settings, ...settingsNow }, events);
  });
}

/** @throws UsageError for a setting that cannot go with --resume. */
function refuseFixed(settings: Resolved<TrainFlags>, run: TrainConfig | null): void {
  const fixed = fixedByResume(settings, { ...run });
  if (fixed === undefined) return;
  throw new UsageError(
    `${fixed}: a run goes on as it began; --resume leaves --epochs, --max-steps, --adapter, --no-tune, --workers`,
  );
}

/** What the run was begun with. @throws Error naming the file where that cannot be read. */
async function readRunConfig(path: string): Promise<TrainConfig> {
  const file = join(path, "config.json");
  try {
    return JSON.parse(await readFile(file, "utf8")) as TrainConfig;
  } catch (error) {
    throw new Error(`--resume ${path}: ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function tellDepartures(config: TrainConfig, events: TrainEvents): void {
  const found = departures(config);
  events.onMessage?.(found.length > 0 ? `settings: ${found.join(", ")}` : "settings: the defaults");
}

/** Runs a training with its progress on standard error and tells at the end what came of it. */
async function watch(
  terminal: Terminal,
  values: TrainFlags,
  data: string | null,
  epochs: number | null,
  body: (settings: Pick<TrainSettings, "signal">, events: TrainEvents) => Promise<TrainResult>,
): Promise<ExitCode> {
  const progress = new Progress(terminal);
  const announce = () => progress.note("finishing this step, writing a checkpoint; press Ctrl-C again to stop at once");
  let result: TrainResult;
  try {
    result = await interruptible(announce, (signal) => body({ signal }, eventsOf(progress, epochs)));
  } finally {
    progress.clear();
  }
  // A run that ended within its first epoch may have no best yet.
  const names = ["best", "last"].map((name) => join(result.out, "checkpoints", `${name}.safetensors`));
  const checkpoint = names.find((name) => existsSync(name)) ?? names[0]!;
  terminal.out(values.json ? formatJson(result) : formatResult(result, { checkpoint, data }));
  return result.reason === "interrupted" ? exitCodes.interrupted : exitCodes.done;
}

function eventsOf(progress: Progress, epochs: number | null): TrainEvents {
  const left = new TimeLeft();
  return {
    onMessage: (line) => progress.note(line),
    onStep(record, { stepsDone, stepsTotal }) {
      const seconds = left.update(stepsDone, stepsTotal);
      progress.update(() => formatStep(record, { stepsDone, stepsTotal }, epochs, seconds));
    },
    onEpoch: (record) => progress.note(formatEpoch(record, epochs)),
    onDamaged: (path, reason) => progress.note(`damaged, skipped: ${path}: ${reason}`),
  };
}

/** `epoch 2/5, step 31/80, 1:05 left, loss 0.7103 (aesthetics 0.6931, emotion 2.079), 41 images/s` */
export function formatStep(
  record: StepRecord,
  { stepsDone, stepsTotal }: TrainProgress,
  epochs: number | null,
  secondsLeft: number | null,
): string {
  return [
    `epoch ${record.epoch + 1}${epochs === null ? "" : `/${epochs}`}`,
    `step ${stepsDone}/${stepsTotal}`,
    ...(secondsLeft === null ? [] : [`${formatSeconds(secondsLeft)} left`]),
    `loss ${short(record.loss)} (aesthetics ${short(record.loss_aes)}, emotion ${short(record.loss_emo)})`,
    `${Number(record.images_per_s.toPrecision(3))} images/s`,
  ].join(", ");
}

/** `epoch 2/5, val: loss 0.68, aesthetics 61.2 % (majority 55.0 %), emotion …` */
export function formatEpoch(record: EpochRecord, epochs: number | null): string {
  const task = (name: string, accuracy: number | null, majority: number | null) =>
    accuracy === null ? [] : [`${name} ${percent(accuracy)} (majority ${percent(majority)})`];
  const parts = [
    `loss ${short(record.loss)}`,
    ...task("aesthetics", record.acc_aes, record.majority_aes),
    ...task("emotion", record.acc_emo, record.majority_emo),
  ];
  return `epoch ${record.epoch + 1}${epochs === null ? "" : `/${epochs}`}, ${record.split}: ${parts.join(", ")}`;
}

const ends: Record<TrainResult["reason"], string> = {
  done: "done",
  "early-stop": "stopped early, as the validation loss no longer fell",
  interrupted: "interrupted, with a checkpoint",
};

/** What came of a run, and what to do next; `data` is null where the manifest is not at hand. */
export function formatResult(
  { out, steps, epochs, skippedImages, reason }: TrainResult,
  next: { checkpoint: string; data: string | null },
): string {
  const resumed = `aenet train --resume ${shellWord(out)}`;
  const checkpoint = shellWord(next.checkpoint);
  const manifest = next.data === null ? "MANIFEST" : shellWord(next.data);
  return alignLeft([
    ["training", `${ends[reason]}: ${plural(steps, "step")}, ${plural(epochs, "epoch")}`],
    ...(skippedImages > 0
      ? [
          [
            "damaged",
            `${plural(skippedImages, "image")} could not be read and ${skippedImages === 1 ? "was" : "were"} skipped`,
          ],
        ]
      : []),
    ["run folder", out],
    ...(reason === "interrupted"
      ? [["to go on", resumed]]
      : [
          ["to evaluate", `aenet eval --checkpoint ${checkpoint} --data ${manifest}`],
          ["to predict", `aenet predict --checkpoint ${checkpoint} PHOTO…`],
        ]),
  ]);
}

export function formatDryRun(plan: DryRun): string {
  const { memory } = plan;
  const count = (value: number) => value.toLocaleString("en-US");
  return alignLeft([
    ["network", plan.arch],
    ["adapter", plan.adapter],
    ["parameters", `${count(plan.parameters)} in ${count(plan.tensors)} tensors`],
    ["operations", `${count(plan.operations)} multiplications and additions a step`],
    ["dispatches", `${count(plan.dispatches)} a step, of ${count(plan.pipelines)} pipelines`],
    ["memory", bytes(memory.total)],
    ["  parameters", bytes(memory.parameters)],
    ["  gradients", bytes(memory.gradients)],
    ["  momentum", bytes(memory.momentum)],
    ...(memory.halves > 0 ? [["  parameters in f16", bytes(memory.halves)]] : []),
    ["  activations", `${bytes(memory.activations)}, in buffers of ${memory.banks.map(bytes).join(", ") || "nothing"}`],
    ...(memory.copies > 0 ? [["  copies in textures", bytes(memory.copies)]] : []),
    ["  inputs", bytes(memory.inputs)],
    ...(memory.validation > 0 ? [["  validation", bytes(memory.validation)]] : []),
  ]);
}
