/** How tensors lie in memory, element by element, against formulas of the test's own. */
import { describe, expect, it } from "vitest";
import { type Layout, pad, paddedShape, unpad } from "../../src/autograd/tensor.ts";
import { forEachFour } from "../../src/kernels/panels.ts";

const up = (n: number) => 4 * Math.ceil(n / 4);

function memoryOf(shape: readonly number[], layout: Layout): { memory: Float32Array; size: number } {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  const size = product(shape);
  const memory = new Float32Array(product(paddedShape(shape, layout)));
  const values = Float32Array.from({ length: size }, (_, i) => i + 1);
  pad(values, shape, layout, memory);
  const back = new Float32Array(size);
  unpad(memory, shape, layout, back);
  expect(back).toEqual(values);
  expect(memory.filter((value) => value !== 0)).toHaveLength(size);
  return { memory, size };
}

describe("memory", () => {
  it("of channels is row-major, each row padded to a multiple of four", () => {
    const { memory } = memoryOf([2, 3, 5], "channels");
    for (let row = 0; row < 6; row++) {
      for (let c = 0; c < 5; c++) expect(memory[row * 8 + c]).toBe(row * 5 + c + 1);
    }
  });

  it.each([[[2, 3, 1, 6, 70]], [[1, 1, 1, 3, 9]], [[3, 3, 5, 64]], [[7, 33]]])(
    "of a weight [%s] is one matrix a stream, in panels of 32 columns, in blocks of 4×4",
    (shape) => {
      const { memory } = memoryOf(shape, "weight");
      const [columns, inputs] = [shape.at(-1)!, shape.at(-2)!];
      const streams = shape.length === 5 ? shape[0]! : 1;
      const taps = shape.slice(0, -2).reduce((a, b) => a * b, 1) / streams;
      const rows = taps * up(inputs);
      let logical = 0;
      for (let stream = 0; stream < streams; stream++) {
        for (let tap = 0; tap < taps; tap++) {
          for (let input = 0; input < inputs; input++) {
            for (let column = 0; column < columns; column++) {
              const panel = Math.floor(column / 32);
              const width = Math.min(32, up(columns) - 32 * panel);
              const row = tap * up(inputs) + input;
              const block = Math.floor(row / 4) * (width / 4) + Math.floor((column % 32) / 4);
              const place = stream * rows * up(columns) + 32 * panel * rows + 16 * block + 4 * (row % 4) + (column % 4);
              expect(memory[place]).toBe(++logical);
            }
          }
        }
      }
    },
  );

  it("of panels is covered once", () => {
    const places: number[] = [];
    forEachFour(8, 72, (_row, _column, place) => places.push(place));
    expect(places.sort((a, b) => a - b)).toEqual(Array.from({ length: (8 * 72) / 4 }, (_, i) => 4 * i));
  });
});
