/** One process a run folder, or a file that grows: a lock file that names its holder, and is taken over when that is dead. Node only. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";

interface Holder {
  pid: number;
  host: string;
  /** When the process began, in clock ticks since boot, so that a reused pid is not taken for it; null off Linux. */
  start: string | null;
}

/** A living process holds the lock. */
export class LockedError extends Error {
  override name = "LockedError";
}

/**
 * Makes the lock file `path`; call the result to give it up.
 *
 * @throws LockedError naming the process that holds it. A holder on another machine cannot be checked and counts as alive.
 */
export function acquireLock(path: string): () => void {
  const mine: Holder = { pid: process.pid, host: hostname(), start: startOf(process.pid) };
  const text = `${JSON.stringify(mine)}\n`;
  for (let attempt = 0; attempt < 10; attempt++) {
    if (createWhole(path, text)) return () => release(path, text);
    const found = readIfThere(path);
    if (found === null) continue; // given up in the meantime
    const holder = parseHolder(found);
    if (holder && isAlive(holder)) throw new LockedError(heldBy(holder, path));
    removeStale(path, found);
  }
  throw new LockedError(`${path}: other processes keep taking this lock`);
}

/** Makes the file with its content in one instant; false where the name is taken. */
function createWhole(path: string, text: string): boolean {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text);
    try {
      linkSync(temporary, path);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      writeFileSync(path, text, { flag: "wx" }); // a file system without links
    }
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Removes the lock of a dead process, unless another process has replaced it since it was read. */
function removeStale(path: string, found: string): void {
  const aside = `${path}.${process.pid}.stale.tmp`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const moved = readIfThere(aside);
  if (moved !== null && moved !== found) createWhole(path, moved);
  rmSync(aside, { force: true });
}

function release(path: string, text: string): void {
  if (readIfThere(path) === text) rmSync(path, { force: true });
}

function parseHolder(text: string): Holder | null {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    if (typeof value?.pid !== "number" || typeof value.host !== "string") return null;
    return { pid: value.pid, host: value.host, start: value.start ?? null };
  } catch {
    return null;
  }
}

function isAlive({ pid, host, start }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
  }
  return start === null || process.platform !== "linux" || startOf(pid) === start;
}

/** Field 22 of /proc/PID/stat; null for a process that is gone or only waits to be reaped, and where there is no /proc. */
function startOf(pid: number): string | null {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field, the command in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
}

function heldBy({ pid, host }: Holder, path: string): string {
  return host === hostname()
    ? `${path}: process ${pid} is writing to this run folder`
    : `${path}: process ${pid} on ${host} may be writing to this run folder; if it is not, delete this file`;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ESRCH") return null;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
