/**
 * What a network is, as plain data: enough to rebuild it, to name its tensors and to describe it in a checkpoint.
 */

export const archNames = [
  "aenet",
  "aenet-fl",
  "resnet50-aes",
  "resnet50-emo",
  "wrn-aes",
  "wrn-emo",
  "ssnet",
  "csnet",
] as const;
export type ArchName = (typeof archNames)[number];

export type FusionGranularity = "scalar" | "channel";

/** A task's name is its head's: `head.aes`, `head.emo`. */
export type Task = "aes" | "emo";

export interface Architecture {
  readonly arch: ArchName;
  /** Bottlenecks in layer1 to layer4. */
  readonly depth: readonly number[];
  /** Channels of the stem; layer K has 4 · 2^(K − 1) times as many. */
  readonly baseChannels: number;
  /** Width of the bottlenecks' 3×3 convolutions, in 64ths of the layer's planes (torchvision's width_per_group). */
  readonly baseWidth: number;
  /** Ascending, 0 after the stem's max pool, K after layerK; empty where the streams are not joined. */
  readonly fusionPoints: readonly number[];
  readonly fusionGranularity: FusionGranularity;
  /** The fusion layers give the shared stream no gradient (ablation). */
  readonly detachShared: boolean;
  /** Names of the emotions in the order of head.emo's rows. */
  readonly classes: readonly string[];
}

/** What a user may set; the rest follows from the architecture's name. */
export type ArchitectureOptions = Partial<Omit<Architecture, "arch" | "classes">>;

/** Features of a bottleneck's output over its planes. */
export const expansion = 4;

const facts: Record<ArchName, { streams: readonly string[]; tasks: readonly Task[]; joins: boolean; width: number }> = {
  aenet: { streams: ["a", "s", "e"], tasks: ["aes", "emo"], joins: true, width: 64 },
  "aenet-fl": { streams: ["a", "s", "e"], tasks: ["aes", "emo"], joins: false, width: 64 },
  "resnet50-aes": { streams: [""], tasks: ["aes"], joins: false, width: 64 },
  "resnet50-emo": { streams: [""], tasks: ["emo"], joins: false, width: 64 },
  "wrn-aes": { streams: [""], tasks: ["aes"], joins: false, width: 132 },
  "wrn-emo": { streams: [""], tasks: ["emo"], joins: false, width: 132 },
  ssnet: { streams: [""], tasks: ["aes", "emo"], joins: false, width: 64 },
  csnet: { streams: ["a", "e"], tasks: ["aes", "emo"], joins: true, width: 64 },
};

/** The streams in the order in which they are stacked; one empty name where there is only one. */
export function streamsOf(arch: ArchName): readonly string[] {
  return facts[arch].streams;
}

/** The tasks that have a head, aesthetics first. */
export function tasksOf(arch: ArchName): readonly Task[] {
  return facts[arch].tasks;
}

/** A tensor's name in a stream: `a.conv1.weight`, or `conv1.weight` in a network of one stream. */
export function inStream(stream: string, name: string): string {
  return stream === "" ? name : `${stream}.${name}`;
}

/** Channels of the 3×3 convolutions of layer K, K from 1 to 4. */
export function bottleneckWidth(baseChannels: number, baseWidth: number, layer: number): number {
  return Math.floor((baseChannels * 2 ** (layer - 1) * baseWidth) / 64);
}

/** Features that one stream gives to a head. */
export function streamFeatures(architecture: Pick<Architecture, "baseChannels">): number {
  return architecture.baseChannels * 8 * expansion;
}

/**
 * An architecture with every default filled in. What the named one does not have (fusion points of a network whose
 * streams are not joined, say) is left out rather than refused, so that one configuration serves several.
 *
 * @throws Error naming the flag, its value and the rule.
 */
export function createArchitecture(
  arch: string,
  classes: readonly string[],
  options: ArchitectureOptions = {},
): Architecture {
  if (!isArchName(arch)) throw new Error(`--arch ${arch}: is none of ${archNames.join(", ")}`);
  const { joins, tasks, width } = facts[arch];
  const architecture: Architecture = {
    arch,
    depth: [...(options.depth ?? [3, 4, 6, 3])],
    baseChannels: options.baseChannels ?? 64,
    baseWidth: options.baseWidth ?? width,
    fusionPoints: joins ? [...(options.fusionPoints ?? [0, 1, 2, 3, 4])].sort((x, y) => x - y) : [],
    fusionGranularity: arch === "aenet" ? (options.fusionGranularity ?? "scalar") : "scalar",
    detachShared: options.detachShared ?? false,
    classes: [...classes],
  };
  checkTrunk(architecture);
  if (joins) checkFusion(architecture);
  if (architecture.detachShared && arch !== "aenet")
    throw new Error(`--detach-shared: ${arch} has no fusion layers that feed from a shared stream`);
  if (tasks.includes("emo") && classes.length === 0)
    throw new Error(`--arch ${arch}: predicts emotions, but there is no class; give some with --classes`);
  const twice = classes.find((name, i) => name === "" || classes.indexOf(name) !== i);
  if (twice !== undefined)
    throw new Error(`--classes ${classes.join(",")}: ${twice || "an empty name"} is one too many`);
  return architecture;
}

function checkTrunk({ depth, baseChannels, baseWidth }: Architecture): void {
  if (depth.length !== 4 || !depth.every((blocks) => isCount(blocks, 1000)))
    throw new Error(`--depth ${depth.join(",")}: needs four numbers of blocks, each from 1 to 1000`);
  if (!isCount(baseChannels, 4096)) throw new Error(`--base-channels ${baseChannels}: needs an integer from 1 to 4096`);
  if (!isCount(baseWidth, 4096)) throw new Error(`--base-width ${baseWidth}: needs an integer from 1 to 4096`);
  if (bottleneckWidth(baseChannels, baseWidth, 1) < 1)
    throw new Error(`--base-width ${baseWidth}: leaves layer1 no channel at --base-channels ${baseChannels}`);
}

function checkFusion({ arch, fusionPoints, fusionGranularity }: Architecture): void {
  const flag = `--fusion-points ${fusionPoints.join(",")}`;
  if (fusionPoints.length === 0)
    throw new Error(`${flag}: ${arch} needs at least one of 0,1,2,3,4${arch === "aenet" ? "; aenet-fl has none" : ""}`);
  if (!fusionPoints.every((point, i) => [0, 1, 2, 3, 4].includes(point) && fusionPoints.indexOf(point) === i))
    throw new Error(`${flag}: takes each of 0,1,2,3,4 at most once`);
  if (fusionGranularity !== "scalar" && fusionGranularity !== "channel")
    throw new Error(`--fusion-granularity ${fusionGranularity}: is neither scalar nor channel`);
}

function isArchName(name: string): name is ArchName {
  return (archNames as readonly string[]).includes(name);
}

function isCount(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= most;
}

/**
 * The integers of a flag's value such as `3,4,6,3`; the empty text gives none.
 *
 * @throws Error naming the flag where something else stands between the commas.
 */
export function parseIntegerList(flag: string, text: string): number[] {
  if (text.trim() === "") return [];
  return text.split(",").map((part) => {
    if (!/^\s*\d{1,9}\s*$/.test(part))
      throw new Error(`${flag} ${text}: ${part.trim() || "nothing"} is not an integer`);
    return Number(part);
  });
}
