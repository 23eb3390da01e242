/** Small networks on images in memory: one device for many runs, no run folder. Node only, as devices are. */
import type { Device } from "../../kernels/device.ts";
import { stepsInFlight, type TensorData } from "../../nn/index.ts";
import { type Architecture, streamsOf, tasksOf } from "../architecture.ts";
import { EvalLoader } from "../data/eval-loader.ts";
import type { ImageSource } from "../data/image-source.ts";
import type { Split } from "../data/labels.ts";
import type { Sample } from "../data/manifest.ts";
import { TrainLoader } from "../data/train-loader.ts";
import { evaluateSplit, type ImageResult } from "../evaluate.ts";
import { Inference } from "../inference.ts";
import { type InitFlag, loadedValues, planInitialization } from "../initialize.ts";
import type { Metrics } from "../metrics.ts";
import { createNetwork, type Network } from "../model.ts";
import { defaultPreprocessing } from "../preprocessing.ts";
import { frozenBy } from "../training/freeze.ts";
import { type StepLosses, TrainingStep } from "../training/step.ts";

export type Weights = ReadonlyMap<string, TensorData>;

/** Labelled images; row i of the samples is image i of the source. */
export interface Images {
  readonly samples: readonly Sample[];
  readonly source: ImageSource;
  /** Images read at a time; this changes nothing that is read. */
  readonly workers?: number | undefined;
}

/** What is tuned. */
export interface Rates {
  readonly lr: number;
  /** Of fusion and stitch weights. */
  readonly fusionLr: number;
  /** λ of Eq. 1; without meaning for networks of one task. */
  readonly lambda: number;
}

export interface Budget {
  readonly epochs: number;
  readonly batchSize: number;
}

export interface TrainingJob {
  readonly architecture: Architecture;
  readonly data: Images;
  readonly rates: Rates;
  readonly budget: Budget;
  readonly freeze: readonly string[];
  /** Random crops and mirroring. */
  readonly augment: boolean;
  /** Of the start values, and of order and augmentation. */
  readonly seeds: { readonly init: number; readonly order: number };
  /** Trunks to start from. */
  readonly start: readonly StartWeights[];
  /** The split that the network is evaluated on after every epoch, for its curves; this changes no weight. null: none. */
  readonly watch: Split | null;
}

/** Weights of one stream's trunk, for all streams (--init) or one. */
export interface StartWeights {
  readonly flag: InitFlag;
  /** For messages. */
  readonly name: string;
  readonly weights: Weights;
}

export interface Trained {
  readonly weights: Weights;
  readonly steps: number;
  /** Mean losses of each epoch's steps, and the fusion or stitch weights at its end. */
  readonly epochs: readonly EpochTrace[];
}

export interface EpochTrace {
  readonly lossAes: number | null;
  readonly lossEmo: number | null;
  readonly fusion: Readonly<Record<string, number>>;
  /** On the split that was watched; absent in what was trained before any was. */
  readonly watched?: WatchedEpoch | null;
}

/** What a network says of a whole split at an epoch's end: in evaluation mode, of the centre of each image. */
export interface WatchedEpoch {
  readonly split: Split;
  readonly loss: number | null;
  readonly accAes: number | null;
  readonly accEmo: number | null;
}

const momentum = 0.9;
const weightDecay = 1e-4;
/** Images at once where nothing is trained. */
const testBatch = 64;

/** A step's losses or gradients were not finite. */
export class Diverged extends Error {
  override name = "Diverged";
}

/** Thrown where the signal ended a run; the run begins anew when it is wanted again. */
export class Interrupted extends Error {
  override name = "Interrupted";
}

/**
 * Trains for the whole budget, at rates that fall to zero along half a cosine. The weights after the last step are the
 * result: no split chooses among them.
 *
 * @throws Interrupted; Diverged where a step was not finite.
 */
export async function trainNetwork(device: Device, job: TrainingJob, signal?: AbortSignal): Promise<Trained> {
  const { architecture, data, rates, budget, augment, seeds } = job;
  const network = createNetwork(architecture);
  const { parameters } = network;
  const { imageSize, decodedSize } = data.source;
  const loader = new TrainLoader({
    samples: data.samples,
    classes: architecture.classes,
    images: data.source,
    ...workersOf(data),
    batchSize: budget.batchSize,
    seed: seeds.order,
    augment,
    tasks: tasksOf(architecture.arch),
    lastEpoch: budget.epochs - 1,
  });
  const isFrozen = frozenBy(
    job.freeze,
    parameters.trainable.map(({ name }) => name),
  );
  const step = await TrainingStep.create(device, network, {
    batchSize: budget.batchSize,
    microBatch: budget.batchSize,
    decodedSize,
    preprocessing: { ...defaultPreprocessing, imageSize },
    lambda: rates.lambda,
    momentum,
    weightDecay,
    frozen: ({ name }) => isFrozen(name),
  });
  let watch: Watcher | null = null;
  try {
    parameters.write(startWeights(job));
    watch = job.watch && (await watcherOf(device, network, data, job.watch, rates.lambda));
    const total = budget.epochs * loader.batchesPerEpoch;
    const epochs: EpochTrace[] = [];
    let steps = 0;
    for (let epoch = 0; epoch < budget.epochs; epoch++) {
      const losses: StepLosses[] = [];
      const queued: Promise<StepLosses>[] = [];
      const settle = async (count: number) => {
        while (queued.length > count) {
          const values = await queued.shift()!;
          if (values.nonFinite > 0) throw new Diverged(`step ${steps}: a value is not finite; a lower rate helps`);
          losses.push(values);
        }
      };
      for await (const batch of loader.epoch(epoch)) {
        if (signal?.aborted) throw new Interrupted("interrupted");
        const factor = 0.5 * (1 + Math.cos((Math.PI * steps) / total));
        const submitted = step.submit(batch, { base: rates.lr * factor, fusion: rates.fusionLr * factor });
        submitted.catch(() => {}); // awaited below, unless an earlier one fails first
        queued.push(submitted);
        steps++;
        await settle(stepsInFlight - 1);
      }
      await settle(0);
      epochs.push({
        lossAes: meanOf(losses.map(({ aes }) => aes)),
        lossEmo: meanOf(losses.map(({ emo }) => emo)),
        fusion: fusionOf(await parameters.read()),
        watched: watch && (await watch.evaluate()),
      });
    }
    return { weights: await parameters.read(), steps, epochs };
  } finally {
    loader.close();
    await device.gpu.queue.onSubmittedWorkDone().catch(() => {});
    watch?.destroy();
    step.destroy();
    parameters.destroy();
  }
}

interface Watcher {
  evaluate(): Promise<WatchedEpoch>;
  destroy(): void;
}

/** Evaluates a network that is being trained, with the weights and running statistics it has at the time. */
async function watcherOf(
  device: Device,
  network: Network,
  { samples, source, workers }: Images,
  split: Split,
  lambda: number,
): Promise<Watcher> {
  const { imageSize, decodedSize } = source;
  const { classes } = network.architecture;
  const preprocessing = { ...defaultPreprocessing, imageSize };
  const inference = await Inference.create(device, network, { batchSize: testBatch, decodedSize, preprocessing });
  return {
    async evaluate() {
      const loader = new EvalLoader({
        samples,
        classes,
        images: source,
        ...workersOf({ workers }),
        batchSize: testBatch,
        split,
      });
      const { loss, accAes, accEmo } = await evaluateSplit(inference, loader, classes.length, { lambda });
      return { split, loss, accAes, accEmo };
    },
    destroy: () => inference.destroy(),
  };
}

/** {@link trainNetwork}, begun anew at half the rates as often as it diverges, at most eight times. */
export async function trainUntilFinite(
  device: Device,
  job: TrainingJob,
  signal?: AbortSignal,
): Promise<Trained & { readonly halvings: number }> {
  for (let halvings = 0; ; halvings++) {
    const { lr, fusionLr, lambda } = job.rates;
    const rates = { lr: lr / 2 ** halvings, fusionLr: fusionLr / 2 ** halvings, lambda };
    try {
      return { ...(await trainNetwork(device, { ...job, rates }, signal)), halvings };
    } catch (error) {
      if (!(error instanceof Diverged) || halvings === 8) throw error;
    }
  }
}

/** Start values from the seed, tensor by tensor by name, and the trunks that are given over them; heads always start anew. */
export function startWeights({
  architecture,
  seeds,
  start,
}: Pick<TrainingJob, "architecture" | "seeds" | "start">): Map<string, TensorData> {
  const { parameters } = createNetwork(architecture);
  const values = parameters.initialValues(seeds.init);
  if (start.length === 0) return values;
  const { loads } = planInitialization(
    { tensors: parameters.fileShapes, streams: streamsOf(architecture.arch), classes: architecture.classes },
    start.map(({ flag, name, weights }) => ({
      flag,
      path: name,
      tensors: new Map([...weights].filter(([tensor]) => !tensor.startsWith("head."))),
      classes: [],
    })),
  );
  for (const [name, load] of loads) {
    const { shape, data } = values.get(name)!;
    values.set(name, { shape, data: loadedValues(load, data) });
  }
  return values;
}

/** The network's answers on a split, in the order of its rows. */
export async function testNetwork(
  device: Device,
  architecture: Architecture,
  weights: Weights,
  { samples, source, workers }: Images,
  split: Split,
  lambda: number,
): Promise<{ metrics: Metrics; rows: number[]; results: ImageResult[] }> {
  const network = createNetwork(architecture);
  const { imageSize, decodedSize } = source;
  const batchSize = testBatch;
  const inference = await Inference.create(device, network, {
    batchSize,
    decodedSize,
    preprocessing: { ...defaultPreprocessing, imageSize },
  });
  try {
    network.parameters.write(weights);
    const loader = new EvalLoader({
      samples,
      classes: architecture.classes,
      images: source,
      ...workersOf({ workers }),
      batchSize,
      split,
    });
    const rows: number[] = [];
    const results: ImageResult[] = [];
    const metrics = await evaluateSplit(inference, loader, architecture.classes.length, {
      lambda,
      onImage(row, result) {
        rows.push(row);
        results.push({ ...result, emoLogits: result.emoLogits?.slice() ?? null });
      },
    });
    return { metrics, rows, results };
  } finally {
    inference.destroy();
    network.parameters.destroy();
  }
}

function workersOf({ workers }: Pick<Images, "workers">): { workers?: number } {
  return workers === undefined ? {} : { workers };
}

function meanOf(values: readonly (number | null)[]): number | null {
  const given = values.filter((value) => value !== null);
  return given.length === 0 ? null : given.reduce((sum, value) => sum + value, 0) / given.length;
}

/** Fusion weights by name; a stitch's four by row and column. By channel: their mean. */
export function fusionOf(weights: Weights): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, { data }] of weights) {
    if (name.startsWith("fusion.")) found[name] = data.reduce((sum, value) => sum + value, 0) / data.length;
    if (name.startsWith("stitch.")) for (let i = 0; i < 4; i++) found[`${name}.${i >> 1}.${i & 1}`] = data[i]!;
  }
  return found;
}
