/** From a checkpoint's file to the network it holds. Node only. */
import { readFile } from "node:fs/promises";
import { parseWeights, type TensorData, type TensorFile } from "../nn/index.ts";
import { type ArchName, createArchitecture } from "./architecture.ts";
import { type CheckpointInfo, describeCheckpoint } from "./checkpoint.ts";
import { emotionClasses } from "./data/classes.ts";
import { createNetwork, type Network } from "./model.ts";
import type { ResizeMode } from "./preprocessing.ts";

/**
 * Reads a file of weights, safetensors or torch's.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function readWeights(path: string): Promise<TensorFile> {
  try {
    return parseWeights(await readFile(path));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** What is to hold instead of what the checkpoint says. */
export interface CheckpointOverrides {
  readonly imageSize?: number | undefined;
  readonly resize?: ResizeMode | undefined;
  readonly arch?: ArchName | undefined;
  readonly classes?: readonly string[] | undefined;
}

/** A network built for a checkpoint; `fill` writes the weights once its memory is allocated. */
export interface LoadedNetwork {
  readonly network: Network;
  readonly info: CheckpointInfo;
  /** The file's tensors that are the network's, in the network's order. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly fill: () => void;
}

/** @throws Error naming the file and what is missing, foreign or of another shape in it. */
export async function loadNetwork(path: string, overrides: CheckpointOverrides = {}): Promise<LoadedNetwork> {
  const { metadata, tensors } = await readWeights(path);
  const said = describeCheckpoint(path, metadata, tensors);
  const { preprocessing } = said;
  const classes = overrides.classes ? emotionClasses([], overrides.classes) : said.architecture.classes;
  const { arch, ...rest } = said.architecture;
  const info: CheckpointInfo = {
    ...said,
    architecture: createArchitecture(overrides.arch ?? arch, classes, rest),
    preprocessing: {
      ...preprocessing,
      imageSize: overrides.imageSize ?? preprocessing.imageSize,
      resize: overrides.resize ?? preprocessing.resize,
    },
  };
  const network = createNetwork(info.architecture);
  const wanted = network.parameters.fileShapes;
  const own = new Map<string, TensorData>();
  for (const [name, shape] of wanted) {
    const found = tensors.get(name);
    if (!found) throw new Error(`${path}: has no ${name}, which ${info.architecture.arch} needs`);
    if (String(found.shape) !== String(shape)) {
      throw new Error(`${path}: ${name} has shape [${found.shape}], ${info.architecture.arch} needs [${shape}]`);
    }
    own.set(name, found);
  }
  return { network, info, tensors: own, fill: () => network.parameters.write(own) };
}
