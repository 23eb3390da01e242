import { afterAll, describe, expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork, type Network } from "../../src/aenet/model.ts";
import { type StepLosses, type StepOptions, TrainingStep } from "../../src/aenet/training/step.ts";
import { testDevice } from "../support/device.ts";
import { classes, differing, noiseBatch, stepOptions, tinyNetwork } from "./tiny.ts";

describe("a reduced AENet", () => {
  it("overfits one batch with both labels: L_a and L_e below 0.01 within 300 steps", async () => {
    const network = createNetwork(createArchitecture("aenet", classes, { depth: [1, 1, 1, 1], baseChannels: 8 }));
    const batch = noiseBatch(16, 0, { complete: true });
    const step = await start(network, stepOptions(16));
    const losses: StepLosses[] = [];
    const isFitted = ({ aes, emo }: StepLosses) => aes! < 0.01 && emo! < 0.01;
    while (losses.length < 300 && !losses.some(isFitted)) {
      losses.push(await step.submit(batch, { base: 0.02, fusion: 0.02 }));
    }
    expect(losses[0]!.aes).toBeGreaterThan(0.3);
    expect(losses[0]!.emo).toBeGreaterThan(0.8);
    expect(losses.at(-1)).toSatisfy(isFitted);
    expect(losses.at(-1)!.loss).toBeCloseTo(losses.at(-1)!.aes! + 0.25 * losses.at(-1)!.emo!, 6);
    // The fusion weights have learnt, too.
    const values = await network.parameters.read();
    for (const point of [0, 1, 2, 3, 4]) {
      expect(values.get(`fusion.${point}.alpha_p`)!.data[0], `${point}`).not.toBe(Math.fround(0.9));
      expect(values.get(`fusion.${point}.beta_s`)!.data[0], `${point}`).not.toBe(Math.fround(0.1));
    }
  });
});

describe("the memory plan", () => {
  /** Three steps from one start; what has been seen and learnt, to the bit. */
  async function threeSteps(options: Partial<StepOptions>) {
    const network = tinyNetwork();
    const step = await start(network, stepOptions(6, options));
    const losses: StepLosses[] = [];
    for (let i = 0; i < 3; i++) losses.push(await step.submit(noiseBatch(6, i), { base: 0.02, fusion: 0.02 }));
    const { parameters } = network;
    return { losses, values: await parameters.read(), momenta: await parameters.read("momenta"), bytes: step.bytes };
  }

  it.each([6, 2])("changes no bit, nor does what lay in memory before (micro-batches of %i)", async (microBatch) => {
    const shared = await threeSteps({ microBatch });
    expect(shared.losses.every(({ nonFinite }) => nonFinite === 0)).toBe(true);
    for (const reuse of [false, true]) {
      const poisoned = await threeSteps({ microBatch, memory: { reuse, poison: true } });
      expect(poisoned.losses).toEqual(shared.losses);
      expect(differing(poisoned.values, shared.values)).toEqual([]);
      expect(differing(poisoned.momenta, shared.momenta)).toEqual([]);
      if (reuse) expect(poisoned.bytes).toBe(shared.bytes);
      else expect(poisoned.bytes).toBeGreaterThan(1.5 * shared.bytes);
    }
  });
});

const ended: (() => void)[] = [];
afterAll(() => {
  for (const end of ended) end();
});

async function start(network: Network, options: StepOptions): Promise<TrainingStep> {
  const step = await TrainingStep.create(await testDevice(), network, options);
  network.parameters.write(network.parameters.initialValues(0));
  ended.push(() => {
    step.destroy();
    network.parameters.destroy();
  });
  return step;
}
