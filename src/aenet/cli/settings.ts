/**
 * Where a command's settings come from: defaults < configuration file < environment < flags. Pure.
 *
 * A table of options, one entry a setting, is the only place that states a setting's default and what it may be; the
 * flag's, the variable's and the file's names follow from its key.
 */
import { UsageError } from "./errors.ts";
import type { Kind } from "./kinds.ts";

export interface Option<T> {
  readonly kind: Kind<NonNullable<T>>;
  /** null: not set. A switch that is true by default gets a flag `--no-…`. */
  readonly default: T;
  readonly help: string;
  /** The heading in the help under which it stands. */
  readonly group?: string;
}

/** An option for every member of V, or it does not compile. */
export type Options<V> = { readonly [K in keyof V]: Option<V[K]> };

export interface Resolved<V> {
  readonly values: V;
  /** By what name each setting that is not left to its default was given: `--lr`, `AENET_LR`, `lr in FILE`. */
  readonly given: ReadonlyMap<keyof V, string>;
}

export interface Layers {
  /** By key, as far as given. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly config?: { readonly file: string; readonly members: Readonly<Record<string, unknown>> } | undefined;
}

/** @throws UsageError for a value against its kind, naming where it stands, and for a key of the file that is none. */
export function resolveSettings<V>(options: Options<V>, layers: Layers): Resolved<V> {
  const config = readConfig(options as Options<Record<string, unknown>>, layers.config);
  const given = new Map<keyof V, string>();
  const values = entriesOf(options).map(([key, option]): [string, unknown] => {
    const found =
      fromFlags(key, option, layers.flags) ?? fromEnvironment(key, option, layers.environment) ?? config.get(key);
    if (found === undefined) return [key, option.default];
    given.set(key as keyof V, found.name);
    return [key, found.read()];
  });
  return { values: Object.fromEntries(values) as V, given };
}

/** `--batch-size`; `--no-augment` for a switch that is on by default. */
export function flagOf(key: string, option: Pick<Option<unknown>, "default">): string {
  return `--${isNegated(option) ? "no-" : ""}${kebab(key)}`;
}

/** The names and options of a table. */
export function entriesOf<V>(options: Options<V>): [string, Option<unknown>][] {
  return Object.entries(options) as [string, Option<unknown>][];
}

interface Found {
  readonly name: string;
  read(): unknown;
}

function found(name: string, option: Option<unknown>, value: unknown, inverted: boolean): Found {
  return {
    name,
    read() {
      if (value === null && option.default === null) return null;
      try {
        const read = option.kind.read(value);
        return inverted ? !read : read;
      } catch (error) {
        const shown = typeof value === "string" ? value : JSON.stringify(value);
        throw new UsageError(`${name} ${shown}: ${(error as Error).message}`, { cause: error });
      }
    },
  };
}

function fromFlags(key: string, option: Option<unknown>, flags: Layers["flags"]): Found | undefined {
  return flags[key] === undefined ? undefined : found(flagOf(key, option), option, flags[key], false);
}

function fromEnvironment(key: string, option: Option<unknown>, environment: Layers["environment"]): Found | undefined {
  for (const { name, inverted } of spellings(key, option)) {
    const variable = `AENET_${kebab(name).replaceAll("-", "_").toUpperCase()}`;
    const value = environment[variable];
    if (value !== undefined && value !== "") return found(variable, option, value, inverted);
  }
  return undefined;
}

function readConfig(options: Options<Record<string, unknown>>, config: Layers["config"]): Map<string, Found> {
  const settings = new Map<string, Found>();
  if (!config) return settings;
  const known = new Map(
    entriesOf(options).flatMap(([key, option]) =>
      spellings(key, option).flatMap(({ name, inverted }) =>
        [name, kebab(name)].map((spelling) => [spelling, { key, option, inverted }] as const),
      ),
    ),
  );
  for (const [member, value] of Object.entries(config.members)) {
    const meant = known.get(member);
    if (!meant) throw new UsageError(`--config ${config.file}: "${member}" is no setting of this command`);
    const name = `${member} in ${config.file}`;
    if (settings.has(meant.key))
      throw new UsageError(`--config ${config.file}: "${member}" stands there twice, in two spellings`);
    settings.set(meant.key, found(name, meant.option, value, meant.inverted));
  }
  return settings;
}

/** A switch that is on by default may be named by its flag, too: `augment: false` is `noAugment: true`. */
function spellings(key: string, option: Option<unknown>): { name: string; inverted: boolean }[] {
  const plain = { name: key, inverted: false };
  return isNegated(option) ? [{ name: `no${key[0]!.toUpperCase()}${key.slice(1)}`, inverted: true }, plain] : [plain];
}

function isNegated(option: Pick<Option<unknown>, "default">): boolean {
  return option.default === true;
}

/** maxSteps → max-steps */
function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
