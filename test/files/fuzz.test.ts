/**
 * 10,000 damaged files of each kind: every one is read within its bounds or refused by a named fault; none costs memory
 * beyond a small multiple of its size.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PthError, parsePth } from "../../src/nn/pth/pth.ts";
import { parseSafetensors, SafetensorsError, serializeSafetensors } from "../../src/nn/safetensors.ts";
import type { TensorFile } from "../../src/nn/tensor-file.ts";
import { Random } from "../../src/random.ts";
import { allocatedBy, mutate } from "./mutate.ts";
import { archive, dict, int, latin1, pickle, tensor, twoFloats } from "./torch-writer.ts";
import { le, writeZip, type ZipEntry } from "./zip-writer.ts";

const rounds = 10_000;

/** What reading a file may cost: a fixed part for the machine's own objects, and so many times the file's size. */
const allowed = (size: number) => 2 ** 20 + 32 * size;

interface Outcomes {
  accepted: number;
  /** Files by the fault they were refused for. */
  faults: Map<string, number>;
  /** Bytes of memory above a file's size, at most. */
  mostAllocated: number;
}

/** Reads every tensor of every file. */
function outcomes(damage: (random: Random) => Uint8Array, parse: (bytes: Uint8Array) => TensorFile): Outcomes {
  const result: Outcomes = { accepted: 0, faults: new Map(), mostAllocated: 0 };
  for (let round = 0; round < rounds; round++) {
    const bytes = damage(new Random(4, "damage", round));
    let fault: string | undefined;
    const allocated = allocatedBy(() => {
      try {
        const { tensors } = parse(bytes);
        let numbers = 0;
        for (const { shape, data } of tensors.values()) {
          if (data.length !== shape.reduce((a, b) => a * b, 1))
            throw new Error(`[${shape}] has ${data.length} numbers`);
          numbers += data.length;
        }
        if (numbers > 2 * bytes.length) throw new Error(`${numbers} numbers from ${bytes.length} bytes`);
        return tensors;
      } catch (error) {
        if (!(error instanceof PthError || error instanceof SafetensorsError)) throw error;
        fault = error.fault;
        return error;
      }
    });
    if (fault === undefined) {
      result.accepted++;
      const { tensors, metadata } = parse(bytes);
      expect(parseSafetensors(serializeSafetensors(tensors, metadata)).tensors.size).toBe(tensors.size);
    } else result.faults.set(fault, (result.faults.get(fault) ?? 0) + 1);
    result.mostAllocated = Math.max(result.mostAllocated, allocated);
    if (allocated > allowed(bytes.length))
      throw new Error(`round ${round}: ${allocated} bytes of memory for a file of ${bytes.length}`);
  }
  return result;
}

/** Some damage goes unnoticed (in the numbers, say), most does not, and in many ways. */
function expectVariety({ accepted, faults, mostAllocated }: Outcomes, kinds: number): void {
  if (process.env.AENET_FIGURES) console.log(accepted, mostAllocated, Object.fromEntries(faults));
  expect(accepted).toBeGreaterThan(rounds / 100);
  expect(accepted).toBeLessThan(rounds / 2);
  expect(accepted + [...faults.values()].reduce((a, b) => a + b, 0)).toBe(rounds);
  expect([...faults.keys()].length, [...faults.keys()].join(", ")).toBeGreaterThanOrEqual(kinds);
}

const file = (name: string) => new Uint8Array(readFileSync(new URL(`torch/${name}`, import.meta.url)));

const safetensorsTokens = ["-", "[", "{", '"', "}", "]", "e9", "null", "99999999999999999999", "0", ".5", ","];
const pickleTokens = [
  ...[
    "(",
    ".",
    "t",
    "R",
    "Q",
    "b",
    "u",
    "s",
    "a",
    "e",
    "]",
    "}",
    ")",
    "N",
    "\x85",
    "\x86",
    "\x87",
    "h\x00",
    "h\x05",
    "q\x01",
  ],
  ...["\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00", "J\xff\xff\xff\xff", "M\xff\xff", "K\x00", "X\xff\xff\xff\xff"],
  ...[
    "cos\nsystem\n",
    "ctorch\nHalfStorage\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "r\xff\xff\xff\xff",
    "j\x00\x00\x00\x00",
  ],
].map(latin1);
const zipTokens = [0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50, 0x08074b50].map((it) => le([4, it]));

describe(`${rounds} damaged files`, () => {
  it("safetensors", () => {
    const zeros = (shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
    const tensors = {
      "conv1.weight": zeros([2, 3, 1, 1]),
      "bn1.weight": zeros([3]),
      empty: zeros([0, 4]),
      one: zeros([]),
    };
    const original = serializeSafetensors(new Map(Object.entries(tensors)), {
      arch: "aenet",
      classes: '["awe","fear"]',
    });
    const options = { tokens: safetensorsTokens.map(latin1) };
    const found = outcomes((random) => mutate(original, random, options), parseSafetensors);
    expectVariety(found, 18);
  });

  it("torch's zip archives, stored and deflated", () => {
    const originals = ["tensors.pth", "run.pth", "tensors-deflated.pth"].map(file);
    const options = { tokens: [...zipTokens, ...pickleTokens] };
    const found = outcomes((random) => {
      const original = originals[random.integer(3)]!;
      // Half of the damage goes to the directory, where it weighs most.
      const directory = new DataView(original.buffer).getUint32(original.length - 6, true);
      return mutate(original, random, random.integer(2) ? options : { ...options, from: directory });
    }, parsePth);
    expectVariety(found, 12);
  });

  it("archives that are sound around a damaged pickle", () => {
    const two = dict([
      ["w", tensor()],
      ["state_dict", dict([["v", tensor({ key: "1", storage: 4, shape: [2, 2], strides: [1, 2] })]])],
      ["epoch", int(300)],
    ]);
    const contents = [twoFloats, new Uint8Array(16)];
    const storages = contents.map((content, i): ZipEntry => ({ name: `a/data/${i}`, content }));
    const options = { tokens: pickleTokens };
    const found = outcomes((random) => archive(mutate(pickle(two), random, options), storages), parsePth);
    expectVariety(found, 12);
  });

  it("torch's legacy files", () => {
    const originals = ["tensors-legacy.pth", "run-legacy.pth"].map(file);
    const options = { tokens: pickleTokens };
    const found = outcomes((random) => mutate(originals[random.integer(2)]!, random, options), parsePth);
    expectVariety(found, 18);
  });

  it("a reader that believes what a file says would be noticed", () => {
    const believing = (bytes: Uint8Array): TensorFile => {
      const claimed = new DataView(bytes.buffer).getUint32(0, true);
      const data = new Float32Array(claimed).subarray(0, 0); // none of which it returns, but all of which it made
      return { metadata: {}, tensors: new Map([["x", { shape: [0], data } as never]]) };
    };
    const lying = () => Uint8Array.from([0, 0, 16, 0]);
    expect(() => outcomes(lying, believing)).toThrow("for a file of 4");
  });
});

describe("hostile files of a megabyte take memory in proportion, and end", () => {
  const million = 1_000_000;
  it.each([
    ["safetensors: nesting", () => parseSafetensors(headed("[".repeat(million)))],
    [
      "safetensors: a shape of a million numbers",
      () => parseSafetensors(headed(`{"x":{"shape":[${"1,".repeat(million)}`)),
    ],
    ["safetensors: a string of backslashes", () => parseSafetensors(headed(`{"${"\\".repeat(million)}`))],
    [
      "safetensors: a number of a million digits",
      () => parseSafetensors(headed(`{"x":{"shape":[${"9".repeat(million)}`)),
    ],
    ["marks", () => parsePth(pickled("(".repeat(million)))],
    ["dicts", () => parsePth(pickled(`](${"}".repeat(million)}e`))],
    ["dicts, forgotten again", () => parsePth(pickled("}(u(t0".repeat(million / 6)))],
    ["the memo", () => parsePth(pickled(`N${"q\x00".repeat(million / 2)}`))],
    [
      "the memo, with other places",
      () =>
        parsePth(
          pickled(
            `N${Array.from({ length: million / 5 }, (_, i) => `r${i.toString().padStart(4, "0").slice(-4)}`).join("")}`,
          ),
        ),
    ],
    ["tuples of themselves", () => parsePth(pickled(`)q\x00${"h\x00h\x00\x86q\x00".repeat(million / 7)}`))],
    ["strings", () => parsePth(pickled(`](${"X\x02\0\0\0ab".repeat(12_000)}e`.repeat(12)))],
    ["integers", () => parsePth(pickled(`\x8a\xff${"\x7f".repeat(255)}`.repeat(million / 257)))],
    ["end records", () => parsePth(latin1(`PK\x03\x04${"PK\x05\x06".repeat(million / 4)}`))],
    [
      "entries",
      () => parsePth(writeZip(Array.from({ length: 9000 }, (_, i) => ({ name: `a/${i}`, content: latin1("") })))),
    ],
  ])("%s", (_, parse) => {
    let message = "";
    const allocated = allocatedBy(() => {
      try {
        parse();
      } catch (error) {
        message = (error as Error).message;
      }
    });
    expect(message).toMatch(/^(pth|safetensors): /);
    expect(allocated).toBeLessThan(allowed(4 * million)); // the test's own strings and copies of them count, too
  });
});

function headed(header: string): Uint8Array {
  return Uint8Array.from([...le([8, header.length]), ...latin1(header)]);
}

function pickled(opcodes: string): Uint8Array {
  return writeZip([{ name: "a/data.pkl", content: latin1(`\x80\x02${opcodes}.`) }]);
}
