/**
 * `npm run demo`: the whole program on generated scenes, in some minutes without a GPU. Makes a data set, trains AENet,
 * evaluates it on held-out images against the majority class and a logistic regression on the mean colour, predicts.
 *
 *   npm run demo -- [--seed N] [--adapter auto|gpu|lavapipe|swiftshader] [--full] [--out DIR] [--check]
 *
 * `--full` trains the real AENet (three ResNet50 streams) instead of a reduced one. `--check` exits with 1 unless both
 * tasks were learnt: the 95 % interval begins 5 points above the majority, and the accuracy beats the regression.
 */
import { join } from "node:path";
import { fitLogistic, meanRgb } from "../src/aenet/baselines/logistic.ts";
import { interruptible } from "../src/aenet/cli/interrupt.ts";
import { counter, formatSeconds, Progress, TimeLeft } from "../src/aenet/cli/progress.ts";
import { processTerminal } from "../src/aenet/cli/terminal.ts";
import { alignLeft, alignRight, percent } from "../src/aenet/cli/text.ts";
import { departures } from "../src/aenet/cli/train-options.ts";
import { resizedSide } from "../src/aenet/data/augment.ts";
import { targetsOf } from "../src/aenet/data/batch.ts";
import { EIGHT_EMOTIONS, FileImages, readManifest } from "../src/aenet/data/index.ts";
import { synthesize } from "../src/aenet/data/synth/index.ts";
import { evaluate } from "../src/aenet/evaluate.ts";
import { predict } from "../src/aenet/predict.ts";
import { wilson } from "../src/aenet/statistics.ts";
import { defaultTrainConfig, type TrainConfig } from "../src/aenet/training/config.ts";
import { train } from "../src/aenet/training/train.ts";
import { parseAdapterChoice } from "../src/node/index.ts";
import { readFlags } from "./flags.ts";

const { values: flags } = readFlags("demo", {
  options: {
    seed: { type: "string", default: "0" },
    adapter: { type: "string", default: process.env.AENET_ADAPTER || "auto" },
    full: { type: "boolean", default: false },
    out: { type: "string", default: "demo" },
    check: { type: "boolean", default: false },
  },
});
const seed = Number(flags.seed);
const adapter = parseAdapterChoice(flags.adapter);
const folder = join(flags.out, `seed-${seed}${flags.full ? "-full" : ""}`);
const terminal = processTerminal();
const progress = new Progress(terminal);
const began = performance.now();
const say = (text: string) => {
  progress.clear();
  terminal.out(`${text}\n`);
};

// 1. Data: 3,200 scenes, of which a fifth is held out.
const imageSize = 32;
const count = 3200;
const data = join(folder, "data");
say(`1. Drawing ${count} scenes (seed ${seed}) into ${data}`);
const synth = await synthesize(
  { out: data, count, seed, size: resizedSide(imageSize), splits: [0.75, 0.05, 0.2], overwrite: true },
  counter(progress, "drew"),
);
say(`   ${synth.splits.train} to train on, ${synth.splits.val} to validate, ${synth.splits.test} held out`);

// 2. Training.
const reduced: Partial<TrainConfig> = { depth: [1, 1, 1, 1], baseChannels: 16 };
const config: TrainConfig = {
  ...defaultTrainConfig,
  ...(flags.full ? {} : reduced),
  data: synth.manifest,
  imageSize,
  batchSize: 32,
  epochs: 6,
  lr: 0.01,
  lambda: 1,
  seed,
  evalEvery: 3,
};
const run = join(folder, "run");
say(`2. Training ${flags.full ? "AENet" : "a reduced AENet"}; what departs from the defaults of \`aenet train\`:`);
for (const line of departures(config)) say(`   ${line}`);
const left = new TimeLeft();
const result = await interruptible(
  () => progress.note("finishing this step, writing a checkpoint; press Ctrl-C again to stop at once"),
  (signal) =>
    train(
      config,
      { path: run, overwrite: true },
      { adapter, workers: undefined, signal },
      {
        onMessage: (line) => say(`   ${line}`),
        onStep: ({ loss_aes, loss_emo }, { stepsDone, stepsTotal }) => {
          const seconds = left.update(stepsDone, stepsTotal);
          progress.update(() =>
            [
              `   step ${stepsDone} of ${stepsTotal}`,
              `L_a ${loss_aes?.toFixed(3)}, L_e ${loss_emo?.toFixed(3)}`,
              ...(seconds === null ? [] : [`${formatSeconds(seconds)} left`]),
            ].join(", "),
          );
        },
      },
    ),
);
if (result.reason === "interrupted") {
  say(`Interrupted; \`npx aenet train --resume ${run}\` goes on with it.`);
  process.exit(130);
}
say(`   ${result.steps} steps in ${result.epochs} epochs`);

// 3. Evaluation on the held-out scenes.
const checkpoint = join(run, "checkpoints", "last.safetensors");
say(`3. Evaluating ${checkpoint} on the held-out scenes`);
const report = await evaluate({
  checkpoint,
  data: synth.manifest,
  split: "test",
  batchSize: 50,
  perImage: false,
  adapter,
  onProgress: counter(progress, "evaluated"),
});
const colour = await meanColourAccuracies();
const tasks = [
  {
    name: "aesthetics",
    n: report.n_aes,
    accuracy: report.acc_aes!,
    majority: report.majority_aes!,
    colour: colour.aes,
  },
  { name: "emotion", n: report.n_emo, accuracy: report.acc_emo!, majority: report.majority_emo!, colour: colour.emo },
].map((task) => ({ ...task, interval: wilson(Math.round(task.accuracy * task.n), task.n) }));
progress.clear();
terminal.out(
  alignRight([
    ["   task", "images", "accuracy", "95 % interval", "majority class", "mean colour"],
    ...tasks.map(({ name, n, accuracy, interval, majority, colour }) => [
      `   ${name}`,
      String(n),
      percent(accuracy),
      `${percent(interval.low)} to ${percent(interval.high)}`,
      percent(majority),
      percent(colour),
    ]),
  ]),
);
say("   (mean colour: a logistic regression on the image's mean red, green and blue)");

// 4. Prediction.
say("4. Predicting the first held-out scenes");
const { samples } = await readManifest(synth.manifest);
const shown = samples.filter(({ split }) => split === "test").slice(0, 5);
const { predictions } = await predict({
  checkpoint,
  paths: shown.map(({ absolutePath }) => absolutePath),
  batchSize: shown.length,
  adapter,
});
progress.clear();
terminal.out(
  alignLeft([
    ["   image", "P(high)", "truth", "emotion", "truth"],
    ...predictions.map(({ aes_prob, top_emotion }, i) => [
      `   ${shown[i]!.path}`,
      aes_prob!.toFixed(2),
      shown[i]!.aesLabel!,
      top_emotion!,
      shown[i]!.emotion!,
    ]),
  ]),
);
say(`Done in ${formatSeconds((performance.now() - began) / 1000)}. The run is in ${run}; try:`);
say(`   npx aenet predict --checkpoint ${checkpoint} ${join(data, "images")} --csv | head`);

const learnt = tasks.every(
  ({ accuracy, interval, majority, colour }) => interval.low >= majority + 0.05 && accuracy > colour,
);
if (flags.check && !learnt) {
  terminal.err("demo: not both tasks were learnt\n");
  process.exitCode = 1;
}

/** Held-out accuracies of a logistic regression on each image's mean colour. */
async function meanColourAccuracies(): Promise<{ aes: number; emo: number }> {
  const { samples } = await readManifest(synth.manifest);
  const rows = samples.map((_, row) => row);
  const targets = targetsOf(samples, rows, EIGHT_EMOTIONS);
  const images = new FileImages(samples, { imageSize, resize: "squash" });
  const part = async (split: string) => {
    const chosen = rows.filter((row) => samples[row]!.split === split);
    const features: number[][] = [];
    for (const row of chosen) features.push(meanRgb(await images.read(row)));
    return { features, labels: chosen.map((row) => targets.get(row)!) };
  };
  const [fitted, held] = [await part("train"), await part("test")];
  const accuracy = (classes: number, label: (target: { aes: number | null; emo: number }) => number) =>
    fitLogistic(fitted.features, fitted.labels.map(label), { classes }).accuracy(held.features, held.labels.map(label));
  return { aes: accuracy(2, ({ aes }) => aes!), emo: accuracy(EIGHT_EMOTIONS.length, ({ emo }) => emo) };
}
