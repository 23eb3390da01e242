/**
 * Trains in a process of its own and prints its memory, after collecting garbage, at every step around steps 50 and 300.
 * LEAK in the environment: bytes that every step keeps, to show that a leak is seen.
 */
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
const leak = Number(process.env.LEAK ?? 0);
const kept: Buffer[] = [];
await train(JSON.parse(config!) as TrainConfig, { path: path!, overwrite: true }, settings(), {
  onStep: ({ step }) => {
    if (leak > 0) kept.push(Buffer.alloc(leak, 1));
    // Before the first reading too, or V8's heap would be larger then than it ever is again.
    if (step % 10 === 0 || Math.abs(step - 50) <= 10 || Math.abs(step - 300) <= 10) collect();
    if (Math.abs(step - 50) > 10 && Math.abs(step - 300) > 10) return;
    const line = { step, resident: process.memoryUsage.rss(), gpu: device!.allocatedBytes };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  },
});
