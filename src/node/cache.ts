/**
 * A folder of unpacked files that outlives the process and is shared by all of them.
 */

import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { isAbsolute, join } from "node:path";

/** Libraries are loaded from here, so a folder that another user owns or may write is refused. */
function usable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    const user = process.getuid?.();
    return user === undefined || (uid === user && (mode & 0o022) === 0);
  } catch {
    return false;
  }
}

/** `$XDG_CACHE_HOME/aenet-webgpu`, else `~/.cache/aenet-webgpu`, else a folder of this user's in the temporary one. */
export function cacheFolder(): string {
  const xdg = process.env.XDG_CACHE_HOME;
  const candidates = [
    join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), ".cache"), "aenet-webgpu"),
    join(tmpdir(), `aenet-webgpu-${userInfo().uid}`),
  ];
  const folder = candidates.find(usable);
  if (!folder) throw new Error(`no cache folder can be written: tried ${candidates.join(" and ")}`);
  return folder;
}

/**
 * The folder `name` of the cache, holding `files`; where any is missing, `fill` makes them in a temporary folder that
 * is then renamed, so that processes starting together, or killed half-way, never see a part of it. `name` must change
 * with the contents.
 */
export function cached(name: string, files: readonly string[], fill: (folder: string) => void): string {
  const root = cacheFolder();
  const folder = join(root, name);
  const complete = () => files.every((file) => existsSync(join(folder, file)));
  if (complete()) return folder;
  const temporary = mkdtempSync(join(root, `${name}.`));
  try {
    fill(temporary);
    // What is left of a folder that a cleaner of temporary files has been through would stop the rename.
    if (existsSync(folder) && !complete()) rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } catch (error) {
    if (!complete()) throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return folder;
}
