import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { idle } from "../../src/node/index.ts";
import { testDevice } from "../support/device.ts";
import { double } from "./support/double.ts";

test("idling takes little of a core and lets the event loop run", async () => {
  let over = false;
  setTimeout(() => {
    over = true;
  }, 500);
  const before = process.cpuUsage();
  const start = performance.now();
  while (!over) await idle();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000 / wall).toBeLessThan(0.4);
});

/** Seconds of processor time that the main thread took; a software driver's own threads are not in it. */
function mainThreadSeconds(): number {
  const fields = readFileSync(`/proc/self/task/${process.pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const ticksPerSecond = 100;
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

test.runIf(process.platform === "linux")("waiting for the GPU leaves the main thread asleep", async () => {
  const device = await testDevice();
  const numbers = new Float32Array(64 * 1024).fill(1);
  let detours = 1024;
  for (;;) {
    const before = mainThreadSeconds();
    const start = performance.now();
    const doubled = await double(device, numbers, detours);
    const wall = (performance.now() - start) / 1000;
    const busy = mainThreadSeconds() - before;
    expect(doubled[0]).toBe(2);
    if (wall > 0.5) {
      expect(busy / wall).toBeLessThan(0.4);
      return;
    }
    detours *= 4;
  }
});
