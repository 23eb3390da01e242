import { describe, expect, it } from "vitest";
import {
  parseSafetensors,
  SafetensorsError,
  type SafetensorsFault,
  serializeSafetensors,
  type TensorData,
} from "../../src/nn/safetensors.ts";

const tensor = (shape: number[], fill: (i: number) => number = (i) => i): TensorData => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => fill(i)),
});

/** A file with this header text and this many bytes of data. */
function file(header: string, dataBytes = 0, headerBytes = new TextEncoder().encode(header).length): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(text, 8);
  return bytes;
}

function faultOf(bytes: Uint8Array): SafetensorsFault | "accepted" {
  try {
    parseSafetensors(bytes);
    return "accepted";
  } catch (error) {
    if (error instanceof SafetensorsError) return error.fault;
    throw error;
  }
}

const sample = new Map<string, TensorData>([
  ["conv1.weight", tensor([2, 3, 1, 1], (i) => i / 7)],
  ["bn1.weight", tensor([3], () => Math.fround(1 / 3))],
  ["empty", tensor([0, 4])],
  ["scalar", tensor([], () => -0)],
  ["7", tensor([1], () => Number.NaN)],
]);

describe("safetensors", () => {
  it("returns what was written, in the given order", () => {
    const metadata = { zebra: "1", arch: 'a"\\\u00e9\u{1f4f7}', "": "" };
    const parsed = parseSafetensors(serializeSafetensors(sample, metadata));
    expect(parsed.metadata).toEqual(metadata);
    expect(Object.keys(parsed.metadata)).toEqual(Object.keys(metadata));
    expect([...parsed.tensors.keys()]).toEqual([...sample.keys()]);
    for (const [name, { shape, data }] of sample) {
      expect(parsed.tensors.get(name)!.shape).toEqual(shape);
      expect(new Uint8Array(parsed.tensors.get(name)!.data.slice().buffer)).toEqual(
        new Uint8Array(data.slice().buffer),
      );
    }
  });

  it("writes equal bytes for equal input, the header padded with spaces to 8", () => {
    const bytes = serializeSafetensors(new Map([["x", tensor([1], () => 1)]]), { b: "2", a: "1" });
    const header = '{"__metadata__":{"b":"2","a":"1"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} ';
    expect(header.length % 8).toBe(0);
    const expected = file(header, 4);
    expected.set([0, 0, 0x80, 0x3f], 8 + header.length);
    expect(bytes).toEqual(expected);
  });

  it("refuses to write a tensor whose data does not fit its shape", () => {
    const wrong = new Map([["w", { shape: [2, 2], data: new Float32Array(3) }]]);
    expect(() => serializeSafetensors(wrong)).toThrow('tensor "w" has 3 numbers, but [2, 2] 4');
    expect(() => serializeSafetensors(new Map([["__metadata__", tensor([1])]]))).toThrow("__metadata__");
  });

  it("reads F32 from any address, and from Node's buffers", () => {
    const bytes = serializeSafetensors(new Map([["x", tensor([3])]]));
    for (const offset of [0, 1, 2, 3]) {
      const shifted = Buffer.alloc(bytes.length + offset);
      shifted.set(bytes, offset);
      expect([...parseSafetensors(shifted.subarray(offset)).tensors.get("x")!.data]).toEqual([0, 1, 2]);
    }
  });

  it.each([
    ["F64", new Float64Array([1.5, -1e300, 0.1]), [1.5, Number.NEGATIVE_INFINITY, Math.fround(0.1)]],
    [
      "F16",
      new Uint16Array([0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0xfc00, 0x3555, 0x7e00, 0x0400]),
      [1, -2, 2 ** -24, 1023 * 2 ** -24, 65504, Number.NEGATIVE_INFINITY, 1365 * 2 ** -12, Number.NaN, 2 ** -14],
    ],
    ["BF16", new Uint16Array([0x3f80, 0xc040, 0x7f80, 0x0001]), [1, -3, Number.POSITIVE_INFINITY, 2 ** -133]],
    ["I64", new BigInt64Array([-1n, 2n ** 53n]), [-1, 2 ** 53]],
    ["U64", new BigUint64Array([2n ** 63n]), [2 ** 63]],
    ["I32", new Int32Array([-5, 7]), [-5, 7]],
    ["U32", new Uint32Array([2 ** 31]), [2 ** 31]],
    ["I16", new Int16Array([-300]), [-300]],
    ["U16", new Uint16Array([65535]), [65535]],
    ["I8", new Int8Array([-128]), [-128]],
    ["U8", new Uint8Array([255]), [255]],
    ["BOOL", new Uint8Array([0, 1]), [0, 1]],
  ])("converts %s to float32", (dtype, stored, expected) => {
    const data = new Uint8Array(stored.buffer as ArrayBuffer);
    const bytes = file(
      `{"x":{"dtype":"${dtype}","shape":[${stored.length}],"data_offsets":[0,${data.length}]}}`,
      data.length,
    );
    bytes.set(data, bytes.length - data.length);
    expect([...parseSafetensors(bytes).tensors.get("x")!.data]).toEqual(expected);
  });

  const one = (rest: string) => `{"x":{${rest}}}`;
  const f32 = (name: string, count: number | string, begin: number | string, end: number | string) =>
    `"${name}":{"dtype":"F32","shape":[${count}],"data_offsets":[${begin},${end}]}`;
  const lies: [SafetensorsFault, string, Uint8Array][] = [
    ["truncated file", "seven bytes", new Uint8Array(7)],
    ["header too large", "2^63", file("{}", 0, 2 ** 63)],
    ["header too large", "100 MB and one", file("{}", 0, 100_000_001)],
    ["header beyond the file", "one byte more than there is", file("{}", 0, 3)],
    ["header not UTF-8", "a lone continuation byte", Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0x80)],
    ["header not JSON", "no text", file("")],
    ["header not JSON", "a leading space", file(" {}")],
    ["header not JSON", "cut short", file('{"x":{"dtype":"F32","shape":[1')],
    ["header not JSON", "a string without an end", file('{"x')],
    ["header not JSON", "an unknown escape", file('{"\\q":{}}')],
    ["header not JSON", "text behind it", file("{}{}")],
    ["header not JSON", "a trailing comma", file(`{${f32("x", 0, 0, 0)},}`)],
    ["header not JSON", "a leading zero", file(`{${f32("x", "01", 0, 4)}}`, 4)],
    ["duplicate key", "two tensors of a name", file(`{${f32("x", 1, 0, 4)},${f32("x", 1, 4, 8)}}`, 8)],
    ["duplicate key", "one of them escaped", file(`{${f32("x", 1, 0, 4)},${f32("\\u0078", 1, 4, 8)}}`, 8)],
    ["duplicate key", "two metadata", file('{"__metadata__":{},"__metadata__":{}}')],
    ["duplicate key", "in the metadata", file('{"__metadata__":{"a":"1","a":"2"}}')],
    ["duplicate key", "two shapes", file(one('"dtype":"F32","shape":[0],"shape":[1],"data_offsets":[0,0]'))],
    ["unknown field", "a fourth field", file(one('"dtype":"F32","shape":[0],"data_offsets":[0,0],"device":"cpu"'))],
    ["missing field", "no dtype", file(one('"shape":[0],"data_offsets":[0,0]'))],
    ["missing field", "no shape", file(one('"dtype":"F32","data_offsets":[0,0]'))],
    ["missing field", "no offsets", file(one('"dtype":"F32","shape":[0]'))],
    ["wrong type", "a tensor that is an array", file('{"x":[]}')],
    ["wrong type", "metadata that is a number", file('{"__metadata__":{"step":1}}')],
    ["wrong type", "a nested shape", file(one('"dtype":"F32","shape":[[1]],"data_offsets":[0,4]'), 4)],
    ["wrong type", "one offset", file(one('"dtype":"F32","shape":[1],"data_offsets":[4]'), 4)],
    ["wrong type", "a dtype that is null", file(one('"dtype":null,"shape":[1],"data_offsets":[0,4]'), 4)],
    ["bad name", "half a surrogate pair", file(`{${f32("\\ud800", 0, 0, 0)}}`)],
    ["unknown dtype", "F33", file(one('"dtype":"F33","shape":[1],"data_offsets":[0,4]'), 4)],
    ["unknown dtype", "constructor", file(one('"dtype":"constructor","shape":[1],"data_offsets":[0,4]'), 4)],
    ["unsupported dtype", "F8_E4M3", file(one('"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]'), 4)],
    ["too many dimensions", "a thousand", file(`{${f32("x", Array(1000).fill(1).join(), 0, 4)}}`, 4)],
    ["too many dimensions", "three offsets", file(`{${f32("x", 1, 0, "4,4")}}`, 4)],
    ["negative number", "a dimension", file(`{${f32("x", "-1,-1", 0, 4)}}`, 4)],
    ["negative number", "an offset", file(`{${f32("x", 1, -4, 0)}}`, 4)],
    ["non-integer number", "1.5", file(`{${f32("x", 1.5, 0, 6)}}`, 6)],
    ["non-integer number", "1e0", file(`{${f32("x", "1e0", 0, 4)}}`, 4)],
    ["huge number", "a dimension of 2^60", file(`{${f32("x", "1152921504606846976", 0, 4)}}`, 4)],
    ["huge number", "a hundred digits", file(`{${f32("x", "9".repeat(100), 0, 4)}}`, 4)],
    ["huge number", "a product that overflows", file(`{${f32("x", "4294967296,4294967296", 0, 0)}}`)],
    ["huge number", "a product that overflows before a zero", file(`{${f32("x", "4294967296,4294967296,0", 0, 0)}}`)],
    ["misordered offsets", "end before begin", file(`{${f32("x", 1, 4, 0)}}`, 4)],
    ["wrong byte length", "three bytes for a float", file(`{${f32("x", 1, 0, 3)}}`, 3)],
    ["overlap", "two on one range", file(`{${f32("x", 1, 0, 4)},${f32("y", 1, 0, 4)}}`, 4)],
    ["overlap", "by two bytes", file(`{${f32("x", 1, 0, 4)},${f32("y", 1, 2, 6)}}`, 6)],
    ["hole", "before the first", file(`{${f32("x", 1, 4, 8)}}`, 8)],
    ["hole", "between two", file(`{${f32("x", 1, 0, 4)},${f32("y", 1, 8, 12)}}`, 12)],
    ["data beyond the file", "truncated", file(`{${f32("x", 2, 0, 8)}}`, 4)],
    ["data beyond the file", "a terabyte", file(`{${f32("x", 2 ** 38, 0, 2 ** 40)}}`, 4)],
    ["trailing bytes", "one", file(`{${f32("x", 1, 0, 4)}}`, 5)],
    ["trailing bytes", "behind an empty header", file("{}", 8)],
  ];
  it.each(lies)("refuses by the fault's name: %s (%s)", (fault, _, bytes) => {
    expect(faultOf(bytes)).toBe(fault);
  });

  it("accepts what the format allows: any order of fields and tensors, spaces, tensors without bytes", () => {
    const header = ` ${f32("y", 1, 4, 8)}, "e" : { "shape" : [ 0 , 7 ] , "data_offsets":[4,4],"dtype":"U8" },\n${f32("x", 1, 0, 4)}`;
    expect([...parseSafetensors(file(`{${header}}   `, 8)).tensors.keys()]).toEqual(["y", "e", "x"]);
  });

  it("keeps keys that mean something to JavaScript as plain data", () => {
    const parsed = parseSafetensors(file(`{"__metadata__":{"__proto__":"p"},${f32("__proto__", 1, 0, 4)}}`, 4));
    expect(Object.getOwnPropertyDescriptor(parsed.metadata, "__proto__")?.value).toBe("p");
    expect([...parsed.tensors.keys()]).toEqual(["__proto__"]);
  });
});
