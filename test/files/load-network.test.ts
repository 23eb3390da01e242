import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { loadNetwork } from "../../src/aenet/load-network.ts";
import { randomWeights, temporaryFolder } from "../support/checkpoint.ts";
import { archive, dict, tensor } from "./torch-writer.ts";

const folder = temporaryFolder();
const architecture = createArchitecture("aenet", EIGHT_EMOTIONS, { depth: [1, 1, 1, 1], baseChannels: 4 });

it("a torch file is a checkpoint, too: the network follows from names and shapes", async () => {
  const weights = [...randomWeights(architecture)];
  const members = weights.map(([name, { shape, data }], i): [string, string] => {
    const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
    return [name, tensor({ key: String(i), storage: data.length, shape: [...shape], strides })];
  });
  const entries = weights.map(([, { data }], i) => ({
    name: `a/data/${i}`,
    content: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
  const path = join(folder, "aenet.pth");
  writeFileSync(path, archive(dict(members), entries));
  const { info, tensors } = await loadNetwork(path);
  expect(info.architecture).toEqual(architecture);
  for (const [name, { shape, data }] of weights) {
    expect(tensors.get(name)!.shape).toEqual(shape);
    expect(tensors.get(name)!.data).toEqual(data);
  }
});

it("what is wrong with a file is told with its name", async () => {
  for (const [name, content, fault] of [
    ["a.pth", archive("N"), "pth: no tensors"],
    ["a.safetensors", new Uint8Array(3), "safetensors: truncated file"],
  ] as const) {
    writeFileSync(join(folder, name), content);
    await expect(loadNetwork(join(folder, name))).rejects.toThrow(`${join(folder, name)}: ${fault}`);
  }
});
