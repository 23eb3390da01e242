/** What is counted over an evaluated split: losses, accuracies and majorities, in float64. */

export interface SampleResult {
  readonly aesLogit: number | null;
  readonly emoLogits: ArrayLike<number> | null;
  /** 1 high, 0 low, null without a label. */
  readonly aes: 0 | 1 | null;
  /** The class's index, −1 without a label. */
  readonly emo: number;
}

export interface Metrics {
  /** Samples that carry the label. */
  readonly nAes: number;
  readonly nEmo: number;
  /** L_a + λ·L_e, over what is there. */
  readonly loss: number | null;
  readonly lossAes: number | null;
  readonly lossEmo: number | null;
  readonly accAes: number | null;
  readonly accEmo: number | null;
  /** The largest class's share. */
  readonly majorityAes: number | null;
  readonly majorityEmo: number | null;
}

/** Sums over samples, in the order in which they are added. */
export class MetricsSum {
  readonly #lambda: number;
  readonly #aesCounts = [0, 0];
  readonly #emoCounts: number[];
  #aes = { loss: 0, correct: 0, n: 0 };
  #emo = { loss: 0, correct: 0, n: 0 };
  /** Whether the network has a head for each task. */
  #hasBoth = false;

  constructor(lambda: number, classes: number) {
    this.#lambda = lambda;
    this.#emoCounts = new Array(classes).fill(0);
  }

  add({ aesLogit, emoLogits, aes, emo }: SampleResult): void {
    this.#hasBoth = aesLogit !== null && emoLogits !== null;
    if (aes !== null) this.#aesCounts[aes]!++;
    if (emo >= 0) this.#emoCounts[emo]!++;
    if (aes !== null && aesLogit !== null) {
      this.#aes.n++;
      this.#aes.loss += binaryCrossEntropy(aesLogit, aes);
      const probability = sigmoid(aesLogit);
      if (aes === 1 ? probability >= 0.5 : probability < 0.5) this.#aes.correct++; // NaN is neither
    }
    if (emo >= 0 && emoLogits !== null) {
      this.#emo.n++;
      this.#emo.loss += crossEntropy(emoLogits, emo);
      if (!hasNaN(emoLogits) && largestIndex(emoLogits) === emo) this.#emo.correct++;
    }
  }

  get result(): Metrics {
    const share = (sum: number, n: number) => (n > 0 ? sum / n : null);
    const lossAes = share(this.#aes.loss, this.#aes.n);
    const lossEmo = share(this.#emo.loss, this.#emo.n);
    const nAes = this.#aesCounts.reduce((a, b) => a + b, 0);
    const nEmo = this.#emoCounts.reduce((a, b) => a + b, 0);
    return {
      nAes,
      nEmo,
      lossAes,
      lossEmo,
      loss: totalLoss(lossAes, lossEmo, this.#hasBoth ? this.#lambda : 1),
      accAes: share(this.#aes.correct, this.#aes.n),
      accEmo: share(this.#emo.correct, this.#emo.n),
      majorityAes: share(Math.max(...this.#aesCounts), nAes),
      majorityEmo: share(Math.max(...this.#emoCounts), nEmo),
    };
  }
}

/** L_a + λ·L_e over what has labels, as in training; with one task λ is 1. */
function totalLoss(aes: number | null, emo: number | null, lambda: number): number | null {
  return aes === null && emo === null ? null : (aes ?? 0) + lambda * (emo ?? 0);
}

/** No class is the largest then. */
export const hasNaN = (values: ArrayLike<number>): boolean => Array.prototype.some.call(values, Number.isNaN);

/** 1 / (1 + e^−x). */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** e^x_k / Σ e^x. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const powers = values.map((x) => Math.exp(x - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The first index of the largest value. */
export function largestIndex(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function binaryCrossEntropy(x: number, target: 0 | 1): number {
  return Math.max(x, 0) - x * target + Math.log1p(Math.exp(-Math.abs(x)));
}

function crossEntropy(logits: ArrayLike<number>, label: number): number {
  const largest = logits[largestIndex(logits)]!;
  const sum = Array.from(logits).reduce((total, x) => total + Math.exp(x - largest), 0);
  return Math.log(sum) + largest - logits[label]!;
}
