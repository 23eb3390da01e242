/** Exit codes, and how an error is told. Pure. */

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Finished, but some inputs failed. */
  someFailed: 3,
  /** Interrupted after a clean checkpoint. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The command line itself is wrong; the message names the flag, its value and the rule. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A flag's value that may not be missing. @throws UsageError */
export function required<T>(flag: string, value: T | null, hint = ""): T {
  if (value === null) throw new UsageError(`${flag}: is missing${hint && `; ${hint}`}`);
  return value;
}

/** What the process says by its exit code about an error that ended it. */
export function codeOfError(error: unknown): ExitCode {
  if (!(error instanceof Error)) return exitCodes.failed;
  if (error.name === "AbortError") return exitCodes.interrupted;
  if (error instanceof UsageError) return exitCodes.usage;
  // Every layer's complaint about a setting begins with its flag; that no adapter opened is no wrong use.
  return error.name !== "AdapterError" && /^--[a-z]/.test(error.message) ? exitCodes.usage : exitCodes.failed;
}

/** The line for people, or the whole stack for whoever looks for the cause. */
export function describeError(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `aenet: ${String(error)}`;
  return debug ? (error.stack ?? error.message) : `aenet: ${error.message || error.name}`;
}
