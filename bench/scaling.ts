/** Time and memory of AENet's training step as batch and images grow. */
import { benchStep, type StepSummary } from "../src/aenet/bench/step.ts";
import { type Benchmark, withDevice } from "./harness.ts";
import { stepTable } from "./steps.ts";

const works = [
  ...[1, 2, 4, 8].map((batchSize) => ({ batchSize, imageSize: 64 })),
  { batchSize: 8, imageSize: 64, microBatch: 2 },
  ...[32, 128, 224].map((imageSize) => ({ batchSize: 2, imageSize })),
];

export const scaling: Benchmark = {
  name: "scaling",
  summary: "AENet's training step: time and memory by batch and image size",
  async run(context) {
    const summaries: StepSummary[] = [];
    for (const size of works) {
      context.note(`aenet ${size.batchSize}×${size.imageSize}²`);
      const work = { arch: "aenet", ...size };
      summaries.push((await withDevice(context, (device) => benchStep(device, work, { steps: 3 }))).summary);
    }
    context.print(stepTable(summaries));
    context.print("the second row of 8×64² computes two samples at a time (--micro-batch 2)\n");
    return summaries;
  },
};
