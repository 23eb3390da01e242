import {
  type FusionOptions,
  fuseBackward,
  fuseForward,
  fusionBlocks,
  sumFusionBlocks,
  sumFusionChannels,
} from "../../kernels/fusion.ts";
import type { RowShape } from "../../kernels/rows.ts";
import { type Tape, tapeOf } from "../tape.ts";
import { padTo4, type Tensor } from "../tensor.ts";
import { checkImages } from "./check.ts";

/** A fusion layer: its weights [4, 1] or [4, C] in the order α_p, α_s, β_p, β_s. */
export interface Fusion {
  readonly weights: Tensor;
  /** No gradient from the fused streams into f_s. Default false. */
  readonly detachShared?: boolean;
}

/**
 * f̃_a = α_p·f_a + α_s·f_s, f_s, f̃_e = β_s·f_s + β_p·f_e (Eq. 2); gradients by Eq. 3, and α_s·df̃_a + β_s·df̃_e into f_s.
 *
 * f [3, N, H, W, C] in the order A, S, E → the same shape.
 */
export function fuse(f: Tensor, fusion: Fusion): Tensor {
  checkImages("fuse", f);
  const tape = tapeOf(f, fusion.weights);
  const options = fusionOptions(f, fusion);
  const shape = { streams: 3, rows: f.shape[1]! * f.shape[2]! * f.shape[3]!, channels4: padTo4(f.shape[4]!) / 4 };
  return tape.record(
    "fuse",
    [f, fusion.weights],
    f.shape,
    (y) => tape.push(fuseForward(shape, options, { f, fusion: fusion.weights, y })),
    (dy) => fuseGradients(tape, f, dy, shape, fusion, options),
  );
}

/** Records df and the gradient of the weights, from the unfused f. */
export function fuseGradients(
  tape: Tape,
  f: Tensor,
  dy: Tensor,
  shape: RowShape,
  fusion: Fusion,
  options: FusionOptions,
): [Tensor, Tensor | null] {
  const df = tape.emptyLike(`d(${f.name})`, f);
  const partials = fusionPartials(tape, shape);
  tape.push(fuseBackward(shape, options, { dy, f, fusion: fusion.weights, df, fusionPartials: partials }));
  return [df, fusionWeightGradient(tape, shape, fusion, partials)];
}

/** Room for the partial sums of the weights' gradients. */
export function fusionPartials(tape: Tape, shape: RowShape): Tensor {
  return tape.empty("fusion sums of blocks", [4, fusionBlocks(shape), 4 * shape.channels4]);
}

/** Records the gradient of the weights from its partial sums. */
export function fusionWeightGradient(tape: Tape, shape: RowShape, fusion: Fusion, partials: Tensor): Tensor | null {
  const { weights } = fusion;
  if (!weights.needsGrad) return null;
  const total = tape.emptyGradient(weights);
  const byChannel = weights.shape[1] === 1 ? tape.empty("fusion sums", [4, 4 * shape.channels4]) : total;
  tape.push(sumFusionBlocks(shape, { partials, byChannel }));
  if (byChannel !== total) tape.push(sumFusionChannels(shape, { byChannel, total }));
  return total;
}

/** @throws RangeError if the weights do not fit x. */
export function fusionOptions(x: Tensor, { weights, detachShared = false }: Fusion): FusionOptions {
  const channels = x.shape.at(-1)!;
  const [rows, columns] = weights.shape;
  if (x.shape[0] !== 3 || rows !== 4 || (columns !== 1 && columns !== channels)) {
    throw new RangeError(
      `fuse: x [${x.shape}] and weights [${weights.shape}]: x needs three streams, the weights [4, 1] or [4, ${channels}]`,
    );
  }
  return { byChannel: columns === channels && channels > 1, detachShared };
}
