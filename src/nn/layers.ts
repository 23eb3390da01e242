/** Layers: parameters with a forward. Every layer exists once for each stream of a network. */
import {
  type BatchNormOptions,
  batchNorm,
  conv2d as conv2dOp,
  linear as linearOp,
  type Parameter,
  type RunningStatistic,
  type Tensor,
} from "../autograd/index.ts";
import type { Parameters } from "./parameters.ts";

/** Where a layer's tensors belong: the network's parameters, and the prefix of each stream in files ("a.", or ""). */
export interface Place {
  readonly parameters: Parameters;
  readonly prefixes: readonly string[];
}

const named = ({ prefixes }: Place, name: string) => prefixes.map((prefix) => prefix + name);

/** The scope that names what a layer records. */
const within = <T>(x: Tensor, name: string, record: () => T): T => (x.tape ? x.tape.scope(name, record) : record());

export interface Conv2dOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: number;
  readonly stride?: number;
  readonly padding?: number;
}

/** A convolution without bias. */
export class Conv2d {
  readonly weight: Parameter;
  readonly #name: string;
  readonly #options: { stride: number; padding: number };

  constructor(place: Place, name: string, options: Conv2dOptions) {
    const { inChannels, outChannels, kernelSize, stride = 1, padding = 0 } = options;
    this.#name = name;
    this.#options = { stride, padding };
    this.weight = place.parameters.parameter({
      names: named(place, `${name}.weight`),
      shape: [place.prefixes.length, kernelSize, kernelSize, inChannels, outChannels],
      fileLayout: "convolution",
      init: "xavier",
      decay: true,
    });
  }

  forward(x: Tensor): Tensor {
    return within(x, this.#name, () => conv2dOp(x, this.weight, this.#options));
  }
}

/** Batch norm with what follows it. */
export class BatchNorm2d {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: RunningStatistic;
  readonly runningVar: RunningStatistic;
  readonly #name: string;

  constructor(place: Place, name: string, channels: number) {
    const { parameters } = place;
    const shape = [place.prefixes.length, channels];
    this.#name = name;
    this.weight = parameters.parameter({ names: named(place, `${name}.weight`), shape, fileLayout: "plain", init: 1 });
    this.bias = parameters.parameter({ names: named(place, `${name}.bias`), shape, fileLayout: "plain", init: 0 });
    this.runningMean = parameters.statistic(named(place, `${name}.running_mean`), shape, 0);
    this.runningVar = parameters.statistic(named(place, `${name}.running_var`), shape, 1);
  }

  forward(x: Tensor, options: BatchNormOptions = {}): Tensor {
    return within(x, this.#name, () => batchNorm(x, this, options));
  }
}

/** y = x · weight + bias, in one copy whatever the number of streams. */
export class Linear {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #name: string;

  constructor(parameters: Parameters, name: string, inFeatures: number, outFeatures: number) {
    this.#name = name;
    this.weight = parameters.parameter({
      names: [`${name}.weight`],
      shape: [inFeatures, outFeatures],
      fileLayout: "linear",
      init: "xavier",
      decay: true,
    });
    this.bias = parameters.parameter({ names: [`${name}.bias`], shape: [outFeatures], fileLayout: "plain", init: 0 });
  }

  forward(x: Tensor): Tensor {
    return within(x, this.#name, () => linearOp(x, this.weight, this.bias));
  }
}
