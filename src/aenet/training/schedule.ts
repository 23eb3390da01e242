/**
 * What follows from an evaluation on the validation split: the learning rates, the bests, and when to stop.
 *
 * A state is a plain value that survives JSON unchanged, so that a resumed run decides as one that never stopped.
 * Patience counts evaluations, as PyTorch's scheduler does; at `--eval-every 1` these are epochs.
 */

export interface ScheduleState {
  /** Learning rate of everything but fusion and stitch weights, and theirs. */
  readonly lr: number;
  readonly fusionLr: number;
  /** The lowest loss by which the plateau counts; null before the first. */
  readonly plateauLoss: number | null;
  /** Evaluations in a row that did not lower it enough. */
  readonly badEvaluations: number;
  /** Evaluations in a row that were not the best so far. */
  readonly evaluationsSinceBest: number;
  readonly best: Best | null;
  readonly bestAes: Best | null;
  readonly bestEmo: Best | null;
}

/** The loss (best) or accuracy (bestAes, bestEmo) that is the best so far, and when it was reached. */
export interface Best {
  readonly epoch: number;
  readonly step: number;
  readonly value: number;
}

/** Means over the validation split; null where no sample carries the label or the network has no such head. */
export interface Evaluation {
  readonly epoch: number;
  readonly step: number;
  readonly loss: number | null;
  readonly accAes: number | null;
  readonly accEmo: number | null;
}

export interface ScheduleOptions {
  readonly factor: number;
  readonly patience: number;
  /** The loss has to fall below best · (1 − threshold). */
  readonly threshold: number;
  /** A rate that would fall by less than this stays (PyTorch's eps). */
  readonly smallestChange: number;
  readonly stopAfter: number;
}

export const defaultSchedule: ScheduleOptions = {
  factor: 0.5,
  patience: 8,
  threshold: 1e-4,
  smallestChange: 1e-8,
  stopAfter: 20,
};

/** The checkpoints beside `last` that a state of the network can be written to. */
export const bestNames = ["best", "best-aes", "best-emo"] as const;
export type BestName = (typeof bestNames)[number];

export interface Verdict {
  readonly state: ScheduleState;
  /** The checkpoints that this evaluation's weights now are. */
  readonly improved: readonly BestName[];
  /** The learning rates fell. */
  readonly reduced: boolean;
  readonly stop: boolean;
}

export function startSchedule(lr: number, fusionLr: number): ScheduleState {
  return {
    lr,
    fusionLr,
    plateauLoss: null,
    badEvaluations: 0,
    evaluationsSinceBest: 0,
    best: null,
    bestAes: null,
    bestEmo: null,
  };
}

/**
 * The state after an evaluation.
 *
 * Plateau as torch.optim.lr_scheduler.ReduceLROnPlateau (mode min, relative threshold, no cooldown, no least rate).
 * `best` is the lowest loss, `best-aes` and `best-emo` the highest accuracies, the first of equals; a loss that is not a
 * number improves nothing. An evaluation without a loss moves neither plateau nor early stop.
 */
export function advanceSchedule(
  state: ScheduleState,
  evaluation: Evaluation,
  options: ScheduleOptions = defaultSchedule,
): Verdict {
  const { epoch, step, loss, accAes, accEmo } = evaluation;
  const at = (value: number): Best => ({ epoch, step, value });
  const isBest = loss !== null && loss < (state.best?.value ?? Number.POSITIVE_INFINITY);
  const isBestAes = accAes !== null && accAes > (state.bestAes?.value ?? Number.NEGATIVE_INFINITY);
  const isBestEmo = accEmo !== null && accEmo > (state.bestEmo?.value ?? Number.NEGATIVE_INFINITY);
  const rates = loss === null ? pickRates(state) : followPlateau(state, loss, options);
  const evaluationsSinceBest = isBest ? 0 : state.evaluationsSinceBest + Number(loss !== null);
  const improved: BestName[] = [];
  if (isBest) improved.push("best");
  if (isBestAes) improved.push("best-aes");
  if (isBestEmo) improved.push("best-emo");
  return {
    state: {
      ...rates,
      evaluationsSinceBest,
      best: isBest ? at(loss) : state.best,
      bestAes: isBestAes ? at(accAes) : state.bestAes,
      bestEmo: isBestEmo ? at(accEmo) : state.bestEmo,
    },
    improved,
    reduced: rates.lr !== state.lr || rates.fusionLr !== state.fusionLr,
    stop: evaluationsSinceBest >= options.stopAfter,
  };
}

type Rates = Pick<ScheduleState, "lr" | "fusionLr" | "plateauLoss" | "badEvaluations">;

function pickRates({ lr, fusionLr, plateauLoss, badEvaluations }: ScheduleState): Rates {
  return { lr, fusionLr, plateauLoss, badEvaluations };
}

function followPlateau(state: ScheduleState, loss: number, options: ScheduleOptions): Rates {
  const best = state.plateauLoss ?? Number.POSITIVE_INFINITY;
  if (loss < best * (1 - options.threshold)) return { ...pickRates(state), plateauLoss: loss, badEvaluations: 0 };
  const badEvaluations = state.badEvaluations + 1;
  if (badEvaluations <= options.patience) return { ...pickRates(state), badEvaluations };
  const reduce = (rate: number) =>
    rate - rate * options.factor > options.smallestChange ? rate * options.factor : rate;
  return { ...pickRates(state), lr: reduce(state.lr), fusionLr: reduce(state.fusionLr), badEvaluations: 0 };
}
