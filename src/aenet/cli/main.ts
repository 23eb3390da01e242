#!/usr/bin/env node
/** The entry of `aenet`. What a command needs it loads itself, so that `--help` does not wait for Dawn. */
import { runProgram } from "./program.ts";
import { processTerminal } from "./terminal.ts";

const code = await runProgram(process.argv.slice(2), processTerminal());
process.exitCode ||= code;
