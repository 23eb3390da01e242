import { tmpdir } from "node:os";
import { afterAll, expect, test } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { labelScenes, sceneSet } from "../../src/aenet/experiment/generated/scenes.ts";
import { lazyDevice } from "../../src/aenet/experiment/run.ts";
import { type TrainingJob, trainNetwork } from "../../src/aenet/experiment/trainer.ts";
import { settings } from "./tiny.ts";

const { device, close } = lazyDevice(settings(), tmpdir());
afterAll(close);

test("a network that is evaluated after every epoch has the weights of one that is not", async () => {
  const set = sceneSet(1, { train: 16, val: 8, test: 0 }, 16);
  const job: TrainingJob = {
    architecture: createArchitecture("aenet", EIGHT_EMOTIONS, { depth: [1, 1, 1, 1], baseChannels: 4 }),
    data: { samples: labelScenes(set, "both", 0.5, 16), source: set.images },
    rates: { lr: 0.01, fusionLr: 0.01, lambda: 1 },
    budget: { epochs: 2, batchSize: 8 },
    freeze: [],
    augment: true,
    seeds: { init: 1, order: 2 },
    start: [],
    watch: null,
  };
  const unwatched = await trainNetwork(await device(), job);
  const watched = await trainNetwork(await device(), { ...job, watch: "val" });
  expect(watched.weights).toEqual(unwatched.weights);
  expect(unwatched.epochs.map(({ watched }) => watched)).toEqual([null, null]);
  for (const { watched: found } of watched.epochs) {
    expect(found).toEqual({
      split: "val",
      loss: expect.any(Number),
      accAes: expect.any(Number),
      accEmo: expect.any(Number),
    });
  }
});
