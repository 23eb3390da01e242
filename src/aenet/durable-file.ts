/** Files that are there whole or not at all, also after a power cut: written beside, flushed, renamed. Node only. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, link, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

/**
 * Writes a new file and flushes it to disk; what stood under the name is unlinked, never overwritten, because other names
 * may share its bytes. On an error nothing stays.
 *
 * @returns The content's SHA-256, hexadecimal.
 */
export async function writeFlushed(path: string, parts: Iterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  const hashed = function* () {
    for (const part of parts) {
      hash.update(part);
      yield part;
    }
  };
  await rm(path, { force: true });
  try {
    const handle = await open(path, "wx");
    try {
      await writeFile(handle, hashed());
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw naming(path, error);
  }
  return hash.digest("hex");
}

/** The error with the path in its message: "no space left on device, write" does not say of what. */
function naming(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error.message.includes(path)) return error;
  return new Error(`${path}: ${error.message}`, { cause: error });
}

/**
 * Makes a folder and those above it.
 * @throws Error that names the folder and why it cannot be made; Node itself says that it is not there, on a file system that
 *   can only be read.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    let missing = resolve(path);
    while (dirname(missing) !== missing && !existsSync(dirname(missing))) missing = dirname(missing);
    const reason = await mkdir(missing).then(
      () => error as Error,
      (cause: Error) => cause,
    );
    throw new Error(`${path}: cannot be made: ${reason.message}`, { cause: reason });
  }
}

/**
 * Replaces a file in one instant; makes its folder where there is none.
 *
 * @param temporary Where it is written first, in the same folder; of this process alone where others may write the file too.
 */
export async function replaceFile(
  path: string,
  content: string | Iterable<Uint8Array>,
  temporary: string = temporaryName(path),
): Promise<void> {
  await makeFolder(dirname(path));
  await writeFlushed(temporary, typeof content === "string" ? [Buffer.from(content)] : content);
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Replaces a file that any process may write: of two that do, the last one's content stays, whole. */
export function replaceSharedFile(path: string, content: string | Iterable<Uint8Array>): Promise<void> {
  return replaceFile(path, content, `${path}.${process.pid}.tmp`);
}

/** Gives a whole file a second name, replacing what stood there in one instant; a copy where links are not supported. */
export async function replaceByLink(source: string, path: string): Promise<void> {
  const temporary = temporaryName(path);
  await rm(temporary, { force: true });
  try {
    await link(source, temporary);
  } catch {
    await copyFile(source, temporary);
    const handle = await open(temporary, "r+");
    await handle.sync().finally(() => handle.close());
  }
  await rename(temporary, path);
  await rm(temporary, { force: true }); // renaming between two names of one file does nothing
}

/** The name under which a file is written before it is renamed; one writer a run folder, so it needs nothing random. */
export function temporaryName(path: string): string {
  return join(dirname(path), `${basename(path)}.tmp`);
}

/** Flushes a folder's entries, so that renames before it survive a power cut. Nothing where the system cannot. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"].includes(code)) throw error;
  }
}
