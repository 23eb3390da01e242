/** Which parameters stay as they are (`--freeze`). Pure. */

/** The groups that have names of their own; anything else is a prefix of parameter names. */
const groups: ReadonlyMap<string, readonly string[]> = new Map([
  ["a", ["a."]],
  ["s", ["s."]],
  ["e", ["e."]],
  ["fusion", ["fusion.", "stitch."]],
  ["heads", ["head."]],
]);

/**
 * Whether a parameter is frozen, by its name in files.
 * @throws Error naming an entry that no parameter answers to.
 */
export function frozenBy(freeze: readonly string[], names: readonly string[]): (name: string) => boolean {
  const beginsWith = (name: string, prefixes: readonly string[]) => prefixes.some((prefix) => name.startsWith(prefix));
  const frozen = freeze.flatMap((entry) => {
    const prefixes = groups.get(entry) ?? [entry];
    if (names.some((name) => beginsWith(name, prefixes))) return prefixes;
    throw new Error(`--freeze ${entry}: the network has no parameter that begins with ${prefixes.join(" or ")}`);
  });
  return (name) => beginsWith(name, frozen);
}
