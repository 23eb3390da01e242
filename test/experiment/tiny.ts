/** The experiment on generated scenes, as small as it can be. */
import type { GeneratedProtocol } from "../../src/aenet/experiment/generated/protocol.ts";
import { registeredProtocol } from "../../src/aenet/experiment/generated/protocol.ts";
import type { RunSettings } from "../../src/aenet/experiment/run.ts";
import { parseAdapterChoice } from "../../src/node/index.ts";

export const tinyProtocol: GeneratedProtocol = {
  ...registeredProtocol,
  imageSize: 16,
  baseChannels: 4,
  batchSize: 8,
  sizes: [{ train: 16, epochs: 1 }],
  val: 8,
  test: 12,
  rhos: [0.5],
  pretraining: { ...registeredProtocol.pretraining, train: 16, layoutEpochs: 2, epochs: 1 },
  seeds: 2,
  exploratorySeeds: 1,
  trials: 2,
  pilotSeeds: 2,
};

export function settings(signal: AbortSignal = new AbortController().signal): RunSettings {
  return { adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto"), jobs: 1, shard: null, signal };
}
