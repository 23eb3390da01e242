import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type ArchitectureOptions, createArchitecture, streamsOf } from "../../src/aenet/architecture.ts";
import { compactNames } from "../../src/aenet/compact-names.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import {
  formatInitReport,
  type InitFlag,
  type InitSource,
  type InitTarget,
  loadedValues,
  planInitialization,
} from "../../src/aenet/initialize.ts";
import { parseSafetensors, type TensorData } from "../../src/nn/safetensors.ts";
import { expectedTensors, filled } from "./expected-tensors.ts";

const small: ArchitectureOptions = { depth: [1, 1, 1, 1], baseChannels: 4 };

function network(arch: string, classes: readonly string[] = ["x", "y", "z"], options = small): InitTarget {
  const architecture = createArchitecture(arch, classes, options);
  return { tensors: expectedTensors(architecture), streams: streamsOf(architecture.arch), classes };
}

function source(
  flag: InitFlag,
  tensors: ReadonlyMap<string, TensorData>,
  classes: readonly string[] = ["x", "y", "z"],
): InitSource {
  return { flag, path: `${flag.slice(2)}.safetensors`, tensors, classes };
}

/** A trunk as torchvision saves it, its classifier included. */
function trunk(first = 0): Map<string, TensorData> {
  const shapes = [...network("resnet50-aes").tensors].filter(([name]) => !name.startsWith("head."));
  shapes.push(["fc.weight", [1000, 128]], ["fc.bias", [1000]], ["bn1.num_batches_tracked", []]);
  return filled(shapes, first);
}

const trunkSize = [...network("resnet50-aes").tensors.keys()].length - 2;

describe("planInitialization", () => {
  it("loads a network's own checkpoint whole", () => {
    const target = network("aenet");
    const own = source("--init", filled(target.tensors));
    const { loads, report } = planInitialization(target, [own], true);
    expect([...loads.keys()]).toEqual([...target.tensors.keys()]);
    for (const [name, load] of loads) expect(load).toEqual({ source: own, from: name });
    expect(report).toMatchObject({ missing: [], ignored: [] });
  });

  it("fills every stream from a trunk's unprefixed names, drops fc in print and num_batches_tracked silently", () => {
    const target = network("aenet");
    const { loads, report } = planInitialization(target, [source("--init", trunk())]);
    expect(report.loaded.length).toBe(3 * trunkSize);
    for (const stream of "ase")
      expect(loads.get(`${stream}.layer4.0.conv2.weight`)!.from).toBe("layer4.0.conv2.weight");
    expect(report.missing).toEqual([...target.tensors.keys()].filter((name) => /^(fusion|head)/.test(name)));
    expect(report.ignored.map(({ name }) => name)).toEqual(["fc.weight", "fc.bias"]);
    const text = formatInitReport(report, target, [source("--init", trunk())]);
    expect(text).toContain(`initialised ${3 * trunkSize} of ${3 * trunkSize + 24} tensors`);
    expect(text).toContain("loaded from --init init.safetensors: a.* (");
    expect(text).toContain("missing, left as initialised: fusion.* (20), head.* (4)");
    expect(text).toContain("(another task's classifier, dropped): fc.* (2)");
  });

  it("lets a stream's own file win over --init, whatever their order", () => {
    const target = network("aenet");
    const [all, e, s] = [
      source("--init", trunk()),
      source("--init-e", trunk()),
      source("--init-s", filled([["s.bn1.bias", [4]]])),
    ];
    for (const sources of [
      [all, e, s],
      [s, e, all],
    ]) {
      const { loads } = planInitialization(target, sources);
      expect(loads.get("a.conv1.weight")!.source).toBe(all);
      expect(loads.get("e.conv1.weight")!.source).toBe(e);
      expect(loads.get("s.conv1.weight")!.source).toBe(all);
      expect(loads.get("s.bn1.bias")).toEqual({ source: s, from: "s.bn1.bias" });
    }
  });

  it("prefers a prefixed name to an unprefixed one, and says what was replaced", () => {
    const tensors = filled([
      ["a.bn1.bias", [4]],
      ["bn1.bias", [4]],
    ]);
    const { loads } = planInitialization(network("aenet"), [source("--init", tensors)]);
    expect(loads.get("a.bn1.bias")!.from).toBe("a.bn1.bias");
    expect(loads.get("s.bn1.bias")!.from).toBe("bn1.bias");
    const streams = ["--init-a", "--init-s", "--init-e"] as const;
    const bn1 = filled([
      ["bn1.bias", [4]],
      ["head.aes.bias", [1]],
    ]);
    const { report } = planInitialization(network("aenet"), [
      source("--init", bn1),
      ...streams.map((flag) => source(flag, bn1)),
    ]);
    expect(report.ignored).toContainEqual({
      name: "bn1.bias",
      flag: "--init",
      path: "init.safetensors",
      reason: "replaced by a more particular one",
    });
    expect(report.ignored).toContainEqual({
      name: "head.aes.bias",
      flag: "--init-a",
      path: "init-a.safetensors",
      reason: "not of stream a",
    });
  });

  it("refuses another shape, naming the tensor and both shapes", () => {
    const tensors = filled([["conv1.weight", [64, 3, 7, 7]]]);
    expect(() => planInitialization(network("aenet"), [source("--init", tensors)])).toThrow(
      "--init init.safetensors: conv1.weight is [64, 3, 7, 7], but a.conv1.weight of the network is [4, 3, 7, 7]",
    );
    const head = filled([["head.emo.weight", [3, 128]]]);
    expect(() => planInitialization(network("aenet"), [source("--init", head)])).toThrow("[3, 128]");
    const reshaped = filled([["bn1.bias", [2, 2]]]);
    expect(() => planInitialization(network("aenet"), [source("--init", reshaped)])).toThrow("[2, 2]");
  });

  it("refuses a file that gives nothing, a stream that is not there, and under strict what is missing", () => {
    const nothing = source("--init-s", filled([["fc.weight", [1000, 128]]]));
    expect(() => planInitialization(network("aenet"), [nothing])).toThrow(
      "--init-s init-s.safetensors: nothing of its 1 tensors is loaded; for example fc.weight",
    );
    expect(() => planInitialization(network("resnet50-aes"), [source("--init-a", trunk())])).toThrow("only one");
    expect(() => planInitialization(network("csnet"), [source("--init-s", trunk())])).toThrow(
      "no stream s; it has a, e",
    );
    expect(() => planInitialization(network("aenet"), [source("--init", trunk())], true)).toThrow(
      "--init-strict: 24 are missing: fusion.* (20), head.* (4)",
    );
  });

  it("matches emotions by name: reorders, selects and leaves out rows", () => {
    const target = network("resnet50-emo", ["sadness", "joy", "awe", "fear"]);
    const other = source("--init", filled(network("resnet50-emo", ["awe", "anger", "sad"]).tensors), [
      "awe",
      "anger",
      "sad",
    ]);
    const { loads, report } = planInitialization(target, [other]);
    expect(loads.get("head.emo.bias")!.rows).toEqual([2, null, 0, null]);
    const initial = Float32Array.of(-1, -2, -3, -4);
    expect([...loadedValues(loads.get("head.emo.bias")!, initial)]).toEqual([2, -2, 0, -4]);
    expect([...initial]).toEqual([-1, -2, -3, -4]);
    const weight = loadedValues(loads.get("head.emo.weight")!, new Float32Array(4 * 128).fill(-1));
    expect([weight[0], weight[128], weight[2 * 128], weight[3 * 128]]).toEqual([256, -1, 0, -1]);
    expect(report.missing).toEqual(
      ["weight", "bias"].flatMap((name) => ["joy", "fear"].map((emotion) => `head.emo.${name} (class ${emotion})`)),
    );
    expect(report.ignored.map(({ name }) => name)).toEqual([
      "head.emo.weight (class anger)",
      "head.emo.bias (class anger)",
    ]);
    expect(() => planInitialization(target, [other], true)).toThrow("head.emo.weight (class joy)");
    expect(formatInitReport(report, target, [other])).toContain("head.emo.weight (class fear)");
  });

  it("loads no row by its index: other classes leave the head as initialised", () => {
    const target = network("resnet50-emo", ["x", "y", "z"]);
    const other = source("--init", filled(target.tensors), ["p", "q", "r"]);
    const { loads, report } = planInitialization(target, [other]);
    expect(loads.has("head.emo.weight")).toBe(false);
    expect(report.missing).toEqual(["head.emo.weight", "head.emo.bias"]);
    const unnamed = source("--init", filled(target.tensors), ["x", "y"]);
    expect(() => planInitialization(target, [unnamed])).toThrow(
      "head.emo.weight has 3 rows, but the file names 2 classes",
    );
  });

  it("reports in groups what a network of one stream has no use for", () => {
    const target = network("resnet50-aes");
    const aenet = source("--init", filled([...network("aenet").tensors, ["bn1.bias", [4]]]));
    expect(() => planInitialization(target, [aenet])).toThrow("head.aes.weight is [1, 256]");
    const trunks = new Map([...aenet.tensors].filter(([name]) => !name.startsWith("head.")));
    const report = planInitialization(target, [{ ...aenet, tensors: trunks }]).report;
    expect(formatInitReport(report, target, [{ ...aenet, tensors: trunks }])).toMatch(
      /not in this network\): a\.\* \(\d+\), s\.\* \(\d+\), e\.\* \(\d+\), fusion\.\* \(20\)/,
    );
  });
});

describe("compactNames", () => {
  it("is exact and keeps the order", () => {
    const all = ["b.x.1", "b.x.2", "b.y", "a", "c.z"];
    expect(compactNames(["c.z", "b.x.2", "b.x.1"], all)).toEqual(["b.x.* (2)", "c.z"]);
    expect(compactNames(["b.y", "b.x.2", "a", "other"], all)).toEqual(["b.x.2", "b.y", "a", "other"]);
    expect(compactNames([], all)).toEqual([]);
  });
});

const weights = [process.env.AENET_SHARED, fileURLToPath(new URL("../../../shared", import.meta.url))]
  .map((folder) => `${folder}/weights/resnet50-imagenet-v1-stem-layer1-layer2.safetensors`)
  .find((path) => existsSync(path));

describe.skipIf(weights === undefined)("torchvision's stem, layer1 and layer2", () => {
  it("fill every stream of a full AENet", () => {
    const { tensors } = parseSafetensors(readFileSync(weights!));
    const target = network("aenet", EIGHT_EMOTIONS, {});
    const init: InitSource = { flag: "--init", path: "resnet50", tensors, classes: [] };
    const { loads, report } = planInitialization(target, [init]);
    expect(report.ignored).toEqual([]);
    expect(report.loaded.length).toBe(3 * tensors.size);
    expect(compactNames(report.missing, target.tensors.keys())).toEqual([
      ...["a", "s", "e"].flatMap((stream) => [`${stream}.layer3.* (95)`, `${stream}.layer4.* (50)`]),
      "fusion.* (20)",
      "head.* (4)",
    ]);
    const variance = loadedValues(loads.get("e.layer2.3.bn3.running_var")!, new Float32Array(512));
    expect(variance.every((value) => value > 0)).toBe(true);
  });
});
