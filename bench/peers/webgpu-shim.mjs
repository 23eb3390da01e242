/** WebGPU in Node as libraries for browsers look for it: navigator.gpu and the global constants. */
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
const navigator = {
  gpu: create([]),
  userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  platform: "Linux",
  language: "en",
  hardwareConcurrency: 2,
};
Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
