/**
 * What a checkpoint says about itself: `__metadata__`, all strings in a fixed order, without time, host or path, so that
 * equal runs write equal bytes.
 */
import { type Architecture, bottleneckWidth, createArchitecture, parseIntegerList } from "./architecture.ts";
import { normaliseEmotion } from "./data/classes.ts";
import { type InferredArchitecture, inferArchitecture, inferClasses, type Shapes } from "./infer.ts";
import { defaultPreprocessing, formatPreprocessing, type Preprocessing, parsePreprocessing } from "./preprocessing.ts";

export interface CheckpointInfo {
  readonly architecture: Architecture;
  readonly preprocessing: Preprocessing;
  /** Updates made so far. */
  readonly step: number;
  /** Hex digests; null in a file that does not have them. */
  readonly configSha256: string | null;
  readonly dataSha256: string | null;
}

/** The metadata of a checkpoint. */
export function checkpointMetadata(info: CheckpointInfo): Record<string, string> {
  const { architecture } = info;
  return {
    arch: architecture.arch,
    depth: architecture.depth.join(","),
    base_channels: String(architecture.baseChannels),
    base_width: String(architecture.baseWidth),
    fusion_points: architecture.fusionPoints.join(","),
    fusion_granularity: architecture.fusionGranularity,
    detach_shared: String(architecture.detachShared),
    classes: JSON.stringify(architecture.classes),
    preprocess: formatPreprocessing(info.preprocessing),
    step: String(info.step),
    ...(info.configSha256 === null ? {} : { config_sha256: info.configSha256 }),
    ...(info.dataSha256 === null ? {} : { data_sha256: info.dataSha256 }),
  };
}

/**
 * What the file `path` holds, by its metadata and, for what that does not say, by its tensors and the defaults.
 *
 * @throws Error naming the file, and the metadata that is malformed or contradicts the tensors' names and shapes.
 */
export function describeCheckpoint(
  path: string,
  metadata: Readonly<Record<string, string>>,
  tensors: Shapes,
): CheckpointInfo {
  try {
    return metadata.arch === undefined ? describeTensors(metadata, tensors) : describeMetadata(metadata, tensors);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * The names of head.emo's rows in a file that may hold only part of a network: from its metadata, else by their number.
 *
 * @throws Error naming the file, where the metadata's classes are not a list of names.
 */
export function readClasses(path: string, metadata: Readonly<Record<string, string>>, tensors: Shapes): string[] {
  try {
    return read(metadata, "classes", parseClasses) ?? inferClasses(tensors);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Of a file that others wrote: what its metadata says in our words holds, the network is what the tensors are. */
function describeTensors(metadata: Readonly<Record<string, string>>, tensors: Shapes): CheckpointInfo {
  const { arch, ...options } = inferArchitecture(tensors);
  return {
    architecture: createArchitecture(arch, classesOf(metadata, tensors), options),
    preprocessing: read(metadata, "preprocess", parsePreprocessing) ?? defaultPreprocessing,
    step: 0,
    configSha256: null,
    dataSha256: null,
  };
}

function describeMetadata(metadata: Readonly<Record<string, string>>, tensors: Shapes): CheckpointInfo {
  const inferred = tryInfer(tensors);
  const list = (key: string) => read(metadata, key, (text) => parseIntegerList(key, text));
  const options = definedOnly({
    depth: list("depth") ?? inferred?.depth,
    baseChannels: read(metadata, "base_channels", parseCount) ?? inferred?.baseChannels,
    baseWidth: read(metadata, "base_width", parseCount) ?? inferred?.baseWidth,
    fusionPoints: list("fusion_points") ?? inferred?.fusionPoints,
    fusionGranularity: read(metadata, "fusion_granularity", parseGranularity) ?? inferred?.fusionGranularity,
    detachShared: read(metadata, "detach_shared", parseBoolean) ?? false,
  });
  const architecture = createArchitecture(metadata.arch!, classesOf(metadata, tensors), options);
  if (inferred) checkAgreement(architecture, inferred);
  return {
    architecture,
    preprocessing: read(metadata, "preprocess", parsePreprocessing) ?? defaultPreprocessing,
    step: read(metadata, "step", parseCount) ?? 0,
    configSha256: read(metadata, "config_sha256", parseSha256) ?? null,
    dataSha256: read(metadata, "data_sha256", parseSha256) ?? null,
  };
}

/** The classes, as many as the head has rows. */
function classesOf(metadata: Readonly<Record<string, string>>, tensors: Shapes): string[] {
  const classes = read(metadata, "classes", parseClasses) ?? inferClasses(tensors);
  const rows = tensors.get("head.emo.weight")?.shape[0];
  if (rows !== undefined && rows !== classes.length)
    throw new Error(`metadata classes: has ${classes.length} names, but head.emo.weight has ${rows} rows`);
  return classes;
}

/** Null where the file holds only part of a network; what is then missing shows when it is loaded. */
function tryInfer(tensors: Shapes): InferredArchitecture | null {
  try {
    return inferArchitecture(tensors);
  } catch {
    return null;
  }
}

function checkAgreement(said: Architecture, found: InferredArchitecture): void {
  // resnet50 and wrn differ in nothing but their width.
  const family = (arch: string) => arch.replace("wrn", "resnet50");
  const widths = ({ baseChannels, baseWidth }: Architecture | InferredArchitecture) =>
    [1, 2, 3, 4].map((layer) => bottleneckWidth(baseChannels, baseWidth, layer)).join();
  const pairs: [string, string, string][] = [
    ["arch", family(said.arch), family(found.arch)],
    ["depth", said.depth.join(), found.depth.join()],
    ["base_channels", String(said.baseChannels), String(found.baseChannels)],
    ["base_width, as the widths of layer1 to layer4,", widths(said), widths(found)],
    ["fusion_points", said.fusionPoints.join(), found.fusionPoints.join()],
  ];
  for (const [key, value, other] of pairs)
    if (value !== other)
      throw new Error(`metadata ${key}: is ${value || "none"}, but the tensors are those of ${other || "none"}`);
}

/** The parsed value, or undefined where the metadata does not have the key. */
function read<T>(metadata: Readonly<Record<string, string>>, key: string, parse: (text: string) => T): T | undefined {
  const text = metadata[key];
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`metadata ${key}: ${(error as Error).message}`, { cause: error });
  }
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) throw new Error(`${text} is not a whole number`);
  return count;
}

function parseBoolean(text: string): boolean {
  if (text !== "true" && text !== "false") throw new Error(`${text} is neither true nor false`);
  return text === "true";
}

function parseGranularity(text: string): "scalar" | "channel" {
  if (text !== "scalar" && text !== "channel") throw new Error(`${text} is neither scalar nor channel`);
  return text;
}

function parseSha256(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`${text} is not 64 hexadecimal digits`);
  return text;
}

function parseClasses(text: string): string[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value) || !value.every((name) => typeof name === "string"))
    throw new Error(`${text} is not a list of names`);
  return value.map(normaliseEmotion); // as the manifest's are, which they are compared with
}

function definedOnly<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
