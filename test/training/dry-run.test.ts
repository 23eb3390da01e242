/** `train --dry-run` counts what a run allocates. */
import { expect, it } from "vitest";
import { formatDryRun } from "../../src/aenet/cli/commands/train.ts";
import { Inference } from "../../src/aenet/inference.ts";
import { setUp } from "../../src/aenet/training/setup.ts";
import { TrainingStep } from "../../src/aenet/training/step.ts";
import { dryRun } from "../../src/aenet/training/train.ts";
import { testDevice } from "../support/device.ts";
import { temporaryFolder, tinyConfig, writeDataSet } from "./runs.ts";
import { settings } from "./settings.ts";

/** Parameters of the dispatches, staging buffers and status: small, and the same whatever the images' size. */
const overhead = 2 ** 20;

it.each([
  [11, 64, 4, [8, 4]], // not eleven of one
  [11, 64, 32, [11, 11]],
  [11, 64, null, [11, 11]],
  [11, 8, 2, [8, 2]],
  [10, 64, 4, [10, 2]],
])(
  "%i samples in batches of %i and micro-batches of %s are steps of %j",
  async (train, batchSize, microBatch, step) => {
    const data = await writeDataSet(temporaryFolder(), { train }, { sound: true });
    const setup = await setUp(tinyConfig(data, { batchSize, microBatch }), undefined);
    await setup.close();
    expect([setup.step.batchSize, setup.step.microBatch]).toEqual(step);
  },
);

it("the memory of validation is planned where there is a validation split", async () => {
  const [without, beside] = [temporaryFolder(), temporaryFolder()];
  const more = { imageSize: 128 };
  const plain = tinyConfig(await writeDataSet(without, { train: 8 }, { sound: true }), more);
  const config = tinyConfig(await writeDataSet(beside, { train: 8, val: 3 }, { sound: true }), more);
  const [small, large] = [await dryRun(plain, settings()), await dryRun(config, settings())];
  expect(small.memory.validation).toBe(0);
  expect(large.memory.validation).toBeGreaterThan(overhead);
  expect(large.memory).toEqual({
    ...small.memory,
    validation: large.memory.validation,
    total: small.memory.total + large.memory.validation,
  });
  expect(formatDryRun(large)).toMatch(/^ {2}validation /m);
  expect(formatDryRun(small)).not.toContain("validation");

  // What a run allocates, the way train does it.
  const device = await testDevice();
  const setup = await setUp(config, undefined);
  await setup.close();
  const { microBatch: batchSize, decodedSize, preprocessing } = setup.step;
  const before = device.allocatedBytes;
  const step = await TrainingStep.create(device, setup.network, setup.step);
  const trained = device.allocatedBytes;
  const inference = await Inference.create(device, setup.network, { batchSize, decodedSize, preprocessing });
  const evaluated = device.allocatedBytes;
  expect(Math.abs(evaluated - trained - large.memory.validation)).toBeLessThan(overhead);
  expect(Math.abs(evaluated - before - large.memory.total)).toBeLessThan(2 * overhead);
  inference.destroy();
  step.destroy();
  setup.network.parameters.destroy();
});
