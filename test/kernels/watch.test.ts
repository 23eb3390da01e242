/** Gradients that their kernels watch: whatever the tile, the largest is found, and so is one that is not finite. */
import { afterEach, describe, expect, it } from "vitest";
import { conv2d, Parameter, type Storage, Tape, Tensor } from "../../src/autograd/index.ts";
import { everyTile, suits } from "../../src/kernels/gemm/tiles.ts";
import { statusWords } from "../../src/kernels/watch.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";

const device = await testDevice();
afterEach(() => {
  device.tiles.override = null;
});

const slot = statusWords.overflow;

/** A convolution's weight gradient [2, 3, 3, 21, 37] that is watched; no size is a multiple of a tile's. */
async function watchedGradient({ batch = 1, algorithm = "direct" as "direct" | "winograd" } = {}) {
  const status = new Tensor({ name: "status", shape: [8], dtype: "i32", persistent: true });
  const tape = new Tape(device, { watch: { status, slot } });
  const x = tape.input("x", [2, batch, 6, 5, 21]);
  const weight = new Parameter("weight", [2, 3, 3, 21, 37], "weight");
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const own: GPUBuffer[] = [];
  for (const { storage } of [status, weight, weight.grad]) {
    const buffer = await device.createBuffer("persistent", storage.byteLength, STORAGE | COPY_SRC | COPY_DST);
    own.push(buffer);
    (storage as Storage).external = { buffer, offset: 0 };
  }
  const y = conv2d(x, weight, { padding: 1, algorithm });
  const dy = tape.input("dy", y.shape);
  tape.backward(y, dy);
  const program = await tape.compile([status, weight.grad]);
  return {
    isWatched: tape.watched.has(weight.grad),
    run: async (values: { x: Float32Array; dy: Float32Array }) => {
      device.gpu.queue.writeBuffer(own[0]!, 0, new Uint32Array(8));
      program.write(x, values.x);
      program.write(dy, values.dy);
      program.run();
      const largest = (await program.read(weight.grad)).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const words = await program.read(status);
      return {
        largest,
        found: words[statusWords.largestGradient]!,
        count: words[slot]!,
        others: words[statusWords.nonFinite]!,
      };
    },
    sizes: { x: x.size, dy: dy.size },
    destroy: () => {
      program.destroy();
      for (const buffer of own) buffer.destroy();
    },
  };
}

/** A float's bits as a number, as far as a float can say it (`read` makes floats of all words). */
const bitsOf = (value: number) => Math.fround(new Uint32Array(Float32Array.of(value).buffer)[0]!);

const noise = (size: number, name: string) => {
  const random = new Random(0, "watch", name);
  return Float32Array.from({ length: size }, () => random.uniform(-1, 1));
};

describe("the gradient of a weight", () => {
  const runnable = everyTile(device).filter(
    (tile) => (!("lanes" in tile) || tile.lanes === device.subgroupSize) && tile.strategy !== "matrix",
  );
  const ofEachStrategy = new Map(runnable.map((tile) => [tile.strategy, tile]));

  it.each([...ofEachStrategy])("%s", async (_, tile) => {
    device.tiles.override = (product) => (suits(tile, product) ? tile : null);
    const gradient = await watchedGradient();
    try {
      expect(gradient.isWatched).toBe(true);
      const { x, dy } = gradient.sizes;
      const { largest, found, count, others } = await gradient.run({ x: noise(x, "x"), dy: noise(dy, "dy") });
      expect(largest).toBeGreaterThan(0);
      expect({ found, count, others }).toEqual({ found: bitsOf(largest), count: 0, others: 0 });
      // 1e30 · 1e30 at a single place of the gradient: the channels that the places belong to, at the tap in the middle.
      for (const [inX, inDy] of [
        [0, 0],
        [20, 36],
        [x - 1, dy - 1],
      ] as const) {
        const values = { x: new Float32Array(x), dy: new Float32Array(dy) };
        values.x[inX] = 1e30;
        values.dy[inDy] = 1e30;
        const bad = await gradient.run(values);
        expect(bad.largest).toBe(Number.POSITIVE_INFINITY);
        expect(bad.count).toBeGreaterThan(0);
        expect(bad.others).toBe(0);
      }
    } finally {
      gradient.destroy();
    }
  });

  it("is left to the optimizer where it is a sum over parts, or comes of Winograd's products", async () => {
    for (const options of [{ batch: 600 }, { algorithm: "winograd" as const }]) {
      const gradient = await watchedGradient(options);
      expect(gradient.isWatched).toBe(false);
      gradient.destroy();
    }
  });
});
