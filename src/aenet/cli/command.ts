/** From a command's description to commander: flags from its table, the precedence, `--config`, `--print-config`. */
import { readFileSync } from "node:fs";
import { Argument, type Command, Option as Flag } from "commander";
import { type ExitCode, exitCodes, UsageError } from "./errors.ts";
import { formatValue } from "./kinds.ts";
import {
  entriesOf,
  flagOf,
  type Layers,
  type Option,
  type Options,
  type Resolved,
  resolveSettings,
} from "./settings.ts";
import type { Terminal } from "./terminal.ts";

export interface CommandSpec<V> {
  readonly name: string;
  readonly summary: string;
  /** Such as `<path...>`, with what it means. */
  readonly positionals?: readonly { readonly syntax: string; readonly help: string }[];
  readonly options: Options<V>;
  /** Members of a configuration file that are passed over: what a run's own config.json says beside its settings. */
  readonly passedOver?: readonly string[];
  /** Command lines that work, without `npx`. */
  readonly examples: readonly string[];
  /** The values that hold where not the options alone decide, for --print-config: a resumed run has its own. */
  valuesInForce?(settings: Resolved<V>): V | Promise<V>;
  run(settings: Resolved<V>, terminal: Terminal, positionals: readonly string[]): Promise<ExitCode>;
}

/** Adds the command to `parent`; its exit code goes to `finish`. */
export function addCommand<V>(
  parent: Command,
  spec: CommandSpec<V>,
  terminal: Terminal,
  finish: (code: ExitCode) => void,
): void {
  const command = parent.command(spec.name).description(spec.summary).summary(spec.summary);
  for (const { syntax, help } of spec.positionals ?? []) command.addArgument(new Argument(syntax, help));
  for (const [key, option] of entriesOf(spec.options)) command.addOption(toFlag(key, option));
  command
    .addOption(new Flag("--config <file>", "settings as a JSON object; flags and the environment win over it"))
    .addOption(new Flag("--print-config", "print the settings that hold as JSON, and do nothing"))
    .addHelpText("after", `\nExample${spec.examples.length > 1 ? "s" : ""}:\n  ${spec.examples.join("\n  ")}`)
    .addHelpText("after", "\nEvery option can be set by the environment, too: --batch-size by AENET_BATCH_SIZE.");
  command.action(async () => {
    const { environment } = terminal;
    const given: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(command.opts<Record<string, unknown>>()))
      if (command.getOptionValueSource(name) === "cli") given[name] = value;
    const { config: file = environment.AENET_CONFIG || undefined, printConfig = false, ...flags } = given;
    const config = file === undefined ? undefined : readConfigFile(String(file), spec.passedOver);
    const settings = resolveSettings(spec.options, { flags, environment, config });
    if (printConfig) {
      const values = spec.valuesInForce ? await spec.valuesInForce(settings) : settings.values;
      terminal.out(`${JSON.stringify(values, null, 2)}\n`);
      finish(exitCodes.done);
    } else finish(await spec.run(settings, terminal, command.args));
  });
}

function toFlag(key: string, option: Option<unknown>): Flag {
  const { kind, help, group } = option;
  const usual = option.default;
  const shown = usual === null || typeof usual === "boolean" ? "" : ` (default: ${formatValue(usual) || "none"})`;
  const value = kind.placeholder === "" ? "" : ` <${kind.placeholder}>`;
  const flag = new Flag(`${flagOf(key, option)}${value}`, `${help}${shown}`);
  return group === undefined ? flag : flag.helpGroup(group);
}

function readConfigFile(file: string, passedOver: readonly string[] = []): Layers["config"] {
  let members: unknown;
  try {
    members = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`--config ${file}: ${(error as Error).message}`, { cause: error });
  }
  if (typeof members !== "object" || members === null || Array.isArray(members))
    throw new UsageError(`--config ${file}: is not a JSON object`);
  return { file, members: Object.fromEntries(Object.entries(members).filter(([name]) => !passedOver.includes(name))) };
}
