import type { Device } from "../../src/kernels/device.ts";
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";

let device: Promise<Device> | undefined;

/** The device of this test file (files run in processes of their own): AENET_ADAPTER's, or the first that opens. */
export function testDevice(): Promise<Device> {
  device ??= openDevice({ adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto") });
  return device;
}
