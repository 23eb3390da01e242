/**
 * Every tile computes the same. Inputs are small multiples of 1/8, exact in f16 as all of their products and sums are in
 * f32, so that the order of additions changes nothing, and a result is right to the last bit or wrong.
 */
import { afterEach, describe, expect, it } from "vitest";
import { cases } from "../../src/autograd/gradcheck/cases.ts";
import { checkCase, faultsOf } from "../../src/autograd/gradcheck/check.ts";
import { conv2d, Tape, type Tensor } from "../../src/autograd/index.ts";
import { ndarray, conv2d as referenceConv2d } from "../../src/autograd/reference/index.ts";
import { gemmProblems } from "../../src/kernels/conv2d.ts";
import { type GemmTile, gemm } from "../../src/kernels/gemm/core.ts";
import { type MatrixTile, matrixGemm } from "../../src/kernels/gemm/matrix.ts";
import { everyTile, suits, tileName } from "../../src/kernels/gemm/tiles.ts";
import type { Kernel } from "../../src/kernels/index.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";

const device = await testDevice();
const compile = device.compile.bind(device);

afterEach(() => {
  device.tiles.override = null;
  device.compile = compile;
});

/**
 * No size is a multiple of a tile's; the first is the stem's kernel with one image for all streams, the last has few enough
 * pixels for every stationary tile.
 */
const shapes = [
  { x: [1, 2, 9, 7, 3], weight: [3, 7, 7, 3, 9], stride: 2, padding: 3 },
  { x: [2, 3, 6, 5, 21], weight: [2, 3, 3, 21, 37], stride: 1, padding: 1 },
  { x: [1, 2, 7, 9, 40], weight: [1, 3, 3, 40, 20], stride: 2, padding: 1 },
  { x: [1, 3, 11, 13, 70], weight: [1, 1, 1, 70, 140], stride: 1, padding: 0 },
  { x: [2, 1, 5, 3, 70], weight: [2, 3, 3, 70, 140], stride: 1, padding: 1 },
] as const;
/** For what is slow: both forward products, strides and padding. */
const smallShapes = [
  { x: [1, 2, 5, 4, 3], weight: [2, 3, 3, 3, 7], stride: 2, padding: 1 },
  { x: [2, 1, 5, 3, 18], weight: [2, 3, 3, 18, 22], stride: 1, padding: 1 },
] as const;
type Shape = (typeof shapes | typeof smallShapes)[number];

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** x, weight and dy; y, and the gradients of Σ dy · y, which is linear in x and in weight. */
function exampleOf({ x: xShape, weight: weightShape, stride, padding }: Shape) {
  const random = new Random(0, "strategies", String(xShape));
  const draw = (shape: readonly number[]) =>
    ndarray(
      shape,
      Float64Array.from({ length: sizeOf(shape) }, () => (random.integer(17) - 8) / 8),
    );
  const [x, weight] = [draw(xShape), draw(weightShape)];
  const y = referenceConv2d(x, weight, { stride, padding });
  const dy = draw(y.shape);
  const [dx, dWeight] = [ndarray(xShape), ndarray(weightShape)];
  const [streams, batch, outHeight, outWidth, outChannels] = y.shape as [number, number, number, number, number];
  const [xStreams, , height, width, inChannels] = xShape;
  const [, kernelHeight, kernelWidth] = weightShape;
  for (let row = 0; row < streams * batch * outHeight * outWidth; row++) {
    const [j, i] = [row % outWidth, Math.floor(row / outWidth) % outHeight];
    const n = Math.floor(row / (outWidth * outHeight)) % batch;
    const g = Math.floor(row / (outWidth * outHeight * batch));
    for (let tap = 0; tap < kernelHeight * kernelWidth; tap++) {
      const [h, w] = [Math.floor(tap / kernelWidth) + i * stride - padding, (tap % kernelWidth) + j * stride - padding];
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      const xFrom = ((((xStreams === 1 ? 0 : g) * batch + n) * height + h) * width + w) * inChannels;
      const weightFrom = (g * kernelHeight * kernelWidth + tap) * inChannels * outChannels;
      for (let c = 0; c < inChannels; c++) {
        for (let o = 0; o < outChannels; o++) {
          const slope = dy.data[row * outChannels + o]!;
          dx.data[xFrom + c]! += slope * weight.data[weightFrom + c * outChannels + o]!;
          dWeight.data[weightFrom + c * outChannels + o]! += slope * x.data[xFrom + c]!;
        }
      }
    }
  }
  return { inputs: { x, weight, dy }, expected: { y, dx, dWeight } };
}

const examplesOf = (shapes: readonly Shape[]) => shapes.map((shape) => ({ shape, ...exampleOf(shape) }));
const examples = examplesOf(shapes);
const smallExamples = examplesOf(smallShapes);

/** Which of y, dx and dWeight are not the reference's bits, with the shape. */
async function wrongResults(tile: GemmTile, of = examples): Promise<string[]> {
  device.tiles.override = (product) => (suits(tile, product) ? tile : null);
  const wrong: string[] = [];
  for (const { shape, inputs, expected } of of) {
    const tape = new Tape(device, { training: true });
    const x = tape.input("x", shape.x, { needsGrad: true });
    const weight = tape.input("weight", shape.weight, { needsGrad: true, layout: "weight" });
    const y = conv2d(x, weight, shape);
    const dy = tape.input("dy", y.shape);
    tape.backward(y, dy);
    const outputs = { y, dx: tape.gradient(x)!, dWeight: tape.gradient(weight)! };
    const program = await tape.compile(Object.values(outputs), { poison: true });
    for (const [tensor, { data }] of [
      [x, inputs.x],
      [weight, inputs.weight],
      [dy, inputs.dy],
    ] as const) {
      program.write(tensor, data);
    }
    program.run();
    for (const [name, tensor] of Object.entries(outputs) as [keyof typeof outputs, Tensor][]) {
      const values = await program.read(tensor);
      const { data } = expected[name];
      const at = data.findIndex((value, i) => value !== values[i]);
      if (at >= 0) wrong.push(`${name} [${tensor.shape}] of x [${shape.x}]: ${values[at]} is not ${data[at]} at ${at}`);
    }
    program.destroy();
  }
  return wrong;
}

/** Has `change` for every matrix product with the tile. */
function replaceKernels(tile: GemmTile, change: (kernel: Kernel, problem: (typeof problems)[number]) => Kernel): void {
  const changed = new Map(problems.map((problem) => [gemm(problem, tile), change(gemm(problem, tile), problem)]));
  device.compile = (kernel) => compile(changed.get(kernel) ?? kernel);
}
const problems = gemmProblems();

describe("all products, to the last bit", () => {
  const tiles = new Map(everyTile(device).map((tile) => [tileName(tile), tile]));
  // Tiles of the table for another number of lanes cannot run here.
  const runnable = [...tiles].filter(([, tile]) => !("lanes" in tile) || tile.lanes === device.subgroupSize);

  it.each(runnable)("%s", async (_, tile) => {
    expect(await wrongResults(tile)).toEqual([]);
  });

  it("are seen to be wrong where a single sum is", async () => {
    const tile = runnable.find(([, { strategy }]) => strategy === "register")![1];
    replaceKernels(tile, (kernel) => ({ ...kernel, wgsl: kernel.wgsl.replace("c1_0 += a", "c1_0 -= a") }));
    expect(await wrongResults(tile)).toHaveLength(3 * shapes.length);
  });
});

describe.skipIf(!device.gpu.features.has("shader-f16"))("with the operations of matrix units spelt out", () => {
  const tile: MatrixTile = {
    strategy: "matrix",
    // Small ones, as every lane computes whole matrices here.
    ...{ lanes: 4, m: 4, n: 4, k: 4, rows: 16, columns: 16, depth: 8, down: 2, across: 2 },
  };
  const emulate = (tile: MatrixTile) =>
    replaceKernels(tile, (_, problem) => matrixGemm(problem, tile, { emulated: true }));

  it.each([
    ["square matrices", tile],
    ["matrices of 8 by 4 and 8 deep", { ...tile, m: 8, k: 8, rows: 32, depth: 16 }],
  ])("%s", async (_, tile) => {
    emulate(tile);
    expect(await wrongResults(tile, smallExamples)).toEqual([]);
  });

  it("and are seen to be wrong where a matrix is loaded from the wrong place", async () => {
    replaceKernels(tile, (_, problem) => {
      const kernel = matrixGemm(problem, tile, { emulated: true });
      return { ...kernel, wgsl: kernel.wgsl.replace("firstColumn + 4u)", "firstColumn)") };
    });
    expect(await wrongResults(tile, smallExamples)).not.toEqual([]);
  });
});

describe("real values, to rounding", () => {
  const names = [
    "conv2d 7x7 s2 p3 [1,2,9,8,3]→3 streams of 4",
    "conv2d 3x3 s2 p1 [3,2,9,9,36]→40",
    "conv2d 1x1 s1 p0 [1,4,9,9,40]→136",
  ];
  const chosen = cases.filter(({ op, name }) => op === "linear" || names.includes(name));
  const strategies = new Map(everyTile(device).map((tile) => [tile.strategy, tile]));

  it.each(
    (["shared", "register"] as const).flatMap((strategy) =>
      chosen.map((opCase) => [strategy, opCase.name, opCase] as const),
    ),
  )("%s: %s", async (strategy, _, opCase) => {
    device.tiles.override = () => strategies.get(strategy)!;
    expect(faultsOf(await checkCase(device, opCase))).toEqual([]);
  });
});
