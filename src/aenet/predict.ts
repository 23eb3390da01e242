/** Prediction for single photographs. Node only. */
import type { Precision } from "../autograd/index.ts";
import { type AdapterChoice, openDevice, type TuneOptions } from "../node/index.ts";
import { centreCrop } from "./data/augment.ts";
import { DecodeError, decodedSize, decodeImage } from "./data/decode.ts";
import { DEFAULT_WORKERS } from "./data/loader.ts";
import { Prefetcher } from "./data/prefetch.ts";
import { type BatchLogits, Inference } from "./inference.ts";
import { type CheckpointOverrides, loadNetwork } from "./load-network.ts";
import { largestIndex, sigmoid, softmax } from "./metrics.ts";

export interface PredictOptions extends CheckpointOverrides {
  readonly checkpoint: string;
  /** Image files, already expanded from folders and globs. */
  readonly paths: readonly string[];
  readonly batchSize: number;
  readonly adapter: AdapterChoice;
  /** As openDevice takes it. Default true. */
  readonly tune?: boolean | TuneOptions | undefined;
  /** Takes lines for people. */
  readonly onMessage?: (line: string) => void;
  readonly workers?: number | undefined;
  /** Of activations and of the weights that convolutions read. Default f32. */
  readonly precision?: Precision;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A row of `predict`'s output, in the contract's order; what a network lacks is null. */
export interface Prediction {
  readonly path: string;
  readonly aes_prob: number | null;
  readonly aes_label: "high" | "low" | null;
  readonly emotions: Readonly<Record<string, number>> | null;
  readonly top_emotion: string | null;
  readonly error: string | null;
}

/**
 * The class names of the checkpoint and a row for each path, in order; a damaged image is a row with its error.
 * @throws Error for a checkpoint that cannot be used.
 */
export async function predict(
  options: PredictOptions,
): Promise<{ classes: readonly string[]; predictions: Prediction[] }> {
  const { paths, workers = DEFAULT_WORKERS, precision = "f32" } = options;
  const { network, info, fill } = await loadNetwork(options.checkpoint, options);
  const { preprocessing, architecture } = info;
  const { classes } = architecture;
  const batchSize = Math.max(1, Math.min(options.batchSize, paths.length));
  const side = decodedSize(preprocessing);
  const device = await openDevice({
    adapter: options.adapter,
    robustness: false,
    tune: options.tune,
    note: options.onMessage,
  });
  try {
    const inference = await Inference.create(device, network, {
      batchSize,
      decodedSize: side,
      preprocessing,
      precision,
    });
    fill();
    const predictions: (Prediction | undefined)[] = paths.map(() => undefined);
    const images = new Uint8Array(batchSize * side * side * 3);
    const crop = centreCrop(side, preprocessing.imageSize);
    const crops = Int32Array.from({ length: batchSize * 3 }, (_, i) => [crop.x, crop.y, 0][i % 3]!);
    let places: number[] = [];
    let done = 0;
    const flush = async () => {
      if (places.length === 0) return;
      const logits = await inference.run(images, crops);
      places.forEach((place, i) => {
        predictions[place] = describe(paths[place]!, logits, i, classes);
      });
      done += places.length;
      options.onProgress?.(done, paths.length);
      places = [];
    };
    const window = Math.max(workers, 2 * batchSize);
    const stream = new Prefetcher([...paths.keys()], { concurrency: workers, window }, async (place) => {
      try {
        return { place, image: await decodeImage(paths[place]!, preprocessing) };
      } catch (error) {
        // A single photograph of the wrong size is its own row's error too: nothing else is lost by it.
        return { place, error: error instanceof DecodeError ? error.reason : (error as Error).message };
      }
    });
    for (let read = await stream.next(); read !== undefined; read = await stream.next()) {
      if ("error" in read) {
        predictions[read.place] = failure(paths[read.place]!, read.error!);
        done++;
        continue;
      }
      images.set(read.image, places.length * side * side * 3);
      places.push(read.place);
      if (places.length === batchSize) await flush();
    }
    await flush();
    return { classes, predictions: predictions as Prediction[] };
  } finally {
    device.destroy();
  }
}

function describe(path: string, logits: BatchLogits, i: number, classes: readonly string[]): Prediction {
  const aesProb = logits.aes ? sigmoid(logits.aes[i]!) : null;
  const k = classes.length;
  const probabilities = logits.emo ? softmax(logits.emo.subarray(i * k, (i + 1) * k)) : null;
  if (Number.isNaN(aesProb) || probabilities?.some(Number.isNaN)) {
    return failure(path, "the network's answer is not a number: the checkpoint's weights may be damaged");
  }
  return {
    path,
    aes_prob: aesProb,
    aes_label: aesProb === null ? null : aesProb >= 0.5 ? "high" : "low",
    emotions: probabilities && Object.fromEntries(classes.map((name, c) => [name, probabilities[c]!])),
    top_emotion: probabilities && classes[largestIndex(probabilities)]!,
    error: null,
  };
}

function failure(path: string, error: string): Prediction {
  return { path, aes_prob: null, aes_label: null, emotions: null, top_emotion: null, error };
}
