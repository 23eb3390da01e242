import { describe, expect, it } from "vitest";
import { Tape } from "../../src/autograd/index.ts";
import { fromHalf, toHalf } from "../../src/half.ts";
import { accumulate, reluForward, scale } from "../../src/kernels/elementwise.ts";
import { bindingsOf, moduleSource, withHalves } from "../../src/kernels/kernel.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";

const device = await testDevice();

/** Values as the device stores them in f16. */
async function stored(values: Float32Array): Promise<Float32Array> {
  const tape = new Tape(device, { precision: "f16" });
  const x = tape.input("x", [values.length]);
  const y = tape.empty("y", [values.length], { dtype: "f16" });
  tape.push(scale(values.length / 4, 1, { x, y }));
  const program = await tape.compile([y]);
  program.write(x, values);
  program.run();
  const read = await program.read(y);
  program.destroy();
  return read;
}

describe.skipIf(!device.hasHalves)("f16 on the device", () => {
  it("is rounded as on the host, and an overflow is an infinity", async () => {
    const random = new Random(0, "halves");
    const magnitudes = Float32Array.from({ length: 4096 }, () => random.normal() * 2 ** random.uniform(-13, 18));
    const middles = Float32Array.from({ length: 4096 }, () => {
      const bits = 0x400 + random.integer(0x7800 - 1);
      return (fromHalf(bits) + fromHalf(bits + 1)) / 2;
    });
    const edges = Float32Array.of(0, 65504, 65519, 65520, 65536, -7e4, 1e30, 3e38);
    for (const values of [magnitudes, middles, edges]) {
      expect(await stored(values)).toEqual(values.map((value) => fromHalf(toHalf(value))));
    }
  });

  it("NaN stays NaN", async () => {
    expect([...(await stored(Float32Array.of(1, Number.NaN, 2, 3)))]).toEqual([1, Number.NaN, 2, 3]);
  });

  it("a tensor that a kernel takes in f32 only is refused by name", () => {
    const tape = new Tape(device, { precision: "f16" });
    const x = tape.input("x", [4], { dtype: "f16" });
    const total = tape.input("total", [4]);
    tape.push(accumulate(1, { x, total }));
    expect(() => tape.plan([total])).toThrow("accumulate: x cannot be stored as f16");
  });
});

it.skipIf(device.hasHalves)("an adapter without f16 is refused by flag, name and feature", () => {
  expect(() => new Tape(device, { precision: "f16" })).toThrow(
    /^--precision f16: the adapter \(.+\) has no shader-f16; f32 runs$/,
  );
});

it("the variant for some bindings is one object, named after them", () => {
  const { kernel } = reluForward(1, { x: 0, y: 0 });
  expect(withHalves(kernel, [])).toBe(kernel);
  const both = withHalves(kernel, ["x", "y"]);
  expect(withHalves(kernel, ["x", "y"])).toBe(both);
  expect(both.name).toBe("relu_forward_f16");
  expect(withHalves(kernel, ["y"]).name).toBe("relu_forward_f16_y");
  expect(bindingsOf(withHalves(kernel, ["y"])).map(({ type }) => type)).toEqual(["vec4", "vec4h"]);
  expect(moduleSource(kernel)).not.toContain("f16");
});
