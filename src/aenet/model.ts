/** The networks: AENet as in the paper's Figure 2, and the baselines of one stream and of two. */
import {
  concatStreams,
  type Fusion,
  globalAveragePool,
  type Parameter,
  stitch,
  type Tensor,
} from "../autograd/index.ts";
import { Linear, Parameters, ResNet } from "../nn/index.ts";
import { type Architecture, inStream, streamsOf, type Task, tasksOf } from "./architecture.ts";

/** Logits [N, 1] of high aesthetic quality and [N, K] of the emotions; null for a task that the network lacks. */
export interface Logits {
  readonly aes: Tensor | null;
  readonly emo: Tensor | null;
}

export interface Network {
  readonly architecture: Architecture;
  readonly parameters: Parameters;
  /** image [1, N, S, S, 3], normalised. */
  forward(image: Tensor): Logits;
}

/** Stream numbers. */
const [A, S, E] = [0, 1, 2];

/** Start values of a fusion layer (section 3.3): α_p, α_s, β_p, β_s. */
const fusionNames = ["alpha_p", "alpha_s", "beta_p", "beta_s"];
const fusionInit = [0.9, 0.1, 0.9, 0.1];

/** Three streams, joined at the fusion points (AENet) or nowhere (AENet-FL), and two heads. */
export class AENet implements Network {
  readonly architecture: Architecture;
  readonly parameters: Parameters = new Parameters();
  readonly resnet: ResNet;
  readonly headAes: Linear;
  readonly headEmo: Linear;
  /** By fusion point, 0 after the stem's max pool to 4 after layer4. */
  readonly #fusions: readonly (Fusion | undefined)[];

  constructor(architecture: Architecture) {
    const { parameters } = this;
    const { baseChannels, classes } = architecture;
    this.architecture = architecture;
    this.resnet = new ResNet(placeOf(architecture, parameters), architecture);
    const channels = [baseChannels, ...[4, 8, 16, 32].map((factor) => factor * baseChannels)];
    this.#fusions = channels.map((c, point) =>
      architecture.fusionPoints.includes(point) ? createFusion(architecture, parameters, point, c) : undefined,
    );
    this.headAes = new Linear(parameters, "head.aes", 2 * this.resnet.features, 1);
    this.headEmo = new Linear(parameters, "head.emo", 2 * this.resnet.features, classes.length);
  }

  forward(image: Tensor): Logits {
    const [fusion0, fusion1, fusion2, fusion3, fusion4] = this.#fusions;
    let f = this.resnet.stem(image, fusion0); // f_a, f_s, f_e, stacked
    f = this.resnet.layer(1, f, fusion1);
    f = this.resnet.layer(2, f, fusion2);
    f = this.resnet.layer(3, f, fusion3);
    f = this.resnet.layer(4, f, fusion4);
    const v = globalAveragePool(f);
    return {
      aes: this.headAes.forward(concatStreams(v, [S!, A!])),
      emo: this.headEmo.forward(concatStreams(v, [S!, E!])),
    };
  }
}

/** Start values of a cross-stitch unit, row by row: 0.9 from the own stream, 0.1 from the other. */
const stitchInit = [0.9, 0.1, 0.1, 0.9];

/** CSNet: two streams, joined by cross-stitch units (Misra et al. 2016) where AENet has its fusion layers, and two heads. */
export class CrossStitch implements Network {
  readonly architecture: Architecture;
  readonly parameters: Parameters = new Parameters();
  readonly resnet: ResNet;
  readonly headAes: Linear;
  readonly headEmo: Linear;
  /** W [2, 2] by point, 0 after the stem's max pool to 4 after layer4. */
  readonly #weights: ReadonlyMap<number, Parameter>;

  constructor(architecture: Architecture) {
    const { parameters } = this;
    const { fusionPoints, classes } = architecture;
    this.architecture = architecture;
    this.resnet = new ResNet(placeOf(architecture, parameters), architecture);
    this.#weights = new Map(fusionPoints.map((point) => [point, createStitch(parameters, point)]));
    this.headAes = new Linear(parameters, "head.aes", this.resnet.features, 1);
    this.headEmo = new Linear(parameters, "head.emo", this.resnet.features, classes.length);
  }

  forward(image: Tensor): Logits {
    let x = this.#stitch(0, this.resnet.stem(image)); // x_a, x_e, stacked
    x = this.#stitch(1, this.resnet.layer(1, x));
    x = this.#stitch(2, this.resnet.layer(2, x));
    x = this.#stitch(3, this.resnet.layer(3, x));
    x = this.#stitch(4, this.resnet.layer(4, x));
    const v = globalAveragePool(x);
    return {
      aes: this.headAes.forward(concatStreams(v, [0])),
      emo: this.headEmo.forward(concatStreams(v, [1])),
    };
  }

  #stitch(point: number, x: Tensor): Tensor {
    const weight = this.#weights.get(point);
    return weight ? stitch(x, weight) : x;
  }
}

/** One stream with a head for each task: ResNet50 and WRN (one task), SSNet (both). */
export class SingleStream implements Network {
  readonly architecture: Architecture;
  readonly parameters: Parameters = new Parameters();
  readonly resnet: ResNet;
  readonly heads: Partial<Record<Task, Linear>>;

  constructor(architecture: Architecture) {
    const { parameters } = this;
    this.architecture = architecture;
    this.resnet = new ResNet(placeOf(architecture, parameters), architecture);
    const outputs = { aes: 1, emo: architecture.classes.length };
    this.heads = Object.fromEntries(
      tasksOf(architecture.arch).map((task) => [
        task,
        new Linear(parameters, `head.${task}`, this.resnet.features, outputs[task]),
      ]),
    );
  }

  forward(image: Tensor): Logits {
    let x = this.resnet.stem(image);
    for (const layer of [1, 2, 3, 4]) x = this.resnet.layer(layer, x);
    const v = concatStreams(globalAveragePool(x), [0]);
    return { aes: this.heads.aes?.forward(v) ?? null, emo: this.heads.emo?.forward(v) ?? null };
  }
}

export function createNetwork(architecture: Architecture): Network {
  switch (architecture.arch) {
    case "aenet":
    case "aenet-fl":
      return new AENet(architecture);
    case "csnet":
      return new CrossStitch(architecture);
    case "resnet50-aes":
    case "resnet50-emo":
    case "wrn-aes":
    case "wrn-emo":
    case "ssnet":
      return new SingleStream(architecture);
  }
}

function placeOf({ arch }: Architecture, parameters: Parameters) {
  return { parameters, prefixes: streamsOf(arch).map((stream) => inStream(stream, "")) };
}

function createFusion(architecture: Architecture, parameters: Parameters, point: number, channels: number): Fusion {
  const { fusionGranularity, detachShared } = architecture;
  const weights = parameters.parameter({
    names: fusionNames.map((name) => `fusion.${point}.${name}`),
    shape: [4, fusionGranularity === "channel" ? channels : 1],
    fileLayout: "plain",
    init: fusionInit,
    group: "fusion",
  });
  return { weights, detachShared };
}

function createStitch(parameters: Parameters, point: number): Parameter {
  return parameters.parameter({
    names: [`stitch.${point}.weight`],
    shape: [2, 2],
    fileLayout: "matrix",
    init: stitchInit,
    group: "fusion",
  });
}
