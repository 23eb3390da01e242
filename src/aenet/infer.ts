/** What a network is, read off its tensors' names and shapes, for files that do not say. */
import {
  type ArchitectureOptions,
  type ArchName,
  bottleneckWidth,
  type FusionGranularity,
  inStream,
  streamsOf,
} from "./architecture.ts";
import { EIGHT_EMOTIONS } from "./data/classes.ts";

/** Tensors by name, as far as their shapes. */
export type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

export interface InferredArchitecture extends Required<ArchitectureOptions> {
  arch: ArchName;
}

/**
 * The architecture that has tensors of these names and shapes.
 *
 * Streams follow from the prefixes `a.`, `s.`, `e.`; depth from the blocks of layer1 to layer4; base channels from
 * conv1's output and base width from the 3×3 convolutions (64 where that fits, then 132 and 128); fusion from `fusion.*`.
 *
 * @throws Error saying what the names do not tell.
 */
export function inferArchitecture(tensors: Shapes): InferredArchitecture {
  const arch = inferName(tensors);
  const stream = streamsOf(arch)[0]!;
  const stem = tensors.get(inStream(stream, "conv1.weight"))!.shape;
  const baseChannels = stem[0] ?? 0;
  const depth = [1, 2, 3, 4].map((layer) => countBlocks(tensors, stream, layer));
  const baseWidth = inferWidth(tensors, stream, baseChannels);
  const kind = arch === "csnet" ? /^stitch\.([0-4])\.weight$/ : /^fusion\.([0-4])\.alpha_p$/;
  const points = [...tensors.keys()].flatMap((name) => Number(kind.exec(name)?.[1] ?? Number.NaN));
  const fusionPoints = points.filter((point) => !Number.isNaN(point)).sort((x, y) => x - y);
  return {
    arch: baseWidth !== 64 && (arch === "resnet50-aes" || arch === "resnet50-emo") ? wide(arch) : arch,
    depth,
    baseChannels,
    baseWidth,
    fusionPoints,
    fusionGranularity: inferGranularity(tensors, fusionPoints),
    detachShared: false,
  };
}

/** The names of the emotions when a file does not have them: eight are the usual ones, others are only numbered. */
export function inferClasses(tensors: Shapes): string[] {
  const count = tensors.get("head.emo.weight")?.shape[0] ?? 0;
  return count === 8 ? [...EIGHT_EMOTIONS] : Array.from({ length: count }, (_, i) => `class ${i}`);
}

function inferName(tensors: Shapes): ArchName {
  const has = (name: string) => tensors.has(name);
  const starts = (prefix: string) => [...tensors.keys()].some((name) => name.startsWith(prefix));
  const [a, s, e, one] = ["a", "s", "e", ""].map((stream) => has(inStream(stream, "conv1.weight")));
  const [aes, emo] = [has("head.aes.weight"), has("head.emo.weight")];
  if (a && s && e) return starts("fusion.") ? "aenet" : "aenet-fl";
  if (a && !s && e && starts("stitch.")) return "csnet";
  if (one && aes && emo) return "ssnet";
  if (one && aes) return "resnet50-aes";
  if (one && emo) return "resnet50-emo";
  throw new Error(
    one
      ? "its tensors have neither head.aes nor head.emo: it is a trunk, good for --init only"
      : "its tensors are not those of a network: there is no conv1.weight, nor one each for a. and e. with s. or stitch",
  );
}

function wide(arch: "resnet50-aes" | "resnet50-emo"): ArchName {
  return arch === "resnet50-aes" ? "wrn-aes" : "wrn-emo";
}

function countBlocks(tensors: Shapes, stream: string, layer: number): number {
  let blocks = 0;
  while (tensors.has(inStream(stream, `layer${layer}.${blocks}.conv1.weight`))) blocks++;
  if (blocks === 0) throw new Error(`it has no ${inStream(stream, `layer${layer}.0.conv1.weight`)}`);
  return blocks;
}

/** The base width whose bottlenecks have the widths found; the usual ones first, else the smallest that fits layer4. */
function inferWidth(tensors: Shapes, stream: string, baseChannels: number): number {
  const widths = [1, 2, 3, 4].map((layer) => {
    const name = inStream(stream, `layer${layer}.0.conv2.weight`);
    const width = tensors.get(name)?.shape[0];
    if (width === undefined) throw new Error(`it has no ${name}`);
    return width;
  });
  const smallest = Math.ceil((widths[3]! * 64) / (baseChannels * 8));
  const found = [64, 132, 128, smallest].find((width) =>
    widths.every((channels, i) => bottleneckWidth(baseChannels, width, i + 1) === channels),
  );
  if (found === undefined)
    throw new Error(
      `its 3×3 convolutions of ${widths.join(", ")} channels fit no --base-width at ${baseChannels} stem channels`,
    );
  return found;
}

/** By channel where some fusion weight has several values; at a single channel the two are the same. */
function inferGranularity(tensors: Shapes, points: readonly number[]): FusionGranularity {
  const sizes = points.map((point) => tensors.get(`fusion.${point}.alpha_p`)?.shape[0] ?? 1);
  return sizes.some((size) => size > 1) ? "channel" : "scalar";
}
