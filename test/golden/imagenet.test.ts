/** torchvision's pretrained weights, through our own initialisation, on a photograph. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type ArchName, createArchitecture, streamsOf } from "../../src/aenet/architecture.ts";
import { decodeImage } from "../../src/aenet/data/decode.ts";
import { loadedValues, planInitialization } from "../../src/aenet/initialize.ts";
import { AENet, createNetwork, SingleStream } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { preprocess, Tape } from "../../src/autograd/index.ts";
import { parseSafetensors, type TensorData } from "../../src/nn/index.ts";
import { testDevice } from "../support/device.ts";
import { disagreements, type Fixture, readFixture, sharedFolder } from "./fixture.ts";

interface Settings {
  photograph: string;
  weights: string;
  /** Of the decoded photograph, before the crop. */
  sha256: string;
  side: number;
  /** x, y, flip. */
  crop: number[];
  size: number;
}

const fixture: Fixture<Settings> = readFixture("imagenet");
const { photograph, weights, sha256, side, crop, size } = fixture.settings;
const expected = fixture.references.get("layer2")!;

/** layer2's output of every stream. */
async function layer2(arch: ArchName, pixels: Uint8Array, file: ReadonlyMap<string, TensorData>) {
  const network = createNetwork(createArchitecture(arch, ["a", "b"]));
  if (!(network instanceof AENet || network instanceof SingleStream)) throw new Error(`${arch} has no trunk`);
  const { parameters, resnet } = network;
  const device = await testDevice();
  const target = { tensors: parameters.fileShapes, streams: streamsOf(arch), classes: ["a", "b"] };
  const { loads, report } = planInitialization(target, [{ flag: "--init", path: weights, tensors: file, classes: [] }]);
  expect(report.loaded.length).toBe(streamsOf(arch).length * file.size);
  const tape = new Tape(device, { training: false });
  const images = tape.input("images", [1, side, side, 3], { dtype: "u8" });
  const crops = tape.input("crops", [1, 3], { dtype: "i32" });
  const image = preprocess(images, crops, { ...defaultPreprocessing, size });
  const y = resnet.layer(2, resnet.layer(1, resnet.stem(image)));
  await parameters.allocate(device, { training: false });
  const program = await tape.compile([y]);
  try {
    const loaded = [...loads].map(([name, load]): [string, TensorData] => {
      const shape = parameters.fileShapes.get(name)!;
      return [name, { shape, data: loadedValues(load, new Float32Array()) }];
    });
    parameters.write(new Map(loaded));
    program.write(images, pixels);
    program.write(crops, crop);
    program.run();
    const values = await program.read(y);
    const length = values.length / streamsOf(arch).length;
    return streamsOf(arch).map((_, g) => values.subarray(g * length, (g + 1) * length));
  } finally {
    program.destroy();
    parameters.destroy();
  }
}

describe.skipIf(!sharedFolder)("torchvision's ImageNet weights on a photograph", () => {
  const decode = () => decodeImage(`${sharedFolder}/data/oasis/${photograph}`, { imageSize: side, resize: "none" });
  const read = () => parseSafetensors(readFileSync(`${sharedFolder}/weights/${weights}`)).tensors;

  it("start from the pixels that torchvision was given", async () => {
    expect(
      createHash("sha256")
        .update(await decode())
        .digest("hex"),
    ).toBe(sha256);
  });

  it.each(["resnet50-emo", "aenet-fl"] as const)("give torchvision's layer2 in every stream of %s", async (arch) => {
    const streams = await layer2(arch, await decode(), read());
    for (const values of streams) expect(disagreements(fixture, new Map([["layer2", values]]))).toEqual([]);
    expect(streams[0]!.length).toBe(expected.data.length);
  });

  it("do not, if a single weight of layer2 is another", async () => {
    const file = new Map<string, TensorData>(read());
    const { shape, data } = file.get("layer2.3.bn3.weight")!;
    const spoilt = data.slice();
    spoilt[17]! *= 1.01;
    file.set("layer2.3.bn3.weight", { shape, data: spoilt });
    const [values] = await layer2("resnet50-emo", await decode(), file);
    expect(disagreements(fixture, new Map([["layer2", values!]]))).toHaveLength(1);
  });
});
