/**
 * Winograd's minimal filtering F(m, r) by Toom and Cook: m outputs of a filter with r taps from n = m + r − 1
 * multiplications instead of m·r.
 *
 *   y = Aᵀ [(G g) ⊙ (Bᵀ d)],  y [m], g [r], d [n]
 *
 * The filter and (transposed) the signal are polynomials; both are evaluated at n points, multiplied there, and what was
 * sought is interpolated from the products. The last point is infinity. In two dimensions each matrix is applied to the
 * rows and to the columns. (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016.)
 */

export type Matrix = readonly (readonly number[])[];

export interface Filtering {
  /** Outputs, taps and products of one dimension. */
  readonly m: number;
  readonly r: number;
  readonly n: number;
  /** Aᵀ [m, n], Bᵀ [n, n] and G [n, r]. */
  readonly aT: Matrix;
  readonly bT: Matrix;
  readonly g: Matrix;
}

/**
 * F(m, r) on the given finite points and infinity.
 * @throws RangeError if there are other than m + r − 2 points, or two are the same.
 */
export function filtering(m: number, r: number, points: readonly number[]): Filtering {
  const n = m + r - 1;
  if (points.length !== n - 1 || new Set(points).size !== n - 1) {
    throw new RangeError(`F(${m}, ${r}) needs ${n - 1} different finite points, not [${points}]`);
  }
  const others = (i: number) => points.filter((_, j) => j !== i);
  return {
    m,
    r,
    n,
    aT: Array.from({ length: m }, (_, i) => [...points.map((p) => p ** i), i === m - 1 ? 1 : 0]),
    // The coefficients of Π_{j ≠ i} (z − p_j), and for infinity of Π_j (z − p_j).
    bT: [...points.map((_, i) => [...polynomial(others(i)), 0]), polynomial(points)],
    g: [
      ...points.map((p, i) => {
        const scale = others(i).reduce((product, q) => product * (p - q), 1);
        return Array.from({ length: r }, (_, k) => p ** k / scale);
      }),
      Array.from({ length: r }, (_, k) => (k === r - 1 ? 1 : 0)),
    ],
  };
}

/** Coefficients of Π (z − root), the constant one first. */
function polynomial(roots: readonly number[]): number[] {
  return roots.reduce<number[]>(
    (p, root) => Array.from({ length: p.length + 1 }, (_, i) => (p[i - 1] ?? 0) - root * (p[i] ?? 0)),
    [1],
  );
}

export const transpose = (matrix: Matrix): Matrix => matrix[0]!.map((_, j) => matrix.map((row) => row[j]!));

/**
 * WGSL that declares `outputs[i]` = Σ_j matrix[i, j] · inputs[j]. Two rows that follow each other and differ in signs
 * alone (those of points p and −p) share their sums: one is e + o, the other e − o.
 */
function linearMap(matrix: Matrix, inputs: readonly string[], outputs: readonly string[]): string {
  const code: string[] = [];
  for (let i = 0; i < matrix.length; i++) {
    const row = matrix[i]!;
    const next = matrix[i + 1];
    if (next && row.some((c) => c !== 0) && row.every((c, j) => Math.abs(c) === Math.abs(next[j]!))) {
      const part = (sign: number) => row.map((c, j) => (c * next[j]! * sign > 0 ? c : 0));
      const [even, odd] = [part(1), part(-1)];
      if (even.some((c) => c !== 0) && odd.some((c) => c !== 0)) {
        const [e, o] = [`${outputs[i]}e`, `${outputs[i]}o`];
        code.push(`let ${e} = ${sum(even, inputs)};`, `let ${o} = ${sum(odd, inputs)};`);
        code.push(`let ${outputs[i]} = ${e} + ${o};`, `let ${outputs[i + 1]} = ${e} - ${o};`);
        i++;
        continue;
      }
    }
    code.push(`let ${outputs[i]} = ${sum(row, inputs)};`);
  }
  return code.join("\n");
}

function sum(coefficients: readonly number[], inputs: readonly string[]): string {
  const terms = coefficients.flatMap((c, j) => {
    if (c === 0) return [];
    const sign = c < 0 ? "-" : "+";
    const factor = Math.abs(c);
    return [{ sign, text: factor === 1 ? inputs[j]! : `${literal(factor)} * ${inputs[j]}` }];
  });
  // A sum that begins with a plus needs no negation.
  terms.sort((a, b) => (a.sign === b.sign ? 0 : a.sign === "+" ? -1 : 1));
  return terms.map(({ sign, text }, i) => (i > 0 ? ` ${sign} ${text}` : sign === "-" ? `-${text}` : text)).join("");
}

const literal = (value: number): string => (Number.isInteger(value) ? `${value}.0` : `${value}`);

/**
 * WGSL that declares `<to>I_J` = (matrix · X · matrixᵀ)[I, J] of X[i, j] = `<from>i_j`; the names in between begin with
 * `<to>t`.
 */
export function transform2d(matrix: Matrix, from: string, to: string): string {
  const outs = matrix.length;
  const ins = matrix[0]!.length;
  const names = (count: number, name: (i: number) => string) => Array.from({ length: count }, (_, i) => name(i));
  const columns = Array.from({ length: ins }, (_, j) =>
    linearMap(
      matrix,
      names(ins, (i) => `${from}${i}_${j}`),
      names(outs, (i) => `${to}t${i}_${j}`),
    ),
  );
  const rows = Array.from({ length: outs }, (_, i) =>
    linearMap(
      matrix,
      names(ins, (j) => `${to}t${i}_${j}`),
      names(outs, (j) => `${to}${i}_${j}`),
    ),
  );
  return [...columns, ...rows].join("\n");
}
