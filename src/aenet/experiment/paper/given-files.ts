/**
 * The files that the paper's experiment is given: looked through before anything is kept or trained, and known from then on
 * by what they hold. Paths differ between machines, and another file may come to lie at the same one. Node only.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { type ArchName, createArchitecture, streamsOf } from "../../architecture.ts";
import { readClasses } from "../../checkpoint.ts";
import { EIGHT_EMOTIONS } from "../../data/classes.ts";
import { openDataSet } from "../../data/data-set.ts";
import { aestheticLabel } from "../../data/labels.ts";
import type { Sample } from "../../data/manifest.ts";
import { planInitialization } from "../../initialize.ts";
import { readWeights } from "../../load-network.ts";
import { createNetwork } from "../../model.ts";
import type { Contents } from "../keep-protocol.ts";
import type { PaperProtocol } from "./plan.ts";

export type GivenSet = "data" | "ava" | "fi" | "artphoto";

/** Manifests or packs; what each is used for has to be labelled in it. */
const sets: Readonly<Record<GivenSet, { flag: string; labels: readonly (keyof typeof hasLabel)[] }>> = {
  data: { flag: "--data", labels: ["aesthetics", "emotion"] },
  ava: { flag: "--ava", labels: ["aesthetics"] },
  fi: { flag: "--fi", labels: ["emotion"] },
  artphoto: { flag: "--artphoto", labels: ["emotion"] },
};

export type GivenWeights = "initS" | "initWrn";

/** Weights, and a network that starts from them. */
const weights: Readonly<Record<GivenWeights, { flag: string; arch: ArchName }>> = {
  initS: { flag: "--init-s", arch: "resnet50-aes" },
  initWrn: { flag: "--init-wrn", arch: "wrn-aes" },
};

/**
 * The SHA-256 of every file by its flag: a manifest's, which a pack of it shares, or that of a file of weights. Weights that
 * are not given are null, for that is a choice; a set that is not given may come later.
 * @throws Error naming the flag of what cannot be read, lacks the labels that it is for, or fits no network.
 */
export async function contentsOf(protocol: PaperProtocol): Promise<Contents> {
  const found: Record<string, string | null> = {};
  for (const [set, { flag, labels }] of Object.entries(sets) as [GivenSet, (typeof sets)["data"]][]) {
    const file = protocol[set];
    if (file === null) continue;
    found[flag] = await under(flag, async () => {
      const { samples, sha256 } = await manifestOf(file);
      for (const label of labels)
        if (!samples.some(hasLabel[label])) throw new Error(`${file}: no image has a label of ${label}`);
      return sha256;
    });
  }
  for (const [name, { flag, arch }] of Object.entries(weights) as [GivenWeights, (typeof weights)["initS"]][]) {
    const file = protocol[name];
    found[flag] = file === null ? null : await under(flag, () => checkWeights(file, arch, protocol));
  }
  return found;
}

/** A set's samples, as they were when the experiment began. @throws Error naming the flag where they have changed since. */
export async function samplesGiven(protocol: PaperProtocol, set: GivenSet, contents: Contents): Promise<Sample[]> {
  const { flag } = sets[set];
  const file = protocol[set]!;
  const { samples, sha256 } = await manifestOf(file);
  if (sha256 !== contents[flag]) throw changed(flag, file);
  return samples;
}

/** The absolute path of weights that are given, or null. @throws Error naming the flag where they have changed since. */
export async function weightsGiven(
  protocol: PaperProtocol,
  name: GivenWeights,
  contents: Contents,
): Promise<string | null> {
  const { flag } = weights[name];
  const file = protocol[name];
  if (file !== null && (await sha256Of(file)) !== contents[flag]) throw changed(flag, file);
  return file && resolve(file);
}

const hasLabel = {
  aesthetics: (sample: Sample) => aestheticLabel(sample) !== null,
  emotion: ({ emotion }: Sample) => emotion !== null && EIGHT_EMOTIONS.includes(emotion),
} as const;

async function manifestOf(file: string): Promise<{ samples: Sample[]; sha256: string }> {
  const dataSet = await openDataSet(file);
  await dataSet.close();
  return dataSet.manifest;
}

async function checkWeights(file: string, arch: ArchName, { train }: PaperProtocol): Promise<string> {
  const { depth, baseChannels } = train;
  const { parameters, architecture } = createNetwork(createArchitecture(arch, EIGHT_EMOTIONS, { depth, baseChannels }));
  const { metadata, tensors } = await readWeights(file);
  planInitialization({ tensors: parameters.fileShapes, streams: streamsOf(arch), classes: architecture.classes }, [
    { flag: "--init", path: file, tensors, classes: readClasses(file, metadata, tensors) },
  ]);
  return sha256Of(file);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** What goes wrong in `body` with the experiment's flag before it, in place of another command's. */
async function under<T>(flag: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw new Error(`${flag}: ${(error as Error).message.replace(/^--[a-z]+ /, "")}`, { cause: error });
  }
}

function changed(flag: string, file: string): Error {
  return new Error(`${flag} ${file}: no longer holds what this experiment began with`);
}
