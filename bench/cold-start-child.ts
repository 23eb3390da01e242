/** A process of its own: its argument is the adapter. */
import { median } from "../src/aenet/bench/profile.ts";
import { StepRunner } from "../src/aenet/bench/step.ts";
import { openDevice, parseAdapterChoice } from "../src/node/index.ts";
import type { ColdStart } from "./cold-start.ts";

const device = await openDevice({ adapter: parseAdapterChoice(process.argv[2] ?? "auto"), robustness: false });
const runner = await StepRunner.create(device, { arch: "aenet", batchSize: 2, imageSize: 64 });
const { ms: first_ms } = await runner.run();
const later: number[] = [];
for (let i = 0; i < 3; i++) later.push((await runner.run()).ms);
const result: ColdStart = {
  pipelines: runner.pipelines,
  build_ms: runner.buildMs,
  first_ms,
  later_ms: median(later),
};
process.stdout.write(JSON.stringify(result));
runner.destroy();
device.destroy();
