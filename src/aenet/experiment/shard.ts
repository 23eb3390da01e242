/** Dividing a list of jobs over machines, and over processes. Pure. */

/** Part `index` (from 1) of `count`: the lanes that are index − 1 modulo count. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** @throws RangeError that says only the rule, for anything but `i/n` with 1 ≤ i ≤ n. */
export function parseShard(text: string): Shard {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!(index >= 1 && index <= count)) throw new RangeError("needs i/n, i from 1 to n");
  return { index, count };
}

export function inShard({ lane }: { readonly lane: number }, { index, count }: Shard): boolean {
  return lane % count === index - 1;
}

/** Tells a child process which of how many it is; it then works alone and reports to its parent. */
export const childVariable = "AENET_EXPERIMENT_CHILD";

/** Which child this process is, if it is one. */
export function childShard(environment: Readonly<Record<string, string | undefined>>): Shard | null {
  const [index, count] = (environment[childVariable] ?? "").split("/").map(Number);
  return index && count ? { index, count } : null;
}
