export interface PrefetchOptions {
  /** How many items are worked on at once, at least 1. */
  concurrency: number;
  /** How many items are begun or finished ahead of the reader, at least 1: bounds the memory. */
  window: number;
}

/**
 * Works on items in the background, ahead of whoever reads the results, and gives the results in the items' order.
 *
 * Work goes on while nobody waits, until `window` results lie ready. A failure is thrown where its result is read.
 */
export class Prefetcher<T, R> {
  readonly #items: Iterator<T>;
  readonly #work: (item: T) => Promise<R>;
  readonly #options: PrefetchOptions;
  readonly #queue: Promise<R>[] = [];
  #running = 0;
  #ended = false;

  constructor(items: Iterable<T>, options: PrefetchOptions, work: (item: T) => Promise<R>) {
    for (const [name, value] of Object.entries(options)) {
      if (!Number.isSafeInteger(value) || value < 1)
        throw new RangeError(`prefetch: ${name} is ${value}, not an integer from 1`);
    }
    this.#items = items[Symbol.iterator]();
    this.#options = options;
    this.#work = work;
    this.#fill();
  }

  /** The next result, left in its place; undefined after the last one. */
  async peek(): Promise<R | undefined> {
    this.#fill();
    return this.#queue[0];
  }

  /** The next result, taken; undefined after the last one. */
  async next(): Promise<R | undefined> {
    this.#fill();
    const result = this.#queue.shift();
    this.#fill();
    return result;
  }

  /** Begins nothing more; what is under way ends by itself. */
  close(): void {
    this.#ended = true;
    this.#queue.length = 0;
  }

  #fill(): void {
    while (!this.#ended && this.#running < this.#options.concurrency && this.#queue.length < this.#options.window) {
      const item = this.#items.next();
      if (item.done) {
        this.#ended = true;
        return;
      }
      this.#running++;
      const result = this.#work(item.value).finally(() => {
        this.#running--;
        this.#fill();
      });
      result.catch(() => {}); // reported where it is read, not as an unhandled rejection before
      this.#queue.push(result);
    }
  }
}

/** `work` on every item, up to `concurrency` at once; results in the items' order. `onDone` counts those that are read. */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<R>,
  onDone?: (done: number, total: number) => void,
): Promise<R[]> {
  const results: R[] = [];
  const prefetcher = new Prefetcher(items, { concurrency, window: 4 * concurrency }, work);
  while (results.length < items.length) {
    results.push((await prefetcher.next()) as R);
    onDone?.(results.length, items.length);
  }
  return results;
}
