/**
 * Opens adapters one after another (`open.ts swiftshader lavapipe`), computes on all, and prints as JSON what opened,
 * which Vulkan libraries the process holds, and whether the results were right. Destroys nothing: it must end well so.
 */
import { readFileSync } from "node:fs";
import { openDevice, parseAdapterChoice } from "../../../src/node/index.ts";
import { double } from "./double.ts";

const devices = [];
for (const choice of process.argv.slice(2)) devices.push(await openDevice({ adapter: parseAdapterChoice(choice) }));
globalThis.gc?.();
const opened = [];
for (const device of devices) {
  const doubled = await double(device, new Float32Array(64).fill(21));
  opened.push({ kind: device.platform.kind, right: doubled.every((y) => y === 42) });
}
const mapped = readFileSync("/proc/self/maps", "utf8").matchAll(/\/\S*(?:dawn\.node|vulkan|vk_swiftshader)\S*/g);
const libraries = [...new Set(Array.from(mapped, ([path]) => path))];
console.log(JSON.stringify({ opened, libraries, runtimeDir: process.env.XDG_RUNTIME_DIR }));
