/** Distribution functions of the normal, of Student's t and of chi-square, to some 14 digits. Pure. */

/** P(Z ≤ x) for a standard normal Z. */
export function normalCdf(x: number): number {
  const tail = 0.5 * upperGamma(0.5, (x * x) / 2);
  return x <= 0 ? tail : 1 - tail;
}

/** P(T ≤ x) for Student's t with `freedom` degrees of freedom. */
export function studentCdf(x: number, freedom: number): number {
  const tail = 0.5 * incompleteBeta(freedom / (freedom + x * x), freedom / 2, 0.5);
  return x <= 0 ? tail : 1 - tail;
}

/** The x with P(T ≤ x) = p. @throws RangeError unless 0 < p < 1 and there is a degree of freedom. */
export function studentQuantile(p: number, freedom: number): number {
  if (!(p > 0 && p < 1 && freedom >= 1)) throw new RangeError(`t quantile: p ${p}, ${freedom} degrees of freedom`);
  if (p < 0.5) return -studentQuantile(1 - p, freedom);
  return inverse((x) => studentCdf(x, freedom), p);
}

/** P(X ≤ x) for chi-square with `freedom` degrees of freedom. */
export function chiSquareCdf(x: number, freedom: number): number {
  const [a, half] = [freedom / 2, x / 2];
  return x <= 0 ? 0 : half < a + 1 ? lowerGamma(a, half) : 1 - upperGamma(a, half);
}

/** The x with P(X ≤ x) = p. @throws RangeError unless 0 < p < 1 and there is a degree of freedom. */
export function chiSquareQuantile(p: number, freedom: number): number {
  if (!(p > 0 && p < 1 && freedom >= 1))
    throw new RangeError(`chi-square quantile: p ${p}, ${freedom} degrees of freedom`);
  return inverse((x) => chiSquareCdf(x, freedom), p);
}

/** The x ≥ 0 where an increasing function reaches p, by halving. */
function inverse(cdf: (x: number) => number, p: number): number {
  let high = 1;
  while (cdf(high) < p) high *= 2;
  let low = 0;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (cdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(a, x), the regularised lower incomplete gamma function, by its series: for x < a + 1. */
function lowerGamma(a: number, x: number): number {
  let [term, sum] = [1 / a, 1 / a];
  for (let b = a + 1; term > 1e-17 * sum; b++) {
    term *= x / b;
    sum += term;
  }
  return gammaFront(a, x) * sum;
}

/** Q(a, x) = 1 − P(a, x): the series for small x, Lentz's continued fraction for large. Q(½, x) = erfc(√x). */
function upperGamma(a: number, x: number): number {
  if (x === 0) return 1;
  if (x < a + 1) return 1 - lowerGamma(a, x);
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let i = 1; i < 500; i++) {
    const numerator = -i * (i - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return gammaFront(a, x) * fraction;
}

/** xᵃ e⁻ˣ / Γ(a) */
function gammaFront(a: number, x: number): number {
  return Math.exp(a * Math.log(x) - x - logGamma(a));
}

/** I_x(a, b), by the continued fraction that converges where x < (a + 1)/(a + b + 2), and its mirror image elsewhere. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  let c = 1;
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 1000; m++) {
    for (const numerator of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / (1 + numerator * d);
      c = 1 + numerator / c;
      fraction *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return front * fraction;
}

/** ln Γ(x) for x > 0: Stirling's series after shifting x beyond 15. */
export function logGamma(x: number): number {
  let shift = 0;
  for (; x < 15; x++) shift -= Math.log(x);
  const inverse = 1 / (x * x);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / x;
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}
