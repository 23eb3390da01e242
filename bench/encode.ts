/** JavaScript's time to encode and submit a step: it depends on the number of dispatches, not on their sizes. */
import { median } from "../src/aenet/bench/profile.ts";
import { StepRunner } from "../src/aenet/bench/step.ts";
import { alignRight } from "../src/aenet/cli/text.ts";
import { type Benchmark, withDevice } from "./harness.ts";
import { encodeTarget } from "./targets.ts";

const works = ["resnet50-aes", "aenet"].map((arch) => ({ arch, batchSize: 2, imageSize: 32 }));
const repeats = 15;

export const encode: Benchmark = {
  name: "encode",
  summary: "JavaScript's time to encode and submit a training step",
  async run(context) {
    const results: { arch: string; dispatches: number; ms: number; ms_min: number; ms_max: number }[] = [];
    for (const work of works) {
      await withDevice(context, async (device) => {
        const runner = await StepRunner.create(device, work);
        const dispatches = await runner.profile();
        for (let i = 0; i < 2; i++) await runner.run();
        const times: number[] = [];
        for (let i = 0; i < repeats; i++) times.push((await runner.run()).encodeMs);
        const [least, most] = [Math.min(...times), Math.max(...times)];
        const result = { dispatches: dispatches.length, ms: median(times), ms_min: least, ms_max: most };
        results.push({ arch: work.arch, ...result });
        runner.destroy();
      });
    }
    context.print(
      alignRight([
        ["step", "dispatches", "median ms", "least", "most", "µs a dispatch", "target"],
        ...results.map(({ arch, dispatches, ms, ms_min, ms_max }) => [
          arch,
          `${dispatches}`,
          ...[ms, ms_min, ms_max, (1000 * ms) / dispatches].map((value) => value.toFixed(2)),
          `≤ ${encodeTarget} ms`,
        ]),
      ]),
    );
    return results;
  },
};
