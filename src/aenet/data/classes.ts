/**
 * The emotion classes of a data set: which names there are, and in which order the network's outputs stand for them.
 * Pure: also for the browser.
 */

/** The eight classes of IAE and FI, in the order in which IAE numbers them. */
export const eightEmotions = [
  "amusement",
  "excitement",
  "awe",
  "contentment",
  "disgust",
  "anger",
  "fear",
  "sadness",
] as const;
export const EIGHT_EMOTIONS: readonly string[] = eightEmotions;

const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ["sad", "sadness"],
  ["content", "contentment"],
]);

/** The one spelling of an emotion: trimmed, lower-cased, `sad` = `sadness`, `content` = `contentment`. */
export function normaliseEmotion(name: string): string {
  const plain = name.trim().toLowerCase();
  return SYNONYMS.get(plain) ?? plain;
}

/**
 * The classes, in the order of the network's outputs.
 *
 * Where all names lie among the eight emotions (no names at all included), these are the classes and K is 8; otherwise
 * the distinct names by code point. `override` (`--classes`) is taken as it is, names normalised.
 * @throws RangeError where `override` is empty or has an empty or a repeated name.
 */
export function emotionClasses(names: Iterable<string | null>, override?: readonly string[]): string[] {
  if (override !== undefined) return checkedClasses(override);
  const distinct = new Set<string>();
  for (const name of names) if (name !== null && name.trim() !== "") distinct.add(normaliseEmotion(name));
  if ([...distinct].every((name) => EIGHT_EMOTIONS.includes(name))) return [...EIGHT_EMOTIONS];
  return [...distinct].sort(compareCodePoints);
}

function checkedClasses(names: readonly string[]): string[] {
  const classes = names.map(normaliseEmotion);
  if (classes.length === 0) throw new RangeError("classes: the list is empty; give at least one name");
  classes.forEach((name, i) => {
    if (name === "") throw new RangeError(`classes: name ${i + 1} of ${classes.length} is empty`);
    if (classes.indexOf(name) !== i)
      throw new RangeError(`classes: "${name}" stands twice (sad = sadness, content = contentment)`);
  });
  return classes;
}

/** Order by code point, the same in every locale (`<` on strings compares UTF-16 units instead). */
export function compareCodePoints(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
