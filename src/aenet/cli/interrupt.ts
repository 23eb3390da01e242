/** Ctrl-C: training is asked for an orderly end first; what can be cut off anywhere ends at once. */
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

/** Runs `body`, which can be cut off anywhere; SIGINT or SIGTERM ends the process, and `announce` tells how to go on. */
export async function endable<T>(announce: () => void, body: () => Promise<T>): Promise<T> {
  const handle = () => {
    announce();
    process.exit(exitCodes.interrupted);
  };
  for (const signal of signals) process.on(signal, handle);
  try {
    return await body();
  } finally {
    for (const signal of signals) process.off(signal, handle);
  }
}
