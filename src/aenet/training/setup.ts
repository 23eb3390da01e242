/** From a configuration to what a run works with: data, network, start values. Node only. */
import { resolve } from "node:path";
import type { Slice, TensorData } from "../../nn/index.ts";
import { type Architecture, createArchitecture, streamsOf, tasksOf } from "../architecture.ts";
import { checkpointMetadata, readClasses } from "../checkpoint.ts";
import { configSha256 } from "../config.ts";
import { emotionClasses } from "../data/classes.ts";
import { type DataSet, openDataSet } from "../data/data-set.ts";
import { EvalLoader } from "../data/eval-loader.ts";
import type { ImageSource } from "../data/image-source.ts";
import type { Manifest } from "../data/manifest.ts";
import { fillableBatchSize, TrainLoader, type TrainLoaderOptions } from "../data/train-loader.ts";
import { formatInitReport, type InitFlag, type InitSource, loadedValues, planInitialization } from "../initialize.ts";
import { readWeights } from "../load-network.ts";
import { createNetwork, type Network } from "../model.ts";
import { defaultPreprocessing, type Preprocessing } from "../preprocessing.ts";
import { checkTrainConfig, type TrainConfig } from "./config.ts";
import { frozenBy } from "./freeze.ts";
import type { StepOptions } from "./step.ts";

export interface RunSetup {
  readonly config: TrainConfig;
  readonly manifest: Manifest;
  readonly architecture: Architecture;
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  readonly images: ImageSource;
  readonly step: StepOptions;
  readonly configSha256: string;
  /** Where a path of the configuration is. */
  readonly locate: (path: string) => string;
  /** Has to be called at the end: gives back what reading images holds. */
  readonly close: () => Promise<void>;
}

/**
 * Reads the manifest and builds the network; allocates nothing on a device.
 *
 * @param folder What the configuration's paths are relative to, where that is not the current folder.
 * @throws Error naming the flag or the file that is wrong.
 */
export async function setUp(config: TrainConfig, workers: number | undefined, folder?: string): Promise<RunSetup> {
  checkTrainConfig(config);
  const locate = (path: string) => (folder === undefined ? path : resolve(folder, path));
  const dataSet = await openDataSet(locate(config.data), config.data);
  try {
    return await setUpWith(dataSet, config, workers, locate);
  } catch (error) {
    await dataSet.close();
    throw error;
  }
}

async function setUpWith(
  dataSet: DataSet,
  config: TrainConfig,
  workers: number | undefined,
  locate: RunSetup["locate"],
): Promise<RunSetup> {
  const { manifest } = dataSet;
  const classes = emotionClasses(
    manifest.samples.map(({ emotion }) => emotion),
    config.classes ?? undefined,
  );
  const { depth, baseChannels, baseWidth, fusionPoints, fusionGranularity, detachShared } = config;
  const architecture = createArchitecture(config.arch, classes, {
    depth,
    baseChannels,
    fusionPoints,
    fusionGranularity,
    detachShared,
    ...(baseWidth === null ? {} : { baseWidth }),
  });
  const network = createNetwork(architecture);
  const { imageSize, resize, batchSize, lambda, momentum, weightDecay } = config;
  const preprocessing = { ...defaultPreprocessing, imageSize, resize };
  const images = dataSet.images({ imageSize, resize });
  const loader = loaderOptions({ config, manifest, architecture, images }, workers);
  // A set smaller than a batch is one batch an epoch; the step is planned for that.
  const fillable = Math.min(batchSize, await fillableBatchSize(loader));
  const microBatch = microBatchFor(fillable, config.microBatch ?? fillable);
  const samples = fillable - (fillable % microBatch);
  const isFrozen = frozenBy(
    config.freeze,
    network.parameters.trainable.map(({ name }) => name),
  );
  const step: StepOptions = {
    batchSize: samples,
    microBatch,
    decodedSize: images.decodedSize,
    preprocessing,
    lambda,
    momentum,
    weightDecay,
    precision: config.precision,
    frozen: ({ name }: Slice) => isFrozen(name),
  };
  // A pack of a manifest computes what the manifest does.
  const sha256 = configSha256({ ...config, data: dataSet.name });
  const close = () => dataSet.close();
  const parts = { config, manifest, architecture, network, preprocessing, images };
  const setup = { ...parts, step, configSha256: sha256, locate, close };
  // What the loaders refuse (an emotion that is not among the classes) is refused here, before a folder is made.
  trainLoader(setup, workers, () => {});
  validationLoader(setup, workers, () => {});
  return setup;
}

/**
 * The largest micro-batch up to `most` that divides the samples; where that would be less than half of it, of too few samples
 * for statistics, as many as asked for: what no longer fills one is left out.
 */
function microBatchFor(samples: number, most: number): number {
  let divisor = Math.min(most, samples);
  while (samples % divisor !== 0) divisor--;
  return 2 * divisor >= Math.min(most, samples) ? divisor : most;
}

type LoaderParts = Pick<RunSetup, "config" | "manifest" | "architecture" | "images">;

function loaderOptions(
  { config, manifest, architecture, images }: LoaderParts,
  workers: number | undefined,
): TrainLoaderOptions {
  const { batchSize, seed, shuffle, augment, strict } = config;
  return {
    samples: manifest.samples,
    classes: architecture.classes,
    images,
    batchSize,
    seed,
    shuffle,
    augment,
    strict,
    tasks: tasksOf(architecture.arch),
    ...(workers === undefined ? {} : { workers }),
  };
}

/** The training batches of a run. */
export function trainLoader(
  setup: RunSetup,
  workers: number | undefined,
  onDamaged: (path: string, reason: string) => void,
): TrainLoader {
  return new TrainLoader({
    ...loaderOptions(setup, workers),
    batchSize: setup.step.batchSize,
    lastEpoch: setup.config.epochs - 1,
    onDamaged: ({ path, reason }) => onDamaged(path, reason),
  });
}

/** The validation batches of a run, or null without a validation split. */
export function validationLoader(
  setup: RunSetup,
  workers: number | undefined,
  onDamaged: (path: string, reason: string) => void,
): EvalLoader | null {
  if (!setup.manifest.samples.some(({ split }) => split === "val")) return null;
  return new EvalLoader({
    ...loaderOptions(setup, workers),
    batchSize: setup.step.microBatch,
    split: "val",
    onDamaged: ({ path, reason }) => onDamaged(path, reason),
  });
}

/**
 * The network's start values: drawn from the seed, then whatever `--init` and its like load over them.
 * @throws Error for files that do not fit; see planInitialization.
 */
export async function startValues(
  { config, network, architecture, locate }: RunSetup,
  onMessage: (line: string) => void,
): Promise<Map<string, TensorData>> {
  const values = network.parameters.initialValues(config.seed);
  const flags: [InitFlag, string | null][] = [
    ["--init", config.init],
    ["--init-a", config.initA],
    ["--init-s", config.initS],
    ["--init-e", config.initE],
  ];
  const sources: InitSource[] = [];
  for (const [flag, path] of flags) {
    if (path === null) continue;
    const { metadata, tensors } = await readWeights(locate(path));
    sources.push({ flag, path, tensors, classes: readClasses(path, metadata, tensors) });
  }
  if (sources.length === 0) return values;
  const target = {
    tensors: network.parameters.fileShapes,
    streams: streamsOf(architecture.arch),
    classes: architecture.classes,
  };
  const { loads, report } = planInitialization(target, sources, config.initStrict);
  for (const [name, load] of loads) {
    const { shape, data } = values.get(name)!;
    values.set(name, { shape, data: loadedValues(load, data) });
  }
  onMessage(formatInitReport(report, target, sources));
  return values;
}

/** The metadata of the run's checkpoint after `step` updates. */
export function metadataAt(setup: RunSetup, step: number): Record<string, string> {
  const { architecture, preprocessing, manifest } = setup;
  return checkpointMetadata({
    architecture,
    preprocessing,
    step,
    configSha256: setup.configSha256,
    dataSha256: manifest.sha256,
  });
}
