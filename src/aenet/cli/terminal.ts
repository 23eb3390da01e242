/** Where a command's output goes; tests give one that remembers. */

export interface Terminal {
  /** Results, to standard output. */
  out(text: string): void;
  /** Progress and logs, to standard error. */
  err(text: string): void;
  /** Somebody watches standard error: lines may be rewritten. */
  readonly interactive: boolean;
  /** Characters a line, where somebody watches. */
  readonly columns: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The process's own. A reader that closes its end of a pipe (`| head`) ends the output, not the command. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const writer = (stream: NodeJS.WriteStream) => {
    let open = true;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      open = false;
      if (error.code !== "EPIPE") process.exitCode = 1;
    });
    return (text: string) => {
      if (open && text !== "") stream.write(text);
    };
  };
  return {
    out: writer(stdout),
    err: writer(stderr),
    interactive: stderr.isTTY === true,
    get columns() {
      return stderr.columns ?? 80; // a window may change its size
    },
    environment: env,
  };
}
