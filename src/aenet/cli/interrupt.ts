/** Ctrl-C during training: the first asks for an orderly end, the second ends at once. */
import { exitCodes } from "./errors.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

/** Runs `body` with a signal that the first SIGINT or SIGTERM aborts; `announce` then tells what happens. */
export async function interruptible<T>(announce: () => void, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
    announce();
  };
  for (const signal of signals) process.on(signal, handle);
  try {
    return await body(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, handle);
  }
}
