/** Flags of the programs that npm runs: node's parseArgs with `--help`, and wrong usage told in a line. */
import { type ParseArgsConfig, parseArgs } from "node:util";

const usageOf = (script: string, { options = {}, allowPositionals = false }: ParseArgsConfig): string => {
  const flags = Object.entries(options).map(([name, { type, default: preset }]) => {
    const value = type === "boolean" ? "" : ` ${preset === undefined || preset === "" ? name.toUpperCase() : preset}`;
    return `[--${name}${value}]`;
  });
  return `usage: npm run ${script} -- ${[...(allowPositionals ? ["[NAME…]"] : []), ...flags].join(" ")}\n`;
};

/**
 * The command line's flags and positionals, as parseArgs types them, for the program that `npm run SCRIPT` starts. Ends the
 * process with 0 after `--help`, which prints the flags with their defaults, and with 2 after a flag that is none of them.
 */
export function readFlags<T extends ParseArgsConfig>(script: string, config: T): ReturnType<typeof parseArgs<T>> {
  const options = { ...config.options, help: { type: "boolean" as const, default: false } };
  try {
    const { values } = parseArgs({ ...config, options });
    if (!(values as { help: boolean }).help) return parseArgs(config);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith("ERR_PARSE_ARGS")) throw error;
    process.stderr.write(`${message.split(". ")[0]}\n${usageOf(script, config)}`);
    process.exit(2);
  }
  process.stdout.write(usageOf(script, config));
  process.exit(0);
}
