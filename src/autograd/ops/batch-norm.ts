import {
  batchNormBackwardInput,
  batchNormBackwardSums,
  batchNormForward,
  batchNormRunning,
  batchStatistics,
  type NormEpilogue,
  statisticsPartials,
  statisticsRows,
  sumsPartials,
} from "../../kernels/batch-norm.ts";
import { parallelism } from "../../kernels/gemm/tiles.ts";
import type { RowShape } from "../../kernels/rows.ts";
import { type Tape, tapeOf } from "../tape.ts";
import { padTo4, RunningStatistic, type Tensor } from "../tensor.ts";
import { checkImages } from "./check.ts";
import { type Fusion, fusionOptions, fusionPartials, fusionWeightGradient } from "./fuse.ts";

/** The parameters of a batch norm, each [G, C]. */
export interface BatchNorm {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
}

export interface BatchNormOptions {
  readonly eps?: number;
  /** Added after the normalisation: the shortcut of a residual block, the shape of x. */
  readonly residual?: Tensor | undefined;
  /** max(·, 0) after that. */
  readonly relu?: boolean;
  /** The fusion layer over the three streams after that. */
  readonly fusion?: Fusion | undefined;
}

/**
 * y = fusion(relu((x − mean)/√(var + eps)·weight + bias + residual)) in one pass; what is not asked for is left out.
 * The gradients stand in src/kernels/batch-norm.ts.
 *
 * x [G, N, H, W, C]. In training, mean and (biased) variance are the batch's, and their values for the running
 * statistics are left beside these; in evaluation, they are the running ones.
 * @throws RangeError if shapes do not fit, or in training when a channel has only one value.
 */
export function batchNorm(x: Tensor, norm: BatchNorm, options: BatchNormOptions = {}): Tensor {
  const { residual, relu = false, fusion, eps = 1e-5 } = options;
  const tape = tapeOf(x);
  const shape = rowShape("batchNorm", x);
  check(tape, x, norm, residual, fusion);
  const { weight, bias } = norm;
  const epilogue: NormEpilogue = {
    residual: residual !== undefined,
    relu,
    fusion: fusion ? fusionOptions(x, fusion) : null,
  };
  const statistics = tape.empty("statistics", [shape.streams, statisticsRows, weight.shape[1]!]);

  const inputs = [x, weight, bias, residual ?? x, fusion?.weights ?? x] as const;
  const y: Tensor = tape.record(
    `batchNorm${residual ? "+residual" : ""}${relu ? "+relu" : ""}${fusion ? "+fusion" : ""}`,
    inputs,
    x.shape,
    (y) => {
      const tensors = { x, statistics, residual, fusion: fusion?.weights, y };
      const { runningMean, runningVar } = norm;
      if (tape.training) {
        const batch = (t: Tensor) => (t instanceof RunningStatistic ? t.batch : tape.empty("batch statistic", t.shape));
        const [batchMean, batchVar] = [batch(runningMean), batch(runningVar)];
        const partials = tape.empty("statistics of blocks", [4 * statisticsPartials(shape)]);
        tape.push(
          ...batchStatistics(shape, eps, { x, weight, bias, partials, statistics, batchMean, batchVar }),
          batchNormForward(shape, epilogue, tensors),
        );
      } else {
        const running = { runningMean, runningVar, weight, bias };
        tape.push(...batchNormRunning(shape, epilogue, eps, { ...tensors, ...running }));
      }
    },
    (dy) => {
      const stored = residual || fusion;
      const tensors = {
        dy,
        y,
        x,
        statistics,
        residual,
        fusion: fusion?.weights,
        partials: sumsPartials(shape, epilogue).map((size) => tape.empty("sums of blocks", [4 * size])),
        dz: stored ? tape.emptyLike("dz", x) : undefined,
        fusionPartials: fusion ? fusionPartials(tape, shape) : undefined,
        dBias: tape.emptyGradient(bias),
        dWeight: tape.emptyGradient(weight),
      };
      tape.push(...batchNormBackwardSums(shape, epilogue, tensors));
      const { dz, dBias, dWeight } = tensors;
      const dFusion = fusion ? fusionWeightGradient(tape, shape, fusion, tensors.fusionPartials!) : null;
      const dResidual = residual ? dz! : null;
      if (!x.needsGrad) return [null, dWeight, dBias, dResidual, dFusion];
      const dx = tape.emptyLike(`d(${x.name})`, x);
      tape.push(batchNormBackwardInput(shape, epilogue, tape.training, { ...tensors, dx }));
      return [dx, dWeight, dBias, dResidual, dFusion];
    },
  );
  return y;
}

/** [G, N, H, W, C] as rows of channels. */
export function rowShape(operation: string, x: Tensor): RowShape {
  const [streams, n, h, w, channels] = x.shape;
  checkImages(operation, x);
  const busy = parallelism(tapeOf(x).device);
  return { streams: streams!, rows: n! * h! * w!, channels4: padTo4(channels!) / 4, busy };
}

function check(tape: Tape, x: Tensor, norm: BatchNorm, residual?: Tensor, fusion?: Fusion): void {
  const [streams, n, h, w, channels] = x.shape;
  for (const [name, tensor] of Object.entries(norm) as [string, Tensor][]) {
    if (String(tensor.shape) !== String([streams, channels])) {
      throw new RangeError(`batchNorm: ${name} [${tensor.shape}] does not fit x [${x.shape}]`);
    }
  }
  if (residual && String(residual.shape) !== String(x.shape)) {
    throw new RangeError(`batchNorm: residual [${residual.shape}] does not fit x [${x.shape}]`);
  }
  if (fusion && streams !== 3) throw new RangeError(`batchNorm: a fusion needs 3 streams, x has ${streams}`);
  if (tape.training && n! * h! * w! === 1) {
    throw new RangeError(`batchNorm: x [${x.shape}] has one value a channel; training needs a larger batch or image`);
  }
}
