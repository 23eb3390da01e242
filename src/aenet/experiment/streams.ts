/** Seeds by name: what draws data, start values and the order of training never shares a stream. Pure. */
import { Random } from "../../random.ts";

/**
 * A seed for what `name` names, from the experiment's own. Two names give unrelated seeds, so a method's start values say
 * nothing of its data; the same name gives the same seed to every method, so that methods are compared in pairs.
 */
export function seedOf(experimentSeed: number, ...name: (string | number)[]): number {
  return new Random(experimentSeed, "experiment", ...name).integer(2 ** 31);
}
