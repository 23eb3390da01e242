/** Multinomial logistic regression on given features, in float64: the bar that a network has to clear. Pure. */

export interface LogisticModel {
  /** The class with the largest probability. */
  predict(features: ArrayLike<number>): number;
  /** Share of the rows whose class is predicted. */
  accuracy(rows: readonly ArrayLike<number>[], labels: readonly number[]): number;
}

export interface LogisticOptions {
  readonly classes: number;
  /** Weight of ‖W‖²/2 beside the mean loss (the bias is free). Default 1e-4. */
  readonly ridge?: number;
  /** Default 2000. */
  readonly iterations?: number;
}

/**
 * Fits by Nesterov's accelerated gradient descent on standardised features, with the step that the loss's curvature
 * allows: no randomness and nothing to tune, the same result every time.
 * @throws RangeError where rows and labels do not fit.
 */
export function fitLogistic(
  rows: readonly ArrayLike<number>[],
  labels: readonly number[],
  { classes, ridge = 1e-4, iterations = 2000 }: LogisticOptions,
): LogisticModel {
  const n = rows.length;
  const d = rows[0]?.length ?? 0;
  if (n === 0 || labels.length !== n || rows.some((row) => row.length !== d)) {
    throw new RangeError(`logistic regression: ${n} rows of ${d} features and ${labels.length} labels`);
  }
  const standardise = standardisation(rows, d);
  const x = rows.map(standardise);
  // The Hessian is at most ½ XᵀX/n; its trace bounds its largest eigenvalue, and each of d + 1 columns adds ½.
  const step = 1 / (0.5 * (d + 1) + ridge);
  const size = (d + 1) * classes;
  let weights = new Float64Array(size);
  let former = weights;
  for (let t = 1; t <= iterations; t++) {
    const momentum = (t - 1) / (t + 2);
    const ahead = weights.map((w, i) => w + momentum * (w - former[i]!));
    const gradient = gradientOf(ahead);
    former = weights;
    weights = ahead.map((w, i) => w - step * gradient[i]!);
  }

  function gradientOf(w: Float64Array): Float64Array {
    const gradient = new Float64Array(size);
    x.forEach((row, i) => {
      const p = probabilities(w, row, classes);
      p[labels[i]!]! -= 1;
      for (let j = 0; j <= d; j++)
        for (let k = 0; k < classes; k++) gradient[j * classes + k]! += (row[j]! * p[k]!) / n;
    });
    for (let j = 0; j < d * classes; j++) gradient[j]! += ridge * w[j]!;
    return gradient;
  }

  const predict = (features: ArrayLike<number>) => {
    const p = probabilities(weights, standardise(features), classes);
    return p.indexOf(Math.max(...p));
  };
  return {
    predict,
    accuracy: (tested, expected) => tested.filter((row, i) => predict(row) === expected[i]).length / tested.length,
  };
}

/** Mean red, green and blue of uint8 pixels [height, width, 3], 0 to 255. */
export function meanRgb(pixels: Uint8Array): [number, number, number] {
  const sums: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < pixels.length; i += 3) for (let c = 0; c < 3; c++) sums[c]! += pixels[i + c]!;
  return sums.map((sum) => (3 * sum) / pixels.length) as [number, number, number];
}

/** Features to mean 0 and deviation 1 over the rows (constant ones to 0), and a 1 behind them for the bias. */
function standardisation(rows: readonly ArrayLike<number>[], d: number): (row: ArrayLike<number>) => number[] {
  const columns = Array.from({ length: d }, (_, j) => {
    const mean = rows.reduce((sum, row) => sum + row[j]!, 0) / rows.length;
    const variance = rows.reduce((sum, row) => sum + (row[j]! - mean) ** 2, 0) / rows.length;
    return { mean, scale: variance > 0 ? 1 / Math.sqrt(variance) : 0 };
  });
  return (row) => [...columns.map(({ mean, scale }, j) => (row[j]! - mean) * scale), 1];
}

function probabilities(weights: Float64Array, row: readonly number[], classes: number): number[] {
  const logits = Array.from({ length: classes }, (_, k) =>
    row.reduce((sum, value, j) => sum + value * weights[j * classes + k]!, 0),
  );
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
