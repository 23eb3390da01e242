import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createArchitecture, streamsOf } from "../../src/aenet/architecture.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { planInitialization } from "../../src/aenet/initialize.ts";
import { PthError, type PthFault, parsePth } from "../../src/nn/pth/pth.ts";
import { serializeSafetensors } from "../../src/nn/safetensors.ts";
import { parseWeights } from "../../src/nn/weights.ts";
import { expectedTensors } from "./expected-tensors.ts";
import {
  archive,
  dict,
  global,
  int,
  latin1,
  legacy,
  magic,
  pickle,
  string,
  system,
  tensor,
  tuple,
  twoFloats,
} from "./torch-writer.ts";
import { le, writeZip } from "./zip-writer.ts";

const folder = new URL("torch/", import.meta.url);
const file = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));

type Described = Record<string, { shape: number[]; data: number[] }>;
const expected = JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")) as Record<
  "tensors" | "model",
  Described
>;

function described(bytes: Uint8Array): Described {
  const { tensors } = parsePth(bytes);
  return Object.fromEntries([...tensors].map(([name, { shape, data }]) => [name, { shape, data: [...data] }]));
}

function faultOf(bytes: Uint8Array): PthFault | "accepted" {
  try {
    parsePth(bytes);
    return "accepted";
  } catch (error) {
    if (error instanceof PthError) return error.fault;
    throw error;
  }
}

describe("files that PyTorch wrote", () => {
  it.each(["tensors.pth", "tensors-legacy.pth", "tensors-deflated.pth"])("%s: every dtype and every view", (name) => {
    expect(described(file(name))).toEqual(expected.tensors);
  });

  it("keeps the order of the names", () => {
    expect([...parsePth(file("tensors.pth")).tensors.keys()]).toEqual(Object.keys(expected.tensors));
  });

  it.each(["run.pth", "run-legacy.pth"])(
    "%s: the weights among what else a run saves, without DataParallel's prefix",
    (name) => {
      expect(described(file(name))).toEqual(expected.model);
    },
  );

  it.each([
    ["executes.pth", "pth: refuses posix.system"],
    ["executes-legacy.pth", "pth: refuses posix.system"],
    ["whole-module.pth", "pth: refuses torch.nn.modules.container.Sequential"],
    ["protocol-4.pth", "pth: unsupported pickle: protocol 4"],
    ["script.pth", "pth: TorchScript archive"],
  ])("%s: %s", (name, message) => {
    expect(() => parsePth(file(name))).toThrow(message);
    expect(existsSync("executed")).toBe(false);
  });

  it("reads them from any address, and from Node's buffers", () => {
    for (const name of ["tensors.pth", "tensors-legacy.pth"])
      for (const offset of [1, 2, 3]) {
        const bytes = file(name);
        const shifted = Buffer.alloc(bytes.length + offset);
        shifted.set(bytes, offset);
        expect(described(shifted.subarray(offset))).toEqual(expected.tensors);
      }
  });
});

describe("parseWeights", () => {
  it("tells the formats apart by their first bytes", () => {
    expect(parseWeights(file("tensors.pth")).tensors.size).toBe(20);
    expect(parseWeights(file("tensors-legacy.pth")).tensors.size).toBe(20);
    const tensors = new Map([["x", { shape: [1], data: Float32Array.of(7) }]]);
    expect(parseWeights(serializeSafetensors(tensors)).tensors.get("x")!.data[0]).toBe(7);
    // A safetensors header of 67,324,752 bytes begins with the letters of a zip archive.
    const letters = latin1(`PK\x03\x04\0\0\0\0{"x"`);
    expect(() => parseWeights(letters)).toThrow("safetensors: header beyond the file");
    // One of 1,152 bytes begins as a pickle of protocol 4 does, which torch.save writes if it is told to.
    const pickled = (rest: string) => () => parseWeights(latin1(`\x80\x04${rest}`));
    expect(pickled(`\0\0\0\0\0\0{"x"`)).toThrow("safetensors: header beyond the file");
    expect(pickled("\x95\x0d\0\0\0\0\0\0\0\x8a\x0a")).toThrow("protocol 4; torch.save writes 2");
  });

  it("gives torchvision's ResNet50 to every stream: all names but the classifier's", () => {
    const shapes = Object.entries(
      JSON.parse(readFileSync(new URL("resnet50-shapes.json", folder), "utf8")) as Record<string, number[]>,
    );
    expect(shapes).toHaveLength(320);
    const architecture = createArchitecture("aenet", EIGHT_EMOTIONS);
    const target = {
      tensors: expectedTensors(architecture),
      streams: streamsOf("aenet"),
      classes: architecture.classes,
    };
    const tensors = new Map(shapes.map(([name, shape]) => [name, { shape, data: new Float32Array() }]));
    const { report } = planInitialization(target, [{ flag: "--init", path: "r50.pth", tensors, classes: [] }]);
    expect(report.ignored.map(({ name }) => name)).toEqual(["fc.weight", "fc.bias"]);
    expect(report.loaded).toHaveLength(3 * (320 - 53 - 2));
    expect(report.missing.every((name) => /^(fusion|head)\./.test(name))).toBe(true);
  });
});

const one = dict([["w", tensor()]]);
const values = (bytes: Uint8Array) => [...parsePth(bytes).tensors.values()].map(({ data }) => [...data]);

it("a view may show a number several times", () => {
  expect(values(archive(dict([["w", tensor({ shape: [5], strides: [0] })]])))).toEqual([
    Array(5).fill(values(archive(one))[0]![0]),
  ]);
});

describe("which tensors are meant", () => {
  const at = (key: string, value: string) =>
    archive(
      dict([
        ["other", tensor()],
        [key, value],
      ] as const),
    );
  const names = (bytes: Uint8Array) => [...parsePth(bytes).tensors.keys()];

  it.each(["state_dict", "model_state_dict", "model"])("those of %s, where that has tensors", (key) => {
    expect(names(at(key, one))).toEqual(["w"]);
    expect(names(at(key, int(1)))).toEqual(["other"]);
    expect(names(at(key, dict([["w", int(1)]])))).toEqual(["other"]);
  });

  it("state_dict before model; the object itself without either, plain values beside them passed over", () => {
    const members = [
      ["model", dict([["m", tensor()]])],
      ["state_dict", one],
    ] as const;
    expect(names(archive(dict(members)))).toEqual(["w"]);
    expect(
      names(
        archive(
          dict([
            ["w", tensor()],
            ["epoch", int(3)],
          ]),
        ),
      ),
    ).toEqual(["w"]);
  });

  it("module. is dropped only where all have it", () => {
    const both = (...keys: string[]) => archive(dict(keys.map((key) => [key, tensor()] as const)));
    expect(names(both("module.a", "module.b"))).toEqual(["a", "b"]);
    expect(names(both("module.a", "b"))).toEqual(["module.a", "b"]);
  });

  it("an OrderedDict of pairs, as Python 2 pickled it", () => {
    const pairs = `](](${string("w")}${tensor()}ee`;
    expect(names(archive(`${global("collections", "OrderedDict")}(${pairs}tR`))).toEqual(["w"]);
  });
});

describe("zip archives", () => {
  it("may be wide, deflated, and have their sizes behind the contents", () => {
    for (const wide of [false, true])
      for (const descriptor of [false, true])
        for (const deflate of [false, true]) {
          const options = { wide, descriptor, deflate };
          const entries = [
            { name: "a/data.pkl", content: pickle(one), ...options },
            { name: "a/data/0", content: twoFloats, ...options },
            { name: "a/version", content: latin1("3\n"), ...options },
          ];
          expect(values(writeZip(entries, wide))).toEqual([[1, 2]]);
        }
  });
});

describe("files that lie are refused by the fault's name", () => {
  const data = { name: "a/data/0", content: twoFloats };
  const zip = archive(one);
  const patched = (bytes: Uint8Array, at: number, ...patch: number[]) => {
    const copy = bytes.slice();
    copy.set(patch, at < 0 ? copy.length + at : at);
    return copy;
  };
  const withBytes = (bytes: Uint8Array, at: number, insert: number) =>
    Uint8Array.from([...bytes.subarray(0, at), ...new Uint8Array(insert), ...bytes.subarray(at)]);
  const lie = (lie: NonNullable<Parameters<typeof archive>[1]>[number]["lie"]) =>
    archive(one, [{ ...data, lie: lie! }]);
  const directory = new DataView(zip.buffer).getUint32(zip.length - 6, true);
  const large = new Uint8Array(2_000_000);

  it.each<[PthFault, string, Uint8Array]>([
    ["not a torch file", "no bytes", new Uint8Array()],
    [
      "not a torch file",
      "another magic number",
      legacy(one, undefined, { head: `${magic.slice(0, 9)}x${magic.slice(10)}` }),
    ],
    ["truncated file", "a zip archive cut short", zip.slice(0, -1)],
    ["truncated file", "a zip archive's first bytes", zip.slice(0, 8)],
    ["truncated file", "bytes behind a zip archive", withBytes(zip, zip.length, 1)],
    ["hole", "bytes before the first entry", patched(withBytes(zip, 0, 4), 0, 0x50, 0x4b, 3, 4)],
    ["hole", "bytes before the directory", patched(withBytes(zip, directory, 4), -6, ...le([4, directory + 4]))],
    ["overlap", "two entries at a place", lie({ at: 0 })],
    ["overlap", "an entry that reaches into the directory", lie({ packed: 12, size: 12 })],
    ["hole", "an entry further on", lie({ at: 400 })],
    ["hole", "a directory further on", patched(zip, -6, zip.length - 22)],
    ["lying zip directory", "more entries than there is room for", patched(zip, -14, 99, 0, 99, 0)],
    ["lying zip directory", "fewer entries than there are", patched(zip, -14, 1, 0, 1, 0)],
    ["lying zip directory", "another name", lie({ name: "a/data/1" })],
    ["lying zip directory", "another checksum", lie({ crc: 1 })],
    ["lying zip directory", "another size than is stored", lie({ size: 9 })],
    ["lying zip directory", "another method", lie({ method: 8 })],
    ["unknown compression", "method 12", lie({ method: 12 })],
    ["encrypted entry", "flag 0", lie({ flags: 1 })],
    ["bad zip record", "two disks", patched(zip, -18, 1)],
    ["bad zip record", "a lost zip64 record", patched(writeZip([data], true), -34, 1)],
    ["duplicate entry", "two of a name", archive(one, [data, data])],
    ["missing entry", "no pickle", writeZip([data])],
    ["missing entry", "no storage", archive(one, [])],
    ["not UTF-8", "a name", patched(zip, 30, 0xff)],
    ["zip bomb", "2 MB of nothing in 2 kB", archive(one, [{ name: "a/data/0", content: large, deflate: true }])],
    ["wrong checksum", "a flipped bit", patched(zip, directory - 1, 0x41)],
    ["damaged deflate stream", "other bytes", patched(archive(one, undefined, { deflate: true }), 42, 0xff)],
    ["TorchScript archive", "a program", archive(one, [data, { name: "a/constants.pkl", content: pickle("N") }])],
    ["big-endian", "by its byteorder", archive(one, [data, { name: "a/byteorder", content: latin1("big") }])],
    ["trailing bytes", "behind the pickle", archive(latin1(`\x80\x02${one}..`))],

    ["truncated pickle", "nothing", archive(latin1(""))],
    ["truncated pickle", "no end", archive(latin1(`\x80\x02${one}`))],
    ["truncated pickle", "a string of 2 GB", archive("X\xff\xff\xff\x7fabc")],
    ["truncated pickle", "a name without an end", archive(latin1("\x80\x02ccollections"))],
    ["unsupported pickle", "protocol 5", archive(latin1("\x80\x05N."))],
    ["unsupported pickle", "INST", archive("ios\nsystem\n")],
    ["unsupported pickle", "EXT1", archive("\x82\x01")],
    ["unsupported pickle", "NEWOBJ", archive(`${global("collections", "OrderedDict")})\x81`)],
    ["unsupported pickle", "attributes of a dict", archive("}}b")],
    ["unsupported pickle", "a conjugate view", archive(dict([["w", tensor({ metadata: "}" })]]))],
    [
      "unsupported pickle",
      "a view of torch 0.1",
      legacy(dict([["w", tensor({ view: tuple(string("v"), int(0), int(1)) })]])),
    ],
    ["malformed pickle", "no protocol", archive(latin1("N."))],
    ["malformed pickle", "an empty stack", archive("")],
    ["malformed pickle", "two values", archive("NN")],
    ["malformed pickle", "a mark without values", archive("N(")],
    ["malformed pickle", "a tuple without its mark", archive("Nt")],
    ["malformed pickle", "a pop through a mark", archive("N(\x85")],
    ["malformed pickle", "an empty memo", archive("h\x07")],
    ["malformed pickle", "a key without a value", archive("}(Nu")],
    ["malformed pickle", "appending to a tuple", archive(")Na")],
    ["malformed pickle", "setting keys in a list", archive("]NNs")],
    ["malformed pickle", "calling a string", archive(`${string("os.system")})R`)],
    ["malformed pickle", "calling a list", archive("])R")],
    ["malformed pickle", "a call without arguments", archive(`${global("collections", "OrderedDict")}NR`)],
    ["pickle bomb", "a million marks", archive("(".repeat(1_000_000))],
    ["pickle bomb", "a million values", archive("N".repeat(1_000_000))],
    ["pickle bomb", "a million dicts", archive(`](${"}".repeat(90_000)}e(${"}".repeat(90_000)}e`)],
    ["pickle bomb", "lists of lists", archive("]".repeat(50_000) + "a".repeat(49_999))],
    ["refuses", "os.system", archive(`${global("os", "system")}${tuple(string("true"))}R`)],
    ["refuses", "a name that is not called", archive(global("builtins", "eval"))],
    ["refuses", "torch.load", archive(global("torch", "load"))],
    ["refuses", "Object.prototype's names", archive(global("__proto__", "constructor"))],
    ["refuses", "to call a storage", archive(`${global("torch", "FloatStorage")})R`)],
    ["refuses", "complex numbers", archive(dict([["w", tensor({ type: "ComplexFloatStorage" })]]))],
    ["refuses", "a persistent module", archive(`${tuple(string("module"), "N", "N", "N", "N")}Q`)],
    ["refuses", "in the system's description", legacy(one, undefined, { about: global("os", "system") })],
    [
      "duplicate key",
      "two tensors of a name",
      archive(
        dict([
          ["w", tensor()],
          ["w", tensor()],
        ] as const),
      ),
    ],
    [
      "duplicate key",
      "two storages of a key",
      legacy(one, [
        ["0", 2, twoFloats],
        ["0", 2, twoFloats],
      ] as const),
    ],
    ["not UTF-8", "a string", archive("X\x01\0\0\0\xff")],
    ["wrong type", "a list as a key", archive("}]Ns")],
    ["wrong type", "a parameter of a number", archive(`${global("torch._utils", "_rebuild_parameter")}(${int(1)}tR`)],
    [
      "wrong type",
      "a storage of an OrderedDict",
      archive(`${tuple(string("storage"), global("collections", "OrderedDict"), string("0"), "N", int(2))}Q`),
    ],
    [
      "wrong type",
      "a storage without a key",
      archive(`${tuple(string("storage"), global("torch", "FloatStorage"), "N", "N", int(2))}Q`),
    ],
    ["wrong type", "a shape that is a number", archive(dict([["w", tensor({ shape: int(2) })]]))],
    ["wrong type", "a shape of half a number", archive(dict([["w", tensor({ shape: "(G\x3f\xe0\0\0\0\0\0\0t" })]]))],
    ["wrong type", "a shape without strides", archive(dict([["w", tensor({ strides: [] })]]))],
    ["wrong type", "storages' keys that are a dict", legacy(one, undefined, { keys: "}" })],
    ["wrong type", "a system that is a number", legacy(one, undefined, { about: int(1) })],
    ["negative number", "a dimension", archive(dict([["w", tensor({ shape: [-2] })]]))],
    ["negative number", "a stride", archive(dict([["w", tensor({ offset: 1, strides: [-1] })]]))],
    ["negative number", "an offset", archive(dict([["w", tensor({ offset: -1 })]]))],
    ["negative number", "a storage", archive(dict([["w", tensor({ storage: -2 })]]))],
    ["huge number", "a dimension of 2^63", archive(dict([["w", tensor({ shape: [2n ** 63n] })]]))],
    ["huge number", "a storage of 2^60", archive(dict([["w", tensor({ storage: 2n ** 60n })]]))],
    ["huge number", "a storage of 2^51 numbers", archive(dict([["w", tensor({ storage: 2 ** 51 })]]))],
    [
      "wrong byte length",
      "a storage of a hundred numbers",
      archive(dict([["w", tensor({ storage: 100, shape: [100] })]])),
    ],
    ["wrong byte length", "a storage of one number", archive(dict([["w", tensor({ storage: 1, shape: [1] })]]))],
    ["wrong byte length", "another count before a legacy storage", legacy(one, [["0", 3, twoFloats]])],
    [
      "contradicting storages",
      "two sizes",
      archive(
        dict([
          ["w", tensor()],
          ["v", tensor({ storage: 3 })],
        ] as const),
      ),
    ],
    [
      "contradicting storages",
      "two types",
      archive(
        dict([
          ["w", tensor()],
          ["v", tensor({ type: "IntStorage" })],
        ] as const),
      ),
    ],
    ["missing storage", "described only", legacy(one, [])],
    [
      "missing storage",
      "listed only",
      legacy(one, [
        ["0", 2, twoFloats],
        ["1", 2, twoFloats],
      ]),
    ],
    ["beyond its storage", "by its shape", archive(dict([["w", tensor({ shape: [3] })]]))],
    ["beyond its storage", "by its offset", archive(dict([["w", tensor({ offset: 1 })]]))],
    ["beyond its storage", "by its strides", archive(dict([["w", tensor({ strides: [2] })]]))],
    ["beyond its storage", "an empty one, behind the end", archive(dict([["w", tensor({ shape: [0], offset: 3 })]]))],
    [
      "too many numbers",
      "a number shown 2^50 times",
      archive(dict([["w", tensor({ shape: [2 ** 50], strides: [0] })]])),
    ],
    [
      "too many numbers",
      "2^100 of them",
      archive(dict([["w", tensor({ shape: [2 ** 50, 2 ** 50], strides: [0, 0] })]])),
    ],
    [
      "too many numbers",
      "a hundred dimensions",
      archive(dict([["w", tensor({ shape: Array(100).fill(1), strides: Array(100).fill(1) })]])),
    ],
    [
      "too many numbers",
      "a storage shown a thousand times",
      archive(
        dict(Array.from({ length: 1000 }, (_, i) => [`w${i}`, tensor({ storage: 1000, shape: [1000] })] as const)),
        [{ name: "a/data/0", content: new Uint8Array(4000) }],
      ),
    ],
    ["bad name", "a tensor called 7", archive(`}${int(7)}${tensor()}s`)],
    ["no tensors", "a number", archive(int(1))],
    ["no tensors", "an empty dict", archive("}")],
    ["truncated file", "a legacy storage cut short", legacy(one).slice(0, -1)],
    ["truncated file", "a legacy storage without its size", legacy(one).slice(0, -9)],
    ["trailing bytes", "behind the last storage", withBytes(legacy(one), legacy(one).length, 1)],
    ["unsupported pickle", "legacy format 1002", legacy(one, undefined, { protocol: int(1002) })],
    ["big-endian", "a legacy file", legacy(one, undefined, { about: dict([["little_endian", "\x89"]]) })],
    ["truncated pickle", "a legacy file's first bytes", latin1(magic)],
  ])("%s (%s)", (fault, _, bytes) => {
    expect(faultOf(bytes)).toBe(fault);
  });

  it("and those made by the same hands without a lie are read", () => {
    for (const bytes of [zip, legacy(one), legacy(one, undefined, { about: system })])
      expect(values(bytes)).toEqual([[1, 2]]);
    expect(values(archive(dict([["w", tensor({ shape: [1], offset: 1 })]])))).toEqual([[2]]);
    expect(values(archive(dict([["w", tensor({ shape: [0], offset: 2 })]])))).toEqual([[]]);
    expect(values(archive(dict([["__proto__", tensor()]])))).toEqual([[1, 2]]);
    expect(values(archive(dict([["w", tensor({ shape: [1, 2], strides: [2n ** 40n, 1] })]])))).toEqual([[1, 2]]);
  });
});
