/** How each case of the op fixtures is put on a tape. */
import {
  add,
  addScaled,
  batchNorm,
  binaryCrossEntropyWithLogits,
  concatStreams,
  conv2d,
  fuse,
  globalAveragePool,
  linear,
  maxPool2d,
  preprocess,
  relu,
  softmaxCrossEntropy,
  stitch,
  type Tensor,
} from "../../src/autograd/index.ts";

export interface OpCase {
  readonly name: string;
  readonly op: string;
  readonly training: boolean;
  readonly options: OpOptions;
  readonly inputs: Record<string, { layout?: "weight"; needsGrad: boolean }>;
}

/** What the cases set, as test/golden/ops.py writes it; an op reads its own. */
interface OpOptions {
  readonly stride: number;
  readonly padding: number;
  readonly kernelSize: number;
  readonly relu: boolean;
  readonly detachShared: boolean;
  readonly scale: number;
  readonly streams: number[];
  readonly size: number;
  readonly mean: [number, number, number];
  readonly deviation: [number, number, number];
}

type Inputs = Record<string, Tensor>;

const fusionOf = (t: Inputs, { detachShared }: OpOptions) => t.fusion && { weights: t.fusion, detachShared };

export const recorders: Record<string, (t: Inputs, options: OpOptions) => Tensor> = {
  conv2d: (t, options) => conv2d(t.x!, t.weight!, options),
  batchNorm: (t, options) =>
    batchNorm(
      t.x!,
      { weight: t.weight!, bias: t.bias!, runningMean: t.runningMean!, runningVar: t.runningVar! },
      { relu: options.relu, residual: t.residual, fusion: fusionOf(t, options) },
    ),
  fuse: (t, options) => fuse(t.x!, fusionOf(t, options)!),
  stitch: (t) => stitch(t.x!, t.weight!),
  maxPool2d: (t, options) => maxPool2d(t.x!, { ...options, fusion: fusionOf(t, options) }),
  globalAveragePool: (t) => globalAveragePool(t.x!),
  relu: (t) => relu(t.x!),
  add: (t) => add(t.x!, t.residual!),
  addScaled: (t, { scale }) => addScaled(t.x!, t.other!, scale),
  concatStreams: (t, { streams }) => concatStreams(t.x!, streams),
  linear: (t) => linear(t.x!, t.weight!, t.bias!),
  binaryCrossEntropyWithLogits: (t) => binaryCrossEntropyWithLogits(t.x!, t.labels!, t.count!),
  softmaxCrossEntropy: (t) => softmaxCrossEntropy(t.x!, t.labels!, t.count!),
  preprocess: (t, options) => preprocess(t.images!, t.crops!, options),
};
