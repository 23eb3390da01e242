/**
 * Which adapters a choice stands for, and how a fruitless search is told.
 */

export const adapterChoices = ["auto", "gpu", "lavapipe", "swiftshader"] as const;

/** The values of `--adapter`: `auto` takes the first of gpu, lavapipe and swiftshader that opens. */
export type AdapterChoice = (typeof adapterChoices)[number];

export type AdapterKind = Exclude<AdapterChoice, "auto">;

/** What came of trying one kind of adapter: taken, or passed over for a reason. */
export interface Attempt {
  readonly kind: AdapterKind;
  readonly taken: boolean;
  /** Why it was passed over, or what was taken. */
  readonly detail: string;
}

/** No adapter of the wanted kind opened; the message lists every attempt with its reason. */
export class AdapterError extends Error {
  override name = "AdapterError";
  readonly attempts: readonly Attempt[];

  constructor(choice: AdapterChoice, attempts: readonly Attempt[]) {
    const lines = attempts.map(({ kind, detail }) => `  ${kind} was passed over: ${detail}`);
    super([`--adapter ${choice}: no adapter could be opened`, ...lines].join("\n"));
    this.attempts = attempts;
  }
}

/** @throws RangeError when `value` is not a choice. */
export function parseAdapterChoice(value: string): AdapterChoice {
  const choice = adapterChoices.find((name) => name === value);
  if (!choice) throw new RangeError(`--adapter ${value}: expected one of ${adapterChoices.join(", ")}`);
  return choice;
}

/** The kinds to try, in order; who names a card (`gpu`, a part of its name) wants nothing else in its place. */
export function kindsOf(choice: AdapterChoice, gpu?: string): AdapterKind[] {
  if (choice !== "auto") return [choice];
  return gpu ? ["gpu"] : ["gpu", "lavapipe", "swiftshader"];
}
