import { describe, expect, it } from "vitest";
import {
  type Architecture,
  type ArchitectureOptions,
  archNames,
  createArchitecture,
  parseIntegerList,
} from "../../src/aenet/architecture.ts";
import { checkpointMetadata, describeCheckpoint, readClasses } from "../../src/aenet/checkpoint.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { defaultPreprocessing, parsePreprocessing } from "../../src/aenet/preprocessing.ts";
import { parseSafetensors, serializeSafetensors } from "../../src/nn/safetensors.ts";
import { expectedTensors, filled, parameterCount } from "./expected-tensors.ts";

const small: ArchitectureOptions = { depth: [1, 2, 1, 1], baseChannels: 8 };
const hash = "0123456789abcdef".repeat(4);

const shapesOf = (architecture: Architecture) =>
  new Map([...expectedTensors(architecture)].map(([name, shape]) => [name, { shape }]));
const infoOf = (architecture: Architecture) => ({
  architecture,
  preprocessing: { ...defaultPreprocessing, imageSize: 64 },
  step: 12,
  configSha256: hash,
  dataSha256: hash,
});

describe("architecture", () => {
  it.each([
    ["aenet", {}, 70_560_989],
    ["aenet-fl", {}, 70_560_969],
    ["resnet50-aes", {}, 23_510_081],
    ["resnet50-emo", {}, 23_524_424],
    ["ssnet", {}, 23_526_473],
    ["csnet", {}, 47_034_525],
    ["wrn-aes", {}, 70_295_713],
    ["wrn-emo", {}, 70_310_056],
    ["wrn-aes", { baseWidth: 128 }, 66_836_289],
    ["wrn-emo", { baseWidth: 128 }, 66_850_632],
  ])("%s %j has the design's number of parameters", (arch, options, count) => {
    expect(parameterCount(expectedTensors(createArchitecture(arch, EIGHT_EMOTIONS, options)))).toBe(count);
  });

  it.each([
    ["--arch resnet", () => createArchitecture("resnet", ["x"])],
    ["--arch constructor", () => createArchitecture("constructor", ["x"])],
    ["--depth 3,4,6", () => createArchitecture("aenet", ["x"], { depth: [3, 4, 6] })],
    ["--depth 3,0,6,3", () => createArchitecture("aenet", ["x"], { depth: [3, 0, 6, 3] })],
    ["--base-channels 1.5", () => createArchitecture("aenet", ["x"], { baseChannels: 1.5 })],
    ["--base-width 0", () => createArchitecture("aenet", ["x"], { baseWidth: 0 })],
    ["--base-width 32", () => createArchitecture("aenet", ["x"], { baseWidth: 32, baseChannels: 1 })],
    ["--fusion-points 0,5", () => createArchitecture("aenet", ["x"], { fusionPoints: [5, 0] })],
    ["--fusion-points 1,1", () => createArchitecture("aenet", ["x"], { fusionPoints: [1, 1] })],
    ["aenet-fl has none", () => createArchitecture("aenet", ["x"], { fusionPoints: [] })],
    ["--fusion-granularity row", () => createArchitecture("aenet", ["x"], { fusionGranularity: "row" as "scalar" })],
    ["--detach-shared", () => createArchitecture("csnet", ["x"], { detachShared: true })],
    ["--classes", () => createArchitecture("ssnet", [])],
    ["--classes joy,joy", () => createArchitecture("aenet", ["joy", "joy"])],
    ["--depth 3,x", () => parseIntegerList("--depth", "3,x")],
    ["--depth 3,: nothing", () => parseIntegerList("--depth", "3,")],
  ])("refuses, naming %s", (message, make) => {
    expect(make).toThrow(message);
  });

  it("leaves out what the named network does not have", () => {
    const options: ArchitectureOptions = { fusionPoints: [2], fusionGranularity: "channel" };
    expect(createArchitecture("resnet50-aes", [], options)).toMatchObject({
      fusionPoints: [],
      fusionGranularity: "scalar",
    });
    expect(createArchitecture("csnet", ["x"], options)).toMatchObject({
      fusionPoints: [2],
      fusionGranularity: "scalar",
    });
  });
});

describe("checkpoint", () => {
  it.each(archNames)("%s: metadata describe the network they were written for", (arch) => {
    const architecture = createArchitecture(arch, ["pleasant", "un,pleasant"], { ...small, fusionPoints: [1, 3] });
    const info = infoOf(architecture);
    const bytes = serializeSafetensors(filled(expectedTensors(architecture)), checkpointMetadata(info));
    const file = parseSafetensors(bytes);
    expect(describeCheckpoint("f", file.metadata, file.tensors)).toEqual(info);
    expect(Object.keys(file.metadata)).toEqual(
      "arch depth base_channels base_width fusion_points fusion_granularity detach_shared classes preprocess step config_sha256 data_sha256".split(
        " ",
      ),
    );
  });

  it.each(archNames)("%s: names and shapes are enough without metadata", (arch) => {
    for (const options of [
      {},
      small,
      { ...small, baseWidth: 100 },
      { fusionPoints: [4], fusionGranularity: "channel" },
    ] as const) {
      let architecture = createArchitecture(arch, EIGHT_EMOTIONS, options);
      if (architecture.baseWidth === 100)
        architecture = { ...architecture, arch: arch.replace("resnet50", "wrn") as typeof arch };
      const info = describeCheckpoint("f", { format: "pt" }, shapesOf(architecture));
      if (arch === "resnet50-aes" || arch === "wrn-aes") architecture = { ...architecture, classes: [] };
      if (options === small && arch.startsWith("wrn")) {
        // Of 8 · 132 / 64 = 16.5 channels the half is lost; what counts is that the widths come out.
        expect(expectedTensors(info.architecture)).toEqual(expectedTensors(architecture));
      } else expect(info.architecture).toEqual(architecture);
      expect(info).toMatchObject({
        preprocessing: defaultPreprocessing,
        step: 0,
        configSha256: null,
        dataSha256: null,
      });
    }
  });

  it("numbers classes that nobody named", () => {
    const tensors = shapesOf(createArchitecture("ssnet", ["x", "y", "z"], small));
    expect(describeCheckpoint("f", {}, tensors).architecture.classes).toEqual(["class 0", "class 1", "class 2"]);
    expect(readClasses("f", { classes: '["p"]' }, tensors)).toEqual(["p"]);
    expect(() => readClasses("f", { classes: "p" }, tensors)).toThrow("f: metadata classes");
  });

  it("takes classes and preprocessing from metadata that do not name the network", () => {
    const tensors = shapesOf(createArchitecture("ssnet", ["x", "y"], small));
    const said = { classes: '[" Sad","joy"]', preprocess: '{"image_size":32}', step: "epoch 3", depth: "50" };
    const info = describeCheckpoint("f", said, tensors);
    expect(info.architecture).toMatchObject({ arch: "ssnet", depth: [1, 2, 1, 1], classes: ["sadness", "joy"] });
    expect(info).toMatchObject({ preprocessing: { ...defaultPreprocessing, imageSize: 32 }, step: 0 });
    expect(() => describeCheckpoint("f", { classes: '["x"]' }, tensors)).toThrow("has 1 names");
  });

  const architecture = createArchitecture("aenet", ["x", "y"], small);
  const metadata = checkpointMetadata(infoOf(architecture));
  it.each([
    ["arch", "alexnet", "--arch alexnet"],
    ["arch", "csnet", "metadata arch: is csnet, but the tensors are those of aenet"],
    ["depth", "1,1,1", "--depth 1,1,1"],
    ["depth", "1;1", "metadata depth"],
    ["depth", "1,1,1,1", "metadata depth: is 1,1,1,1, but the tensors are those of 1,2,1,1"],
    ["base_channels", "-8", "metadata base_channels: -8"],
    ["base_channels", "16", "but the tensors are those of 8"],
    ["base_width", "128", "base_width"],
    ["fusion_points", "0,1", "metadata fusion_points: is 0,1"],
    ["fusion_granularity", "both", "metadata fusion_granularity: both"],
    ["detach_shared", "1", "metadata detach_shared"],
    ["classes", "x,y", "metadata classes"],
    ["classes", '["x",1]', "is not a list of names"],
    ["classes", '["x","y","z"]', "has 3 names, but head.emo.weight has 2 rows"],
    ["preprocess", "[]", "metadata preprocess"],
    ["preprocess", '{"image_size":0}', "image_size 0"],
    ["preprocess", '{"resize":"crop"}', 'resize "crop"'],
    ["preprocess", '{"deviation":[1,1,0]}', "deviation [1,1,0]"],
    ["step", "1e3", "metadata step: 1e3"],
    ["config_sha256", "abc", "metadata config_sha256"],
  ])("refuses metadata %s = %s", (key, value, message) => {
    expect(() => describeCheckpoint("f", { ...metadata, [key]: value }, shapesOf(architecture))).toThrow(message);
  });

  it("fills what metadata leave out from tensors and defaults", () => {
    const info = describeCheckpoint("f", { arch: "aenet" }, shapesOf(architecture));
    expect(info.architecture).toMatchObject({ depth: [1, 2, 1, 1], baseChannels: 8, baseWidth: 64 });
    expect(parsePreprocessing('{"image_size":96}')).toEqual({ ...defaultPreprocessing, imageSize: 96 });
  });

  it.each([
    ["good for --init only", ["conv1.weight"]],
    ["are not those of a network", ["a.conv1.weight", "e.conv1.weight"]],
    ["are not those of a network", []],
    ["it has no layer1.0.conv1.weight", ["conv1.weight", "head.aes.weight"]],
  ])("says what names do not tell: %s", (message, names) => {
    const tensors = new Map(names.map((name) => [name, { shape: [8] }]));
    expect(() => describeCheckpoint("f.safetensors", {}, tensors)).toThrow(message);
    expect(() => describeCheckpoint("f.safetensors", {}, tensors)).toThrow("f.safetensors: it");
  });
});
