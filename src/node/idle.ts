const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Sleeps for a millisecond, then lets the event loop take one turn, in which Dawn settles what is done. While a promise
 * of Dawn's is pending the event loop spins by itself, and a timer would not slow it down: only blocking does.
 */
export async function idle(): Promise<void> {
  Atomics.wait(cell, 0, 0, 1);
  await new Promise<void>((resolve) => setImmediate(resolve));
}
