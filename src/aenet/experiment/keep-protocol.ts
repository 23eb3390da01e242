/** `protocol.json`: what decides what an experiment computes, the same whenever its folder is gone on with. Node only. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceSharedFile } from "../durable-file.ts";

/** SHA-256 of what files hold, by the flags that name them; null for a file that is deliberately none. */
export type Contents = Readonly<Record<string, string | null>>;

const protocolName = "protocol.json";

/**
 * Keeps the settings and the contents of files beside them. Files that are not there yet are added, as a later command may
 * need more of them; whatever is there has to be the same.
 * @throws Error naming --out where settings differ, and the flag of a file that holds something else.
 */
export async function keepProtocol(out: string, settings: object, contents: Contents = {}): Promise<void> {
  const file = join(out, protocolName);
  const kept: { contents?: Contents } | null = existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : null;
  const { contents: before = {}, ...settingsBefore } = kept ?? {};
  if (kept !== null && format(settingsBefore) !== format(settings))
    throw new Error(`--out ${out}: holds an experiment of other settings; its ${protocolName} tells them`);
  for (const [flag, sha256] of Object.entries(contents))
    if (flag in before && before[flag] !== sha256)
      throw new Error(`${flag}: ${difference(out, before[flag]!, sha256)}`);
  const isKnown = kept !== null && Object.keys(contents).every((flag) => flag in before);
  if (isKnown) return;
  const all = { ...before, ...contents };
  await replaceSharedFile(file, format(Object.keys(all).length === 0 ? settings : { ...settings, contents: all }));
}

function format(protocol: object): string {
  return `${JSON.stringify(protocol, null, 2)}\n`;
}

function difference(out: string, before: string | null, now: string | null): string {
  if (now === null) return `is missing; the experiment in ${out} began with it`;
  if (before === null) return `may not be given; the experiment in ${out} began without it`;
  const [is, was] = [now, before].map((sha256) => sha256.slice(0, 12));
  return `holds something else than what the experiment in ${out} began with: its SHA-256 begins ${is}, not ${was}`;
}
