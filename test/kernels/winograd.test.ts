import { afterAll, describe, expect, it } from "vitest";
import { conv2d, Tape } from "../../src/autograd/index.ts";
import type { Conv2dShape } from "../../src/kernels/conv2d.ts";
import { Device } from "../../src/kernels/device.ts";
import { type ConvolutionProduct, isWinogradFaster } from "../../src/kernels/winograd/choice.ts";
import { AlgorithmChoices } from "../../src/kernels/winograd/choices.ts";
import { filtering, type Matrix, transpose } from "../../src/kernels/winograd/matrices.ts";
import { winogradPoints } from "../../src/kernels/winograd/winograd.ts";
import { firstAdapter } from "../../src/node/adapter.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";
import { settings } from "../training/settings.ts";

const times = (matrix: Matrix, vector: readonly number[]) =>
  matrix.map((row) => row.reduce((sum, c, j) => sum + c * vector[j]!, 0));

describe("F(m, r)", () => {
  it.each([
    [2, 3, [0, 1, -1]],
    [4, 3, [0, 0.75, -0.75, 1.5, -1.5]],
    [3, 2, [0, 1, -1]],
    [6, 3, [0, 1, -1, 2, -2, 0.5, -0.5]],
  ])("F(%i, %i) on %j is the filter, and its transpose the gradient", (m, r, points) => {
    const { aT, bT, g, n } = filtering(m, r, points);
    const random = new Random(0, `${m} ${r}`);
    const draw = (length: number) => Array.from({ length }, () => random.normal());
    const [d, w, dy] = [draw(n), draw(r), draw(m)];
    const [x, u, z] = [times(bT, d), times(g, w), times(transpose(aT), dy)];
    const y = times(
      aT,
      x.map((value, i) => value * u[i]!),
    );
    const dw = times(
      transpose(g),
      x.map((value, i) => value * z[i]!),
    );
    y.forEach((value, i) => {
      expect(value).toBeCloseTo(
        w.reduce((sum, tap, k) => sum + tap * d[i + k]!, 0),
        10,
      );
    });
    dw.forEach((value, k) => {
      expect(value).toBeCloseTo(
        dy.reduce((sum, slope, i) => sum + slope * d[i + k]!, 0),
        10,
      );
    });
  });

  it("refuses a wrong number of points, or one twice", () => {
    expect(() => filtering(4, 3, [0, 1, -1])).toThrow("F(4, 3) needs 5 different finite points, not [0,1,-1]");
    expect(() => filtering(2, 3, [0, 1, 1])).toThrow("F(2, 3) needs 3 different finite points");
  });
});

/** matrix · X · matrixᵀ with every product and sum rounded to float32. */
function transform32(matrix: Matrix, x: Matrix): Matrix {
  const { fround } = Math;
  const columns = (m: Matrix, of: Matrix): Matrix =>
    m.map((row) =>
      of[0]!.map((_, j) =>
        row.reduce((sum, c, k) => (c === 0 ? sum : fround(sum + fround(fround(c) * of[k]![j]!))), 0),
      ),
    );
  return transpose(columns(matrix, transpose(columns(matrix, x))));
}

/** The relative errors of F(m×m, 3×3) over 64 channels of normal numbers in float32, and of the direct sums. */
function errors32(m: number, points: readonly number[]): { winograd: number; direct: number } {
  const { fround } = Math;
  const { aT, bT, g, n } = filtering(m, 3, points);
  const random = new Random(0, "errors");
  const draw = (size: number) =>
    Array.from({ length: size }, () => Array.from({ length: size }, () => fround(random.normal())));
  const zeros = (size: number) => Array.from({ length: size }, () => new Array<number>(size).fill(0));
  const squares = { winograd: 0, direct: 0, exact: 0 };
  for (let trial = 0; trial < 30; trial++) {
    const [sums, direct, exact] = [zeros(n), zeros(m), zeros(m)];
    for (let channel = 0; channel < 64; channel++) {
      const [d, w] = [draw(n), draw(3)];
      const [v, u] = [transform32(bT, d), transform32(g, w)];
      for (let i = 0; i < n * n; i++) {
        const [row, column] = [Math.floor(i / n), i % n];
        sums[row]![column] = fround(sums[row]![column]! + fround(v[row]![column]! * u[row]![column]!));
      }
      for (let i = 0; i < 9 * m * m; i++) {
        const [row, column, r, s] = [Math.floor(i / (9 * m)), Math.floor(i / 9) % m, Math.floor((i % 9) / 3), i % 3];
        const product = d[row + r]![column + s]! * w[r]![s]!;
        exact[row]![column]! += product;
        direct[row]![column] = fround(direct[row]![column]! + fround(product));
      }
    }
    const y = transform32(aT, sums);
    for (let i = 0; i < m * m; i++) {
      const [row, column] = [Math.floor(i / m), i % m];
      const reference = exact[row]![column]!;
      squares.winograd += (y[row]![column]! - reference) ** 2;
      squares.direct += (direct[row]![column]! - reference) ** 2;
      squares.exact += reference ** 2;
    }
  }
  return { winograd: Math.sqrt(squares.winograd / squares.exact), direct: Math.sqrt(squares.direct / squares.exact) };
}

it("the points lose half as many digits as the usual ones, in float32", () => {
  const [h, k] = [Math.SQRT1_2, Math.SQRT2];
  const tried: [number, readonly number[]][] = [
    [4, winogradPoints],
    [4, [0, 1, -1, 2, -2]],
    [4, [0, 1, -1, 0.5, -0.5]],
    [4, [0, 1, -1, 0.5, -2]],
    [4, [0, 0.5, -0.5, 1.5, -1.5]],
    [4, [0, h, -h, k, -k]],
    [2, [0, 1, -1]],
  ];
  const errors = tried.map(([m, points]) => errors32(m, points));
  if (process.env.AENET_FIGURES) {
    const lines = tried.map(([m, points], i) => {
      const { winograd, direct } = errors[i]!;
      return `F(${m}×${m}, 3×3) on ${points}: ${winograd.toExponential(1)}, direct ${direct.toExponential(1)}`;
    });
    console.log(lines.join("\n"));
  }
  const [chosen, usual] = errors;
  expect(chosen!.winograd).toBeLessThan(0.7 * usual!.winograd);
  expect(chosen!.winograd).toBeLessThan(3 * chosen!.direct);
});

const opened: Device[] = [];
afterAll(() => {
  for (const device of opened.splice(0)) device.destroy();
});

async function run(device: Device, algorithm: "direct" | "winograd", shape: readonly number[]) {
  const tape = new Tape(device);
  const channels = shape.at(-1)!;
  const [streams] = shape;
  const x = tape.input("x", shape, { needsGrad: true });
  const weight = tape.input("weight", [streams!, 3, 3, channels, channels], { layout: "weight", needsGrad: true });
  const dy = tape.input("dy", shape);
  const y = conv2d(x, weight, { padding: 1, algorithm });
  tape.backward(y, dy);
  const outputs = { y, "d(x)": tape.gradient(x)!, "d(weight)": tape.gradient(weight)! };
  const program = await tape.compile(Object.values(outputs));
  for (const input of [x, weight, dy]) {
    const random = new Random(0, input.name);
    program.write(
      input,
      Float32Array.from({ length: input.size }, () => random.normal()),
    );
  }
  program.run();
  const results = new Map<string, Float32Array>();
  for (const [name, tensor] of Object.entries(outputs)) results.set(name, (await program.read(tensor)).slice());
  const kernels = tape.dispatches.map(({ kernel }) => kernel.name);
  program.destroy();
  return { results, kernels };
}

it("both algorithms give the same, and neither is the other", async () => {
  const device = await testDevice();
  const shape = [3, 2, 13, 10, 48];
  const direct = await run(device, "direct", shape);
  const winograd = await run(device, "winograd", shape);
  expect(direct.kernels.filter((name) => name.includes("winograd"))).toEqual([]);
  expect(winograd.kernels.every((name) => /^conv2d_\w+_winograd_/.test(name))).toBe(true);
  for (const [name, values] of direct.results) {
    const other = winograd.results.get(name)!;
    const norm = Math.hypot(...values);
    const error = Math.hypot(...values.map((value, i) => value - other[i]!)) / norm;
    expect(error, name).toBeLessThan(5e-6);
    expect(error, name).toBeGreaterThan(0);
  }
});

it("a workspace that the adapter does not allow whole is bound by stream, to the same bits", async () => {
  const { value: small } = await firstAdapter(settings(), (adapter, platform) =>
    Device.request(adapter, platform, { maxStorageBufferBindingSize: 40_000 }),
  );
  opened.push(small);
  const shape = [2, 1, 8, 8, 16];
  const whole = await run(await testDevice(), "winograd", shape);
  const sliced = await run(small, "winograd", shape);
  expect(sliced.results).toEqual(whole.results);
});

it("other convolutions are refused by the rule", async () => {
  const tape = new Tape(await testDevice());
  const x = tape.input("x", [1, 1, 4, 4, 4]);
  const weight = tape.input("weight", [1, 3, 3, 4, 4], { layout: "weight" });
  expect(() => conv2d(x, weight, { stride: 2, padding: 1, algorithm: "winograd" })).toThrow(
    "conv2d: x [1,1,4,4,4] f32, weight [1,3,3,4,4], stride 2 and padding 1: winograd needs f32, a 3×3 kernel, stride 1",
  );
});

describe("the choice", () => {
  const shapeOf = (streams: number, batch: number, side: number, channels: number): Conv2dShape => ({
    ...{ streams, sharedInput: false, batch, height: side, width: side, inChannels: channels },
    channels: { in: channels, out: channels },
    ...{ outHeight: side, outWidth: side, outChannels: channels },
    ...{ kernelHeight: 3, kernelWidth: 3, stride: 1, padding: 1 },
  });
  const products: ConvolutionProduct[] = ["forward", "input gradient", "weight gradient"];
  const chosen = (s: Conv2dShape, kind: "lavapipe" | "gpu" = "lavapipe", maxStorageBufferBindingSize = 2 ** 27) => {
    const platform = { kind, description: "", idle: async () => {} };
    const limits = { maxStorageBufferBindingSize } as Device["limits"];
    return products.filter((product) => isWinogradFaster({ platform, limits }, product, s));
  };

  it("takes Winograd's where pixels are many for the weights", () => {
    expect(chosen(shapeOf(1, 2, 56, 64))).toEqual(products);
    expect(chosen(shapeOf(1, 2, 28, 128))).toEqual(products);
    expect(chosen(shapeOf(3, 8, 16, 64))).toEqual(products);
    expect(chosen(shapeOf(1, 2, 14, 256))).toEqual(products);
    expect(chosen(shapeOf(3, 4, 16, 64))).toEqual(["forward", "weight gradient"]);
    expect(chosen(shapeOf(1, 4, 4, 256))).toEqual([]);
    expect(chosen(shapeOf(1, 2, 7, 512))).toEqual([]);
    expect(chosen(shapeOf(1, 64, 56, 64), "gpu")).toEqual(products);
  });

  it("leaves other convolutions, and images that the streams share, to the direct algorithm", () => {
    const s = shapeOf(3, 8, 56, 64);
    expect(chosen({ ...s, stride: 2, outHeight: 28, outWidth: 28 })).toEqual([]);
    expect(chosen({ ...s, kernelHeight: 1, kernelWidth: 1, padding: 0 })).toEqual([]);
    expect(chosen({ ...s, sharedInput: true })).toEqual([]);
  });

  it("is kept by product, and is a former run's once that is fixed; algorithms that are no more are told", () => {
    const platform = { kind: "lavapipe" as const, description: "", idle: async () => {} };
    const adapter = { platform, limits: { maxStorageBufferBindingSize: 2 ** 27 } as Device["limits"] };
    const [many, few] = [shapeOf(1, 2, 56, 64), shapeOf(1, 4, 4, 256)];
    const choices = new AlgorithmChoices(adapter);
    expect([choices.choose("forward", many), choices.choose("weight gradient", few)]).toEqual(["winograd", "direct"]);
    // Without a choice there is nothing to keep.
    expect(choices.choose("forward", { ...many, sharedInput: true })).toBe("direct");
    expect(choices.made).toEqual({
      "conv2d forward 1x2x56x56x64x64 padding=1": "winograd",
      "conv2d weight gradient 1x4x4x4x256x256 padding=1": "direct",
    });

    const resumed = new AlgorithmChoices(adapter);
    const [first, second] = Object.keys(choices.made);
    expect(resumed.fix({ [first!]: "direct", [second!]: "winograd" })).toEqual([]);
    expect([resumed.choose("forward", many), resumed.choose("weight gradient", few)]).toEqual(["direct", "winograd"]);
    expect(resumed.choose("input gradient", many)).toBe("winograd"); // it was not in that run
    expect(resumed.fix({ [first!]: "fourier" })).toEqual(["fourier"]);
    expect(resumed.choose("forward", many)).toBe("winograd");
  });

  it("takes no workspace whose stream cannot be bound", () => {
    const s = shapeOf(3, 64, 56, 64);
    const stream = 64 * 14 * 14 * 36 * 64 * 4;
    expect(chosen(s, "lavapipe", 2 ** 27)).toEqual(products);
    expect(chosen(s, "lavapipe", stream)).toEqual([]);
  });
});
