import {
  type Architecture,
  bottleneckWidth,
  expansion,
  inStream,
  streamFeatures,
  streamsOf,
  tasksOf,
} from "../../src/aenet/architecture.ts";
import type { TensorData } from "../../src/nn/safetensors.ts";

/** Names and shapes of a network's tensors, written down a second time: torchvision's layout, running statistics included. */
export function expectedTensors(architecture: Architecture): Map<string, number[]> {
  const { arch, baseChannels, baseWidth, depth, classes, fusionPoints } = architecture;
  const tensors = new Map<string, number[]>();
  for (const stream of streamsOf(arch)) {
    const add = (name: string, shape: number[]) => tensors.set(inStream(stream, name), shape);
    const addNorm = (name: string, channels: number) => {
      for (const what of ["weight", "bias", "running_mean", "running_var"]) add(`${name}.${what}`, [channels]);
    };
    add("conv1.weight", [baseChannels, 3, 7, 7]);
    addNorm("bn1", baseChannels);
    let inChannels = baseChannels;
    for (const layer of [1, 2, 3, 4]) {
      const width = bottleneckWidth(baseChannels, baseWidth, layer);
      const outChannels = baseChannels * 2 ** (layer - 1) * expansion;
      for (let block = 0; block < depth[layer - 1]!; block++) {
        const at = `layer${layer}.${block}`;
        add(`${at}.conv1.weight`, [width, inChannels, 1, 1]);
        addNorm(`${at}.bn1`, width);
        add(`${at}.conv2.weight`, [width, width, 3, 3]);
        addNorm(`${at}.bn2`, width);
        add(`${at}.conv3.weight`, [outChannels, width, 1, 1]);
        addNorm(`${at}.bn3`, outChannels);
        if (block === 0) {
          add(`${at}.downsample.0.weight`, [outChannels, inChannels, 1, 1]);
          addNorm(`${at}.downsample.1`, outChannels);
        }
        inChannels = outChannels;
      }
    }
  }
  for (const point of fusionPoints) {
    const channels = point === 0 ? baseChannels : baseChannels * 2 ** (point - 1) * expansion;
    const size = architecture.fusionGranularity === "channel" ? channels : 1;
    if (arch === "csnet") tensors.set(`stitch.${point}.weight`, [2, 2]);
    else for (const name of ["alpha_p", "alpha_s", "beta_p", "beta_s"]) tensors.set(`fusion.${point}.${name}`, [size]);
  }
  const features = streamFeatures(architecture) * (arch === "aenet" || arch === "aenet-fl" ? 2 : 1);
  for (const task of tasksOf(arch)) {
    const outputs = task === "aes" ? 1 : classes.length;
    tensors.set(`head.${task}.weight`, [outputs, features]);
    tensors.set(`head.${task}.bias`, [outputs]);
  }
  return tensors;
}

/** Numbers that are learned: everything but the running statistics. */
export function parameterCount(tensors: ReadonlyMap<string, readonly number[]>): number {
  return [...tensors]
    .filter(([name]) => !name.includes("running_"))
    .reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** Tensors of these shapes; the i-th number of a tensor is `first + i`, so that rows can be told apart. */
export function filled(shapes: Iterable<[string, readonly number[]]>, first = 0): Map<string, TensorData> {
  return new Map(
    [...shapes].map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { shape: [...shape], data: Float32Array.from({ length: size }, (_, i) => first + i) }];
    }),
  );
}
