/** A training step of every architecture, against the sum of its parts at the ceilings. */
import { archNames } from "../src/aenet/architecture.ts";
import { benchStep, type StepSummary, type StepWork } from "../src/aenet/bench/step.ts";
import { alignRight, percent } from "../src/aenet/cli/text.ts";
import { type Benchmark, withDevice } from "./harness.ts";
import { encodeTarget, pipelineTarget, stepTarget } from "./targets.ts";

const works: readonly StepWork[] = [
  ...archNames.map((arch) => ({ arch, batchSize: 4, imageSize: 64 })),
  { arch: "resnet50-aes", batchSize: 2, imageSize: 224 },
  { arch: "aenet", batchSize: 2, imageSize: 224 },
];

/** What is held against PyTorch there (bench/peers/tasks.ts). */
const gpuWorks: readonly StepWork[] = ["resnet50-emo", "aenet"].flatMap((arch) =>
  (["f32", "f16"] as const).map((precision) => ({ arch, batchSize: 64, imageSize: 224, precision })),
);

export const steps: Benchmark = {
  name: "steps",
  summary: "a training step of every architecture against its parts at the ceilings",
  async run(context) {
    const summaries: StepSummary[] = [];
    const isGpu = await withDevice(context, async ({ platform }) => platform.kind === "gpu");
    for (const work of isGpu ? [...works, ...gpuWorks] : works) {
      const { arch, batchSize, imageSize, precision = "f32" } = work;
      context.note(`${arch} ${batchSize}×${imageSize}², ${precision}`);
      try {
        summaries.push((await withDevice(context, (device) => benchStep(device, work, { steps: 4 }))).summary);
      } catch (error) {
        if (!gpuWorks.includes(work)) throw error;
        // A card without the memory for it, or without f16, still measures the rest.
        context.print(`${arch} ${batchSize}×${imageSize}², ${precision}: left out: ${(error as Error).message}\n`);
      }
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
      `${step.batch_size}×${step.image_size}²${step.precision === "f16" ? " f16" : ""}`,
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
