/** A confusion matrix, and what follows from it. Pure. */

/** How often class [true][predicted] was said, [K, K]. */
export type ConfusionMatrix = readonly (readonly number[])[];

/**
 * @param truth Class of each image; null without a label, which is left out.
 * @param counts How often each image counts. Default once.
 * @throws RangeError where the lists differ in length or a class is not below `classes`.
 */
export function confusionMatrix(
  truth: readonly (number | null)[],
  predicted: readonly number[],
  classes: number,
  counts?: ArrayLike<number>,
): ConfusionMatrix {
  if (truth.length !== predicted.length)
    throw new RangeError(`confusion matrix: ${truth.length} labels but ${predicted.length} predictions`);
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  truth.forEach((label, i) => {
    if (label === null) return;
    const said = predicted[i]!;
    if (matrix[label]?.[said] === undefined)
      throw new RangeError(`confusion matrix: label ${label}, prediction ${said}, but there are ${classes} classes`);
    matrix[label]![said]! += counts ? counts[i]! : 1;
  });
  return matrix;
}

/** Several matrices of the same classes as one. */
export function addMatrices(matrices: readonly ConfusionMatrix[]): ConfusionMatrix {
  const [first, ...others] = matrices;
  return (first ?? []).map((row, i) => row.map((n, j) => others.reduce((sum, matrix) => sum + matrix[i]![j]!, n)));
}

/** Images that were counted. */
export function total(matrix: ConfusionMatrix): number {
  return matrix.reduce((sum, row) => sum + rowSum(row), 0);
}

export function correct(matrix: ConfusionMatrix): number {
  return matrix.reduce((sum, row, k) => sum + row[k]!, 0);
}

/** Share of the images that are classified rightly. NaN for none. */
export function accuracy(matrix: ConfusionMatrix): number {
  return correct(matrix) / total(matrix);
}

/** The accuracy of always saying the class that is most frequent among these very images. NaN for none. */
export function majority(matrix: ConfusionMatrix): number {
  return Math.max(...matrix.map(rowSum)) / total(matrix);
}

/** Share of each class's images that are classified rightly; null where it has none. */
export function perClassAccuracy(matrix: ConfusionMatrix): (number | null)[] {
  return matrix.map((row, k) => (rowSum(row) === 0 ? null : row[k]! / rowSum(row)));
}

/** Mean of the classes' accuracies, over the classes that have images: 1/K by chance, however frequent they are. */
export function balancedAccuracy(matrix: ConfusionMatrix): number {
  const shares = perClassAccuracy(matrix).filter((share) => share !== null);
  return shares.reduce((a, b) => a + b, 0) / shares.length;
}

function rowSum(row: readonly number[]): number {
  return row.reduce((a, b) => a + b, 0);
}
