/** The experiment on generated scenes as it was last registered in docs/experiment.md. Pure. */
import type { Rates } from "../trainer.ts";

export interface GeneratedProtocol {
  /** Of everything random. */
  readonly seed: number;
  readonly imageSize: number;
  readonly depth: readonly number[];
  readonly baseChannels: number;
  readonly batchSize: number;
  /** Training scenes, and the epochs over them; the last is the primary cell's. */
  readonly sizes: readonly { readonly train: number; readonly epochs: number }[];
  readonly val: number;
  readonly test: number;
  /** Correlations of the two tasks; `primaryRho` is one of them. */
  readonly rhos: readonly number[];
  readonly primaryRho: number;
  /** Scenes, epochs over them and the rate; `layoutEpochs` where layouts are told apart, which all else goes on from. */
  readonly pretraining: {
    readonly train: number;
    readonly layoutEpochs: number;
    readonly epochs: number;
    readonly lr: number;
  };
  /** Pairs of the primary family, and seeds of everything else. */
  readonly seeds: number;
  readonly exploratorySeeds: number;
  /** Settings that are tried for every method, on `tuningSeeds` pilot seeds; the first is `firstTrial`. */
  readonly trials: number;
  readonly tuningSeeds: number;
  /** Pilot seeds after those, from whose differences follows what the design can detect. */
  readonly pilotSeeds: number;
  readonly firstTrial: Rates;
  /** The others are drawn from these, evenly in the logarithm. */
  readonly trialRanges: Readonly<Record<keyof Rates, readonly [number, number]>>;
  readonly alpha: number;
}

export const registeredProtocol: GeneratedProtocol = {
  seed: 2027,
  imageSize: 24,
  depth: [1, 1, 1, 1],
  baseChannels: 8,
  batchSize: 64,
  sizes: [
    { train: 640, epochs: 10 },
    { train: 2560, epochs: 5 },
  ],
  val: 500,
  test: 1000,
  rhos: [0, 0.5, 0.9],
  primaryRho: 0.5,
  pretraining: { train: 2560, layoutEpochs: 20, epochs: 5, lr: 0.02 },
  seeds: 16,
  exploratorySeeds: 4,
  trials: 4,
  tuningSeeds: 1,
  pilotSeeds: 3,
  firstTrial: { lr: 0.02, fusionLr: 0.05, lambda: 1 },
  trialRanges: { lr: [0.008, 0.05], fusionLr: [0.01, 0.25], lambda: [0.25, 2] },
  alpha: 0.05,
};

/** Controls that only the cells of `primaryRho` have, for want of time. */
export const primaryRhoOnly: readonly string[] = ["aenet-frozen-fusion", "ensemble"];

/** The primary family: who is compared with whom, on both tasks. */
export const primaryComparisons = [
  { method: "aenet", against: "aenet-fl" },
  { method: "aenet", against: "csnet-matched" },
] as const;
