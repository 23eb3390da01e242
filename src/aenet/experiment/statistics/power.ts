/** What a design can detect, told before it is run. Pure. */
import { Random } from "../../../random.ts";
import { signFlipTest } from "./sign-flip.ts";

export interface Design {
  /** Paired differences that will be tested. */
  readonly n: number;
  /** Of a single test: alpha/m for the first of a family of m by Holm. */
  readonly level: number;
  /** Default 0.8. */
  readonly power?: number;
  /** Default 2000. */
  readonly simulations?: number;
  readonly seed?: number;
}

/**
 * The smallest true difference, in deviations of a difference, that the exact sign-flip test rejects with the given power:
 * the least δ with P(p(δ + z₁, …, δ + zₙ) ≤ level) ≥ power for standard normal zᵢ. Times the pilot's deviation it is the
 * smallest detectable difference; the pilot's deviation is then taken as if it were the true one.
 *
 * By simulation of the very test; the same z serve every δ, so that the power grows with δ without noise in between.
 * Infinity where n is too small for the level, as p is 2¹⁻ⁿ at least.
 */
export function detectableEffect({ n, level, power = 0.8, simulations = 2000, seed = 0 }: Design): number {
  if (2 ** (1 - n) > level) return Number.POSITIVE_INFINITY;
  const random = new Random(seed, "power", n);
  const samples = Array.from({ length: simulations }, () => Array.from({ length: n }, () => random.normal()));
  const reaches = (delta: number) => {
    const rejected = samples.filter((z) => signFlipTest(z.map((x) => x + delta)) <= level).length;
    return rejected >= power * simulations;
  };
  let high = 1;
  while (!reaches(high)) high *= 2;
  let low = 0;
  while (high - low > 1e-3 * high) {
    const middle = (low + high) / 2;
    if (reaches(middle)) high = middle;
    else low = middle;
  }
  return high;
}
