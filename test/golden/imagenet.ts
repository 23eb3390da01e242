/** torchvision's pretrained weights, through our own initialisation, on a photograph: the output of layer2. */
import { readFileSync } from "node:fs";
import { type ArchName, createArchitecture, streamsOf } from "../../src/aenet/architecture.ts";
import { decodeImage } from "../../src/aenet/data/decode.ts";
import { loadedValues, planInitialization } from "../../src/aenet/initialize.ts";
import { AENet, createNetwork, SingleStream } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { preprocess, Tape } from "../../src/autograd/index.ts";
import type { Device } from "../../src/kernels/device.ts";
import { parseSafetensors, type TensorData } from "../../src/nn/index.ts";
import { type Fixture, readFixture, sharedFolder } from "./fixture.ts";
import type { Run } from "./runs.ts";

interface Settings {
  readonly photograph: string;
  readonly weights: string;
  /** Of the decoded photograph, before the crop. */
  readonly sha256: string;
  readonly side: number;
  /** x, y, flip. */
  readonly crop: number[];
  readonly size: number;
}

export const fixture: Fixture<Settings> = readFixture("imagenet");
const { photograph, weights, side, crop, size } = fixture.settings;

export function decodePhotograph(): Promise<Uint8Array> {
  return decodeImage(`${sharedFolder}/data/oasis/${photograph}`, { imageSize: side, resize: "none" });
}

export function readWeights(): Map<string, TensorData> {
  return new Map(parseSafetensors(readFileSync(`${sharedFolder}/weights/${weights}`)).tensors);
}

/** layer2's output in each stream of a network that starts from `file`. @throws Error where not all of it is loaded. */
export async function layer2(
  device: Device,
  arch: ArchName,
  pixels: Uint8Array,
  file: ReadonlyMap<string, TensorData>,
): Promise<Float32Array[]> {
  const streams = streamsOf(arch);
  const network = createNetwork(createArchitecture(arch, ["a", "b"]));
  if (!(network instanceof AENet || network instanceof SingleStream)) throw new Error(`${arch}: has another trunk`);
  const { parameters, resnet } = network;
  const target = { tensors: parameters.fileShapes, streams, classes: ["a", "b"] };
  const { loads } = planInitialization(target, [{ flag: "--init", path: weights, tensors: file, classes: [] }]);
  if (loads.size !== streams.length * file.size) throw new Error(`${arch}: ${loads.size} tensors of ${file.size} each`);
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
    const length = values.length / streams.length;
    return streams.map((_, g) => values.subarray(g * length, (g + 1) * length));
  } finally {
    program.destroy();
    parameters.destroy();
  }
}

/** For the table of errors; only where the shared test data is. */
export const imagenetRuns: readonly Run[] = sharedFolder
  ? [
      {
        name: "imagenet",
        fixture,
        results: async (device) => {
          const [y] = await layer2(device, "resnet50-emo", await decodePhotograph(), readWeights());
          return new Map([["layer2", y!]]);
        },
      },
    ]
  : [];
