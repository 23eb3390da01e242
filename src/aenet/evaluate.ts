/** Evaluation of a network on a split of a manifest. Node only. */

import type { Precision } from "../autograd/index.ts";
import { type AdapterChoice, openDevice, type TuneOptions } from "../node/index.ts";
import { tasksOf } from "./architecture.ts";
import type { Batch } from "./data/batch.ts";
import { type DataSet, openDataSet } from "./data/data-set.ts";
import { EvalLoader } from "./data/eval-loader.ts";
import type { Split } from "./data/labels.ts";
import type { Sample } from "./data/manifest.ts";
import { Inference } from "./inference.ts";
import { type CheckpointOverrides, loadNetwork } from "./load-network.ts";
import { hasNaN, largestIndex, type Metrics, MetricsSum, sigmoid } from "./metrics.ts";

export interface EvaluateOptions extends CheckpointOverrides {
  readonly checkpoint: string;
  /** A manifest, or a pack of one. */
  readonly data: string;
  readonly split: Split;
  readonly batchSize: number;
  readonly perImage: boolean;
  readonly adapter: AdapterChoice;
  /** As openDevice takes it. Default true. */
  readonly tune?: boolean | TuneOptions | undefined;
  /** Takes lines for people. */
  readonly onMessage?: (line: string) => void;
  readonly workers?: number | undefined;
  /** Of activations and of the weights that convolutions read. Default f32. */
  readonly precision?: Precision;
  /** λ of the total loss. Default 0.25. */
  readonly lambda?: number | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The JSON of `eval`: fields, order and meaning are fixed; loss_aes and loss_emo are its two parts. */
export interface EvaluationReport {
  readonly checkpoint: string;
  readonly split: string;
  readonly classes: readonly string[];
  readonly n_aes: number;
  readonly n_emo: number;
  readonly loss: number | null;
  readonly loss_aes: number | null;
  readonly loss_emo: number | null;
  readonly acc_aes: number | null;
  readonly acc_emo: number | null;
  readonly majority_aes: number | null;
  readonly majority_emo: number | null;
  readonly images?: readonly EvaluatedImage[];
  readonly errors: readonly { path: string; error: string }[];
}

export interface EvaluatedImage {
  readonly path: string;
  readonly aes_logit: number | null;
  readonly aes_prob: number | null;
  readonly aes_true: "high" | "low" | null;
  readonly emo_logits: readonly number[] | null;
  readonly emotion: string | null;
  readonly emotion_true: string | null;
}

/** @throws Error for a checkpoint or a manifest that cannot be used; damaged images are listed in `errors`. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationReport> {
  const dataSet = await openDataSet(options.data);
  try {
    return await evaluateOn(dataSet, options);
  } finally {
    await dataSet.close();
  }
}

async function evaluateOn(dataSet: DataSet, options: EvaluateOptions): Promise<EvaluationReport> {
  const { manifest } = dataSet;
  const loaded = await loadNetwork(options.checkpoint, options);
  const { network, info } = loaded;
  const { classes } = info.architecture;
  const images = dataSet.images(info.preprocessing);
  const errors: { path: string; error: string }[] = [];
  const device = await openDevice({
    adapter: options.adapter,
    robustness: false,
    tune: options.tune,
    note: options.onMessage,
  });
  try {
    const { batchSize, split, workers } = options;
    const inference = await Inference.create(device, network, {
      batchSize,
      decodedSize: images.decodedSize,
      preprocessing: info.preprocessing,
      precision: options.precision ?? "f32",
    });
    loaded.fill();
    const loader = new EvalLoader({
      samples: manifest.samples,
      classes,
      images,
      batchSize,
      split,
      tasks: tasksOf(info.architecture.arch),
      ...(workers === undefined ? {} : { workers }),
      onDamaged: ({ reason }, row) => errors.push({ path: manifest.samples[row]!.path, error: reason }),
    });
    const evaluated: EvaluatedImage[] = [];
    const onImage = options.perImage
      ? (row: number, result: ImageResult) => {
          evaluated.push(describeImage(manifest.samples[row]!, result, classes));
        }
      : undefined;
    const metrics = await evaluateSplit(inference, loader, classes.length, {
      lambda: options.lambda ?? 0.25,
      onImage,
      onProgress: options.onProgress,
    });
    return {
      checkpoint: options.checkpoint,
      split,
      classes,
      n_aes: metrics.nAes,
      n_emo: metrics.nEmo,
      loss: metrics.loss,
      loss_aes: metrics.lossAes,
      loss_emo: metrics.lossEmo,
      acc_aes: metrics.accAes,
      acc_emo: metrics.accEmo,
      majority_aes: metrics.majorityAes,
      majority_emo: metrics.majorityEmo,
      ...(options.perImage ? { images: evaluated } : {}),
      errors,
    };
  } finally {
    device.destroy();
  }
}

/** What the network says of one image, and its labels. */
export interface ImageResult {
  readonly aesLogit: number | null;
  readonly emoLogits: Float32Array | null;
  readonly aes: 0 | 1 | null;
  readonly emo: number;
}

/** All batches of a loader through the network, in order. */
export async function evaluateSplit(
  inference: Inference,
  loader: EvalLoader,
  classes: number,
  options: {
    lambda: number;
    onImage?: ((row: number, result: ImageResult) => void) | undefined;
    onProgress?: ((done: number, total: number) => void) | undefined;
  },
): Promise<Metrics> {
  const sum = new MetricsSum(options.lambda, classes);
  let done = 0;
  for await (const batch of loader.batches()) {
    const logits = await inference.run(batch.images, batch.crops);
    for (let i = 0; i < batch.count; i++) {
      const result = {
        aesLogit: logits.aes ? logits.aes[i]! : null,
        emoLogits: logits.emo ? logits.emo.subarray(i * classes, (i + 1) * classes) : null,
        ...labelsOf(batch, i),
      };
      sum.add(result);
      options.onImage?.(batch.rows[i]!, result);
    }
    done += batch.count;
    options.onProgress?.(done, loader.rows.length);
    loader.recycle(batch);
  }
  return sum.result;
}

function labelsOf(batch: Batch, i: number): { aes: 0 | 1 | null; emo: number } {
  const aes = batch.aesMask[i] ? (batch.aesTarget[i] === 1 ? 1 : 0) : null;
  return { aes, emo: batch.emoTarget[i]! };
}

function describeImage(sample: Sample, result: ImageResult, classes: readonly string[]): EvaluatedImage {
  const { aesLogit, emoLogits, aes, emo } = result;
  return {
    path: sample.path,
    aes_logit: aesLogit,
    aes_prob: aesLogit === null ? null : sigmoid(aesLogit),
    aes_true: aes === null ? null : aes === 1 ? "high" : "low",
    emo_logits: emoLogits && [...emoLogits],
    emotion: emoLogits && !hasNaN(emoLogits) ? classes[largestIndex(emoLogits)]! : null,
    emotion_true: emo < 0 ? null : classes[emo]!,
  };
}
