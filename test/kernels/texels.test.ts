/** Inputs read through textures are the tensors that they are copies of. */
import { expect, it } from "vitest";
import { Tape, type Tensor } from "../../src/autograd/index.ts";
import { Device } from "../../src/kernels/device.ts";
import { defineKernel, dispatch, divideUp } from "../../src/kernels/kernel.ts";
import { copiesToTexels, withTexels } from "../../src/kernels/texels.ts";
import { firstAdapter } from "../../src/node/adapter.ts";
import { parseAdapterChoice } from "../../src/node/index.ts";
import { testDevice } from "../support/device.ts";

const device = await testDevice();

/** y = x + 2 · b, whose index runs backwards. */
const kernel = defineKernel({
  name: "add_reversed",
  inputs: { x: "vec4", b: "vec4" },
  outputs: { y: "vec4f" },
  params: { size: "u32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  let i = group * 64u + lane;
  if (i < params.size) {
    y[i] = load_x(i) + 2.0 * load_b(params.size - 1u - i);
  }
}`,
});

const add = (texels: readonly ("x" | "b")[], t: { x: Tensor; b: Tensor; y: Tensor }) => {
  const size = t.x.paddedSize / 4;
  return dispatch<Tensor, string, string>(withTexels(kernel, texels), t, { size }, divideUp(size, 64));
};

/** x + 2 · b for vectors of four floats in reverse order. */
function expected(x: Float32Array, b: Float32Array): Float32Array {
  return x.map((value, i) => value + 2 * b[b.length - 4 - i + 2 * (i % 4)]!);
}

const ramp = (length: number, from: number) => Float32Array.from({ length }, (_, i) => from + i);

// A row of a texture holds 1024 texels.
it.each([
  ["one texel", 1],
  ["part of a row", 1000],
  ["a row", 1024],
  ["a row and a texel", 1025],
  ["rows", 3072],
  ["rows and a part", 5000],
])("%s", async (_, texels) => {
  const [x, b] = [ramp(4 * texels, 1), ramp(4 * texels, 0.5)];
  for (const names of [["x"], ["b"], ["x", "b"]] as const) {
    const tape = new Tape(device);
    const input = (name: string) => tape.input(name, [4 * texels], { layout: "flat" });
    const t = { x: input("x"), b: input("b"), y: tape.empty("y", [4 * texels], { layout: "flat" }) };
    tape.push(add(names, t));
    const program = await tape.compile([t.y]);
    program.write(t.x, x);
    program.write(t.b, b);
    program.run();
    expect(await program.read(t.y)).toEqual(expected(x, b));
    program.destroy();
  }
});

it.each([
  ["a part of a row by itself", 500, 500, [[500, 1]]],
  ["rows by themselves", 2048, 2048, [[1024, 2]]],
  ["one call where the buffer goes on", 1500, 2048, [[1024, 2]]],
  [
    "two at its end",
    1500,
    2047,
    [
      [1024, 1],
      [476, 1],
    ],
  ],
])("copies %s", (_, texels, inBuffer, sizes) => {
  const buffer = { size: 16 * (100 + inBuffer) } as GPUBuffer;
  const copies = copiesToTexels({ buffer, offset: 1600, size: 16 * texels }, {} as GPUTexture);
  expect(copies.map(([, , size]) => size)).toEqual(sizes);
});

it("a tensor that changes is read as it is by then, in later runs too", async () => {
  const size = 4 * 1500;
  const tape = new Tape(device);
  const vector = (name: string) => tape.empty(name, [size], { layout: "flat" });
  const [x, b] = ["x", "b"].map((name) => tape.input(name, [size], { layout: "flat" })) as [Tensor, Tensor];
  const [first, second, third] = ["first", "second", "third"].map(vector) as [Tensor, Tensor, Tensor];
  tape.push(
    add(["x", "b"], { x, b, y: first }),
    add(["x", "b"], { x: first, b, y: second }), // b is held, first is not
    add(["x", "b"], { x: second, b: first, y: third }),
  );
  const program = await tape.compile([third]);
  for (const from of [1, 100]) {
    const values = { x: ramp(size, from), b: ramp(size, 2 * from) };
    program.write(x, values.x);
    program.write(b, values.b);
    program.run();
    const one = expected(values.x, values.b);
    expect(await program.read(third)).toEqual(expected(expected(one, values.b), one));
  }
  program.destroy();
});

it("textures count as the program's memory and go with it", async () => {
  const before = device.allocatedBytes;
  const bytesOf = async (texels: readonly ("x" | "b")[]) => {
    const tape = new Tape(device);
    const [x, b] = ["x", "b"].map((name) => tape.input(name, [4 * 1025], { layout: "flat" })) as [Tensor, Tensor];
    const y = tape.empty("y", [4 * 1025], { layout: "flat" });
    tape.push(add(texels, { x, b, y }));
    const program = await tape.compile([y]);
    const { bytes } = program;
    expect(device.allocatedBytes - before).toBe(bytes);
    program.destroy();
    expect(device.allocatedBytes).toBe(before);
    return bytes;
  };
  const twoRows = 2 * 16 * 1024;
  expect((await bytesOf(["x"])) - (await bytesOf([]))).toBe(twoRows);
  expect((await bytesOf(["x", "b"])) - (await bytesOf([]))).toBe(2 * twoRows);
});

it("a tensor that no texture of the adapter holds is refused before anything is allocated", async () => {
  const adapter = parseAdapterChoice(process.env.AENET_ADAPTER || "auto");
  const { value: small } = await firstAdapter({ adapter }, (adapter, platform) =>
    Device.request(adapter, platform, { maxTextureDimension2D: 2 }),
  );
  const refusalOf = (texels: number) => {
    const tape = new Tape(small);
    const [x, b] = ["x", "b"].map((name) => tape.input(name, [4 * texels], { layout: "flat" })) as [Tensor, Tensor];
    const y = tape.empty("y", [4 * texels], { layout: "flat" });
    tape.push(add(["x"], { x, b, y }));
    return () => tape.plan([y]);
  };
  expect(refusalOf(2048)).not.toThrow();
  expect(refusalOf(2049)).toThrow("through a texture needs 49152 bytes, the adapter allows 32768 in one");
  small.destroy();
});

it("a variant is made only of inputs whose storage is open", () => {
  expect(withTexels(kernel, [])).toBe(kernel);
  expect(() => withTexels(kernel, ["y"])).toThrow("add_reversed: y cannot be read through a texture");
  expect(() => withTexels(withTexels(kernel, ["x"]), ["x"])).toThrow("x cannot be read through a texture");
});
