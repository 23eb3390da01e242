/**
 * Dynamic loss scaling (Micikevicius et al. 2018, Mixed Precision Training): losses are multiplied by a scale before their
 * gradients are taken, so that small gradients do not vanish in f16, and the optimizer divides by it. The device decides:
 * a step whose gradients overflow is left out and halves the scale, a number of sound ones in a row doubles it. Scales
 * are powers of two, so that neither the product nor the quotient rounds.
 */

/** How far the scale has come; what a run needs to go on with it. */
export interface LossScaleState {
  /** A power of two. */
  readonly lossScale: number;
  /** Sound steps since it last changed. */
  readonly cleanSteps: number;
  /** Steps that were left out since training began. */
  readonly skippedSteps: number;
}

export interface LossScaleOptions {
  /** A power of two from 1 to `largestLossScale`. Default 65536. */
  readonly initial?: number;
  /** Sound steps in a row that double it. Default 2000. */
  readonly growthInterval?: number;
}

export const defaultLossScale: Required<LossScaleOptions> = { initial: 2 ** 16, growthInterval: 2000 };

/** A larger one would take what is lost at one end of f16's range from the other. */
export const largestLossScale: number = 2 ** 24;

/** Without scaling. */
export const noLossScale: LossScaleState = { lossScale: 1, cleanSteps: 0, skippedSteps: 0 };

/** log₂ of a scale. @throws RangeError for one that the device cannot hold. */
export function lossScaleExponent(lossScale: number): number {
  const exponent = Math.log2(lossScale);
  if (!Number.isInteger(exponent) || lossScale < 1 || lossScale > largestLossScale) {
    throw new RangeError(`loss scale ${lossScale}: needs a power of two from 1 to ${largestLossScale}`);
  }
  return exponent;
}
