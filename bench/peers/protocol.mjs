/**
 * The other end of contender.ts: prepares a task, then runs it once for every line "run". Lines that begin with @ are
 * answers, all else a library wrote.
 */
import { createInterface } from "node:readline";

const answer = (value) => process.stdout.write(`@${JSON.stringify(value)}\n`);

/**
 * @param prepare (task, arguments) → { version, run }: one run to its end.
 */
export async function serve(prepare) {
  const [taskText, ...rest] = process.argv.slice(2);
  try {
    const start = performance.now();
    const { version, run } = await prepare(JSON.parse(taskText), rest);
    await run();
    answer({ ready: version, first_ms: performance.now() - start });
    for await (const line of createInterface({ input: process.stdin })) {
      if (line !== "run") break;
      const from = performance.now();
      await run();
      answer({ ms: performance.now() - from });
    }
    process.exit(0);
  } catch (error) {
    answer({ error: String(error?.message ?? error).split("\n")[0] });
    process.exit(1);
  }
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Awaits with the main thread asleep between polls, which leaves a software driver its processor. */
export async function sleeping(promise) {
  let done = false;
  const settled = () => {
    done = true;
  };
  promise.then(settled, settled);
  while (!done) {
    Atomics.wait(cell, 0, 0, 1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return promise;
}
