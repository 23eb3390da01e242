/** Trains 300 steps in a process of its own and prints its memory at steps 50 and 300, after collecting garbage. */
import type { TrainConfig } from "../../src/aenet/training/config.ts";
import { train } from "../../src/aenet/training/train.ts";
import { Device } from "../../src/kernels/device.ts";
import { settings } from "./settings.ts";

const [path, config] = process.argv.slice(2);
let device: Device | undefined;
const request = Device.request;
Device.request = async (...parameters) => {
  device = await request.call(Device, ...parameters);
  return device;
};
const collect = globalThis.gc!;
await train(JSON.parse(config!) as TrainConfig, { path: path!, overwrite: true }, settings(), {
  onStep: ({ step }) => {
    if (step !== 50 && step !== 300) return;
    for (let i = 0; i < 3; i++) collect();
    const line = { step, resident: process.memoryUsage.rss(), gpu: device!.allocatedBytes };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  },
});
