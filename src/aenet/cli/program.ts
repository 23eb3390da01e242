/** The command line as a function of its arguments. */
import { Command, CommanderError } from "commander";
import { packageVersion } from "../environment.ts";
import { addCommand, type CommandSpec } from "./command.ts";
import { benchStepCommand } from "./commands/bench-step.ts";
import { checkCommand } from "./commands/data-check.ts";
import { importCommand } from "./commands/data-import.ts";
import { packCommand } from "./commands/data-pack.ts";
import { synthCommand } from "./commands/data-synth.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evalCommand } from "./commands/eval.ts";
import { fig1Command } from "./commands/experiment-fig1.ts";
import { generatedCommand } from "./commands/experiment-generated.ts";
import { oasisCommand } from "./commands/experiment-oasis.ts";
import { allCommand, paperCommand } from "./commands/experiment-paper.ts";
import { reportCommand } from "./commands/experiment-report.ts";
import { exportCommand } from "./commands/export.ts";
import { gradcheckCommand } from "./commands/gradcheck.ts";
import { predictCommand } from "./commands/predict.ts";
import { trainCommand } from "./commands/train.ts";
import { codeOfError, describeError, type ExitCode, exitCodes } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

export interface Commands {
  // biome-ignore lint/suspicious/noExplicitAny: every command has settings of its own
  readonly top: readonly CommandSpec<any>[];
  // biome-ignore lint/suspicious/noExplicitAny: every command has settings of its own
  readonly data: readonly CommandSpec<any>[];
  // biome-ignore lint/suspicious/noExplicitAny: every command has settings of its own
  readonly bench: readonly CommandSpec<any>[];
  // biome-ignore lint/suspicious/noExplicitAny: every command has settings of its own
  readonly experiment: readonly CommandSpec<any>[];
}

const allCommands: Commands = {
  top: [trainCommand(), evalCommand(), predictCommand(), exportCommand(), gradcheckCommand(), doctorCommand()],
  data: [importCommand(), synthCommand(), checkCommand(), packCommand()],
  bench: [benchStepCommand()],
  experiment: [
    paperCommand("pretrain"),
    paperCommand("table1"),
    paperCommand("table2"),
    allCommand(),
    fig1Command(),
    generatedCommand(),
    oasisCommand(),
    reportCommand(),
  ],
};

/**
 * Runs the command that `args` (without node and the script) ask for. Never throws: an error is a line on standard error
 * and an exit code.
 */
export async function runProgram(
  args: readonly string[],
  terminal: Terminal,
  commands: Commands = allCommands,
): Promise<ExitCode> {
  let code: ExitCode = exitCodes.done;
  const finish = (found: ExitCode) => {
    code = found;
  };
  const program = new Command("aenet")
    .description("AENet on WebGPU: aesthetics and emotion in photographs")
    .version(packageVersion(), "--version")
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .showHelpAfterError("(--help tells more)");
  for (const spec of commands.top) addCommand(program, spec, terminal, finish);
  const data = program.command("data").description("make, import, check and pack data sets");
  for (const spec of commands.data) addCommand(data, spec, terminal, finish);
  const bench = program.command("bench").description("measure how fast it is");
  for (const spec of commands.bench) addCommand(bench, spec, terminal, finish);
  const experiment = program.command("experiment").description("the paper's experiment: its tables and its figure");
  for (const spec of commands.experiment) addCommand(experiment, spec, terminal, finish);
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    terminal.err(`${describeError(error, Boolean(terminal.environment.AENET_DEBUG))}\n`);
    return codeOfError(error);
  }
}
