/** Progress on standard error: a line that is rewritten where somebody watches, else a plain line now and then. */
import type { Terminal } from "./terminal.ts";

const redrawMs = 100;
const plainMs = 10_000;

export class Progress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #last: number;
  #drawn = false;

  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
    this.#last = terminal.interactive ? Number.NEGATIVE_INFINITY : now();
  }

  /** Shows how far things are, unless that was shown a moment ago; what changes too often is not even made. */
  update(line: () => string): void {
    const now = this.#now();
    const { interactive, columns } = this.#terminal;
    if (now - this.#last < (interactive ? redrawMs : plainMs)) return;
    this.#last = now;
    this.#terminal.err(interactive ? `\r\x1b[2K${line().slice(0, columns - 1)}` : `${line()}\n`);
    this.#drawn = interactive;
  }

  /** A line that stays. */
  note(line: string): void {
    this.clear();
    this.#terminal.err(`${line}\n`);
  }

  /** Removes the rewritten line. */
  clear(): void {
    if (this.#drawn) this.#terminal.err("\r\x1b[2K");
    this.#drawn = false;
  }
}

/** Tells how far a known amount of work is, with the time left: `evaluated 128/400, 0:12 left`. */
export function counter(progress: Progress, verb: string, left: TimeLeft = new TimeLeft()) {
  return (done: number, total: number): void => {
    const time = left.update(done, total);
    progress.update(() => `${verb} ${done}/${total}${time === null ? "" : `, ${formatSeconds(time)} left`}`);
  };
}

/** The seconds left at the mean pace since the first report, which does not count: compiling comes before it. */
export class TimeLeft {
  readonly #now: () => number;
  #first: { done: number; at: number } | null = null;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  update(done: number, total: number): number | null {
    const at = this.#now();
    this.#first ??= { done, at };
    const since = done - this.#first.done;
    return since > 0 ? (((at - this.#first.at) / since) * Math.max(0, total - done)) / 1000 : null;
  }
}

/** 75 as 1:15, 3675 as 1:01:15. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}
