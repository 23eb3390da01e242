import { constants, deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { PthError } from "../../src/nn/pth/fault.ts";
import { inflate } from "../../src/nn/pth/inflate.ts";
import { Random } from "../../src/random.ts";
import { mutate } from "./mutate.ts";

/** Noise, a few letters, long repetitions, or text-like pieces said again. */
function content(random: Random): Uint8Array {
  const length = random.integer(2) ? random.integer(300) : random.integer(70_000);
  const letters = [256, 2, 1, 20][random.integer(4)]!;
  const bytes = Uint8Array.from({ length }, () => random.integer(letters));
  for (let i = random.integer(20); i > 0 && length > 0; i--)
    bytes.copyWithin(random.integer(length), random.integer(length), random.integer(length));
  return bytes;
}

describe("inflate", () => {
  it("gives back what zlib deflated, at every level and with every strategy", () => {
    for (let round = 0; round < 300; round++) {
      const random = new Random(1, "inflate", round);
      const bytes = content(random);
      const strategy = [
        constants.Z_DEFAULT_STRATEGY,
        constants.Z_FIXED,
        constants.Z_HUFFMAN_ONLY,
        constants.Z_RLE,
        constants.Z_FILTERED,
      ][random.integer(5)]!;
      const packed = deflateRawSync(bytes, { level: random.integer(10), strategy });
      expect(Buffer.compare(inflate(packed, bytes.length), bytes)).toBe(0);
    }
  });

  it.each([
    ["one byte more than announced", [0x4b, 0x04, 0x00], 0],
    ["one byte less than announced", [0x4b, 0x04, 0x00], 2],
    ["cut short", [0x4b], 1],
    ["bytes behind its end", [0x4b, 0x04, 0x00, 0x00, 0x00], 1],
    ["an unknown kind of block", [0x07], 1],
    ["a stored block with an unconfirmed length", [0x01, 1, 0, 0, 0, 65], 1],
    ["a stored block beyond the end", [0x01, 9, 0, 0xf6, 0xff, 65], 9],
    ["a copy from before the first byte", [0x03, 0x02], 3],
    ["nothing", [], 0],
  ])("refuses %s", (_, bytes, size) => {
    expect(() => inflate(Uint8Array.from(bytes), size)).toThrow("pth: damaged deflate stream");
  });

  it("stops at the announced size, however much more there is", () => {
    const bomb = deflateRawSync(new Uint8Array(50_000_000));
    expect(() => inflate(bomb, 1000)).toThrow("more than the 1000 bytes announced");
  });

  it("reads 5,000 damaged streams to the announced size or refuses them", () => {
    const random = new Random(3, "streams");
    const originals = [1, 6, 9].map((level) => deflateRawSync(content(new Random(level, "stream")), { level }));
    const faults = new Map<string, number>();
    for (let round = 0; round < 5000; round++) {
      const size = random.integer(2000);
      try {
        expect(inflate(mutate(originals[round % 3]!, random, { tokens: [new Uint8Array(4)] }), size).length).toBe(size);
      } catch (error) {
        if (!(error instanceof PthError)) throw error;
        faults.set(error.message, (faults.get(error.message) ?? 0) + 1);
      }
    }
    expect(faults.size).toBeGreaterThan(5);
  });
});
