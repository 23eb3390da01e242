/**
 * `last.safetensors` and `last.state.safetensors`: two files that mean something only together, replaced so that a
 * process killed at any instant leaves a pair that matches. Node only.
 *
 * The state holds its weights' SHA-256. A commit does, in this order:
 *
 *   1. write `last.safetensors.next`, flush;
 *   2. write `last.state.safetensors.next`, flush, flush the folder: the new pair is whole;
 *   3. give the new weights' file the names of the bests that it is;
 *   4. rename `last.safetensors.next` to `last.safetensors`;
 *   5. rename `last.state.safetensors.next` to `last.state.safetensors`.
 *
 * Until 4 the former pair stands untouched under its own names. Between 4 and 5 the new weights match the state that is
 * still called `.next`. So `last.safetensors` is always there, and loading takes the state under the proper name if it
 * matches the weights, else the one called `.next`. Bests are replaced before the commit counts: a run killed between 3
 * and 4 resumes from the former pair, comes to the same evaluation again and replaces them with the same bytes.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseSafetensors, type SafetensorsFile } from "../../nn/safetensors.ts";
import { replaceByLink, syncFolder, writeFlushed } from "../durable-file.ts";
import { type BestName, bestNames } from "./schedule.ts";
import { parseState, type StateLink, type TrainingState } from "./state.ts";

const weightsName = "last.safetensors";
const stateName = "last.state.safetensors";
const next = ".next";

/** Every name that a commit uses, besides the bests'. */
export const pairNames: readonly string[] = [weightsName, stateName, weightsName + next, stateName + next];

export interface LoadedPair {
  readonly weights: SafetensorsFile;
  readonly state: TrainingState & StateLink;
}

/**
 * Replaces the pair in `folder`. One commit at a time.
 *
 * @param weights The new weights file in pieces.
 * @param makeState The state file in pieces, given the weights' SHA-256.
 * @param bests Names that the new weights also get.
 */
export async function commitPair(
  folder: string,
  weights: Iterable<Uint8Array>,
  makeState: (weightsSha256: string) => Iterable<Uint8Array>,
  bests: readonly BestName[] = [],
): Promise<void> {
  const weightsPath = join(folder, weightsName);
  const statePath = join(folder, stateName);
  const weightsSha256 = await writeFlushed(weightsPath + next, weights);
  await writeFlushed(statePath + next, makeState(weightsSha256));
  await syncFolder(folder);
  for (const best of bests) await replaceByLink(weightsPath + next, join(folder, `${best}.safetensors`));
  if (bests.length > 0) await syncFolder(folder);
  await rename(weightsPath + next, weightsPath);
  await syncFolder(folder);
  await rename(statePath + next, statePath);
  await syncFolder(folder);
}

/**
 * The newest pair in `folder` that matches, after finishing or undoing a commit that was cut off; null where none was
 * ever completed.
 *
 * @throws Error where there are weights, but no state that belongs to them, or only bests, or a file is damaged.
 */
export async function loadPair(folder: string): Promise<LoadedPair | null> {
  const weightsPath = join(folder, weightsName);
  const statePath = join(folder, stateName);
  const weights = await readIfThere(weightsPath);
  if (!weights) {
    if (await readIfThere(statePath)) throw new Error(`${statePath}: its weights, ${weightsName}, are gone`);
    // A first commit that was cut off may have left bests, but then its weights are still called `.next`.
    const best = bestNames.map((name) => `${name}.safetensors`).find((name) => existsSync(join(folder, name)));
    if (best !== undefined && !existsSync(weightsPath + next)) {
      throw new Error(`${folder}: holds ${best}, but ${weightsName} and ${stateName}, to go on from, are gone`);
    }
    return null;
  }
  const sha256 = createHash("sha256").update(weights).digest("hex");
  const problems: string[] = [];
  for (const path of [statePath, statePath + next]) {
    const state = await readState(path, sha256, problems);
    if (!state) continue;
    if (path !== statePath) await rename(path, statePath);
    for (const leftover of [weightsPath + next, statePath + next]) await rm(leftover, { force: true });
    await syncFolder(folder);
    return { weights: parseFile(weightsPath, weights), state };
  }
  throw new Error(
    `${weightsPath}: no state belongs to these weights: ${problems.join("; ") || `${stateName} is gone`}`,
  );
}

/** The state in a file if it belongs to the weights; else null, and the reason among the problems. */
async function readState(path: string, weightsSha256: string, problems: string[]): Promise<LoadedPair["state"] | null> {
  const bytes = await readIfThere(path);
  if (!bytes) return null;
  try {
    const state = parseState(path, parseFile(path, bytes));
    if (state.weightsSha256 === weightsSha256) return state;
    problems.push(`${path} is of other weights (SHA-256 ${state.weightsSha256}, not ${weightsSha256})`);
  } catch (error) {
    problems.push((error as Error).message);
  }
  return null;
}

function parseFile(path: string, bytes: Uint8Array): SafetensorsFile {
  try {
    return parseSafetensors(bytes);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
