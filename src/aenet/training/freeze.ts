/** Which parameters stay as they are (`--freeze`). Pure. */

/** The groups that have names of their own; anything else is a prefix of parameter names. */
const groups: Readonly<Record<string, string>> = { a: "a.", s: "s.", e: "e.", fusion: "fusion.", heads: "head." };

/**
 * Whether a parameter is frozen, by its name in files.
 * @throws Error naming an entry that no parameter answers to.
 */
export function frozenBy(freeze: readonly string[], names: readonly string[]): (name: string) => boolean {
  const prefixes = freeze.map((entry) => groups[entry] ?? entry);
  for (const [i, prefix] of prefixes.entries()) {
    if (!names.some((name) => name.startsWith(prefix))) {
      throw new Error(`--freeze ${freeze[i]}: the network has no parameter that begins with ${prefix}`);
    }
  }
  return (name) => prefixes.some((prefix) => name.startsWith(prefix));
}
