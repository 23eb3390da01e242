/** A training step of every architecture, against the sum of its parts at the ceilings. */
import { archNames } from "../src/aenet/architecture.ts";
import { benchStep, type StepSummary } from "../src/aenet/bench/step.ts";
import { alignRight, percent } from "../src/aenet/cli/text.ts";
import { type Benchmark, withDevice } from "./harness.ts";
import { encodeTarget, pipelineTarget, stepTarget } from "./targets.ts";

const works = [
  ...archNames.map((arch) => ({ arch, batchSize: 4, imageSize: 64 })),
  { arch: "resnet50-aes", batchSize: 2, imageSize: 224 },
  { arch: "aenet", batchSize: 2, imageSize: 224 },
];

export const steps: Benchmark = {
  name: "steps",
  summary: "a training step of every architecture against its parts at the ceilings",
  async run(context) {
    const summaries: StepSummary[] = [];
    for (const work of works) {
      context.note(`${work.arch} ${work.batchSize}×${work.imageSize}²`);
      summaries.push((await withDevice(context, (device) => benchStep(device, work, { steps: 4 }))).summary);
    }
    context.print(stepTable(summaries));
    context.print(
      `targets: of ceilings ≥ ${percent(stepTarget.target)}, encode ≤ ${encodeTarget} ms, ` +
        `pipelines of aenet ≤ ${pipelineTarget}\n`,
    );
    return summaries;
  },
};

export function stepTable(summaries: readonly StepSummary[]): string {
  return alignRight([
    ["step", "images", "ms", "images/s", "GFLOP", "GB", "of ceilings", "encode ms", "dispatches", "pipelines", "MiB"],
    ...summaries.map((step) => [
      step.arch,
      `${step.batch_size}×${step.image_size}²`,
      step.ms_median.toFixed(1),
      step.images_per_s.toFixed(2),
      (step.operations / 1e9).toFixed(1),
      (step.bytes / 1e9).toFixed(2),
      percent(step.share_of_ceilings),
      step.ms_encode.toFixed(2),
      `${step.dispatches}`,
      `${step.pipelines}`,
      (step.gpu_bytes / 2 ** 20).toFixed(0),
    ]),
  ]);
}
