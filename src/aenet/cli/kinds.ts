/**
 * What an option's value may be. One reader serves the text of a flag or an environment variable and the JSON of a
 * configuration file; it throws an Error that says only the rule, and who calls it knows the name and the value. Pure.
 */
import { emotionClasses } from "../data/classes.ts";

export interface Kind<T> {
  /** Stands for the value in the help; empty where the flag alone says it all. */
  readonly placeholder: string;
  read(value: unknown): T;
}

export const boolean: Kind<boolean> = {
  placeholder: "",
  read(value) {
    if (value === true || value === "true" || value === "1") return true;
    if (value === false || value === "false" || value === "0") return false;
    throw new Error("needs true or false");
  },
};

/** A path or a name. */
export function text(placeholder: string): Kind<string> {
  return {
    placeholder,
    read(value) {
      if (typeof value === "string" && value !== "") return value;
      throw new Error(`needs a ${placeholder}`);
    },
  };
}

/** A decimal number from `least` to `most`. */
export function number(
  least: number = Number.NEGATIVE_INFINITY,
  most: number = Number.POSITIVE_INFINITY,
): Kind<number> {
  return {
    placeholder: "number",
    read(value) {
      const found = toNumber(value);
      if (found >= least && found <= most) return found;
      throw new Error(`needs a number${bounds(least, most)}`);
    },
  };
}

export function integer(least: number = Number.MIN_SAFE_INTEGER, most: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  return {
    placeholder: "n",
    read(value) {
      const found = toNumber(value);
      if (Number.isSafeInteger(found) && found >= least && found <= most) return found;
      throw new Error(`needs an integer${bounds(least, most)}`);
    },
  };
}

export function choice<T extends string>(names: readonly T[], placeholder: string = names.join("|")): Kind<T> {
  return {
    placeholder,
    read(value) {
      const found = names.find((name) => name === value);
      if (found !== undefined) return found;
      throw new Error(`needs one of ${names.join(", ")}`);
    },
  };
}

/** Values between commas, or a JSON list of them; the empty text gives none. */
export function list<T>(element: Kind<T>): Kind<readonly T[]> {
  return { placeholder: `${element.placeholder},…`, read: (value) => elements(value).map(element.read) };
}

/** The emotions' names, in their one spelling. */
export const classNames: Kind<readonly string[]> = {
  placeholder: "name,…",
  read(value) {
    const names = elements(value);
    if (!names.every((name) => typeof name === "string")) throw new Error("needs names");
    try {
      return emotionClasses([], names);
    } catch (error) {
      throw new Error((error as Error).message.replace(/^classes: /, ""), { cause: error });
    }
  },
};

/** `contrast=3,key=2`, or a JSON object: numbers by name; names may be left out. */
export function numbersByName<K extends string>(names: readonly K[]): Kind<Readonly<Partial<Record<K, number>>>> {
  return {
    placeholder: "name=x,…",
    read(value) {
      const pairs: [string, unknown][] =
        typeof value === "object" && value !== null && !Array.isArray(value)
          ? Object.entries(value)
          : elements(value).map((pair) => {
              const [name = "", number] = String(pair).split("=");
              return [name.trim(), number];
            });
      return Object.fromEntries(
        pairs.map(([name, value]) => {
          const found = toNumber(value);
          if (names.includes(name as K) && Number.isFinite(found)) return [name, found];
          throw new Error(`needs name=number, where a name is one of ${names.join(", ")}`);
        }),
      ) as Partial<Record<K, number>>;
    },
  };
}

/** A value as the flag that gives it would be typed. */
export function formatValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(formatValue).join(",");
  if (typeof value === "object" && value !== null)
    return Object.entries(value)
      .map(([name, member]) => `${name}=${formatValue(member)}`)
      .join(",");
  return String(value);
}

function elements(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return value.trim() === "" ? [] : value.split(",").map((part) => part.trim());
  throw new Error("needs a list, its parts between commas");
}

/** NaN for what is no decimal number. */
function toNumber(value: unknown): number {
  if (typeof value === "number") return Number.isFinite(value) ? value : Number.NaN;
  const isDecimal = typeof value === "string" && /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value);
  const found = isDecimal ? Number(value) : Number.NaN;
  return Number.isFinite(found) ? found : Number.NaN;
}

function bounds(least: number, most: number): string {
  const from = least > Number.MIN_SAFE_INTEGER ? ` from ${least}` : "";
  return most < Number.MAX_SAFE_INTEGER ? `${from} to ${most}` : from;
}
