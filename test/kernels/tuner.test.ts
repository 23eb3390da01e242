/** Choosing tiles: tables, candidates, and the tuner with a clock and a stopwatch that are not real. */
import { describe, expect, it } from "vitest";
import { type Conv2dShape, forwardProduct, weightGradientProduct } from "../../src/kernels/conv2d.ts";
import type { Device } from "../../src/kernels/device.ts";
import { TileChoices } from "../../src/kernels/gemm/choices.ts";
import type { GemmTile } from "../../src/kernels/gemm/core.ts";
import { type Product, productName, shapeClass } from "../../src/kernels/gemm/product.ts";
import { type Stopwatch, trialStopwatch } from "../../src/kernels/gemm/stopwatch.ts";
import {
  candidateTiles,
  everyTile,
  type Precision,
  sharedTile,
  suits,
  tableTile,
  tileName,
} from "../../src/kernels/gemm/tiles.ts";
import { createTuner, fastest, memoryStore, type TunerOptions } from "../../src/kernels/gemm/tuner.ts";
import { openNullDevice } from "../../src/node/index.ts";
import { testDevice } from "../support/device.ts";

const nullDevice = await openNullDevice();

/** An adapter that no table knows, as far as choosing needs it. */
const unknownAdapter = (more: Partial<Record<keyof Device, unknown>> = {}) =>
  ({
    adapterInfo: { vendor: "acme", architecture: "one", device: "card", description: "driver 1" },
    platform: { ...nullDevice.platform, kind: "gpu" },
    limits: nullDevice.limits,
    subgroupSize: 32,
    subgroupMatrix: null,
    ...more,
  }) as Device;

const convolution = (size: number, channels: number, outChannels = channels): Conv2dShape => ({
  ...{ streams: 1, sharedInput: false, batch: 2, height: size, width: size, outHeight: size, outWidth: size },
  channels: { in: channels, out: outChannels },
  ...{ inChannels: channels, outChannels, kernelHeight: 3, kernelWidth: 3, stride: 1, padding: 1 },
});
const large = forwardProduct(convolution(28, 128));
const small = forwardProduct(convolution(7, 32));
const fewPixels = weightGradientProduct(convolution(2, 64), 16);

describe("fastest", () => {
  const never = () => false;
  const timed = (seconds: readonly (readonly number[])[]) => {
    const calls = seconds.map(() => 0);
    const time = async (i: number) => seconds[i]![calls[i]++]!;
    return { calls, time };
  };

  it("is the least of several rounds, in which the slow take part no longer", async () => {
    const { calls, time } = timed([[3], [1.2, 1.2, 1], [1.1, 1.1, 1.1], [1.6, 1.6], [1.7]]);
    expect(await fastest(5, time, never)).toBe(1);
    // After one round half as much again is out, after two a quarter.
    expect(calls).toEqual([1, 3, 3, 2, 1]);
  });

  it("is none that fails, and nothing where all do", async () => {
    const time = (failing: number[]) => async (i: number) => {
      if (failing.includes(i)) throw new Error("lost");
      return i;
    };
    expect(await fastest(3, time([0]), never)).toBe(1);
    expect(await fastest(3, time([0, 1, 2]), never)).toBeNull();
    expect(await fastest(0, time([]), never)).toBeNull();
  });

  it("is undecided where not even one round was possible, else the best so far", async () => {
    const late = (after: number) => {
      let asked = 0;
      return () => ++asked > after;
    };
    expect(await fastest(3, timed([[3], [2], [1]]).time, late(2))).toBeNull();
    expect(await fastest(3, timed([[1.2, 9], [1.1, 9], [1]]).time, late(4))).toBe(2);
  });
});

describe("tiles", () => {
  it("of products of the same class are the same; kinds and sizes make classes", () => {
    expect(shapeClass(forwardProduct(convolution(28, 120)))).toBe(shapeClass(large));
    expect(productName(forwardProduct(convolution(28, 120)))).not.toBe(productName(large));
    expect(shapeClass(large)).toBe("conv2d_forward 2^0x2^11x2^7x2^10");
    expect(shapeClass(weightGradientProduct(convolution(28, 128), 16))).not.toBe(shapeClass(large));
  });

  it("are those of the table for software drivers, and of none for others", () => {
    const kinds = ["lavapipe", "swiftshader", "gpu", "browser"].map((kind) =>
      tableTile(unknownAdapter({ platform: { kind }, subgroupSize: kind === "lavapipe" ? 8 : 4 }), large, "f32"),
    );
    expect(kinds.map((tile) => tile?.strategy ?? null)).toEqual(["subgroup", "subgroup", null, null]);
  });

  it("of the table hold B still where a weight gradient has few pixels", () => {
    for (const [kind, subgroupSize, above32] of [
      ["lavapipe", 8, null],
      ["swiftshader", 4, 64],
    ] as const) {
      const depthOf = (pixels: number, product = weightGradientProduct) => {
        const shape = { ...convolution(1, 64), batch: pixels };
        const tile = tableTile(unknownAdapter({ platform: { kind }, subgroupSize }), product(shape, 16), "f32");
        return tile?.strategy === "stationary" ? tile.depth : null;
      };
      const pixels = [4, 5, 16, 17, 32, 33, 48, 49, 64, 65];
      expect(pixels.map((count) => depthOf(count))).toEqual([null, 16, 16, 32, 32, null, null, above32, above32, null]);
      expect(depthOf(16, forwardProduct)).toBeNull();
    }
  });

  it("of lavapipe's table read operands through textures in f32, where more than one tile shares them", () => {
    const adapter = unknownAdapter({ platform: { kind: "lavapipe" }, subgroupSize: 8 });
    const texelsOf = (product: Product, precision: Precision = "f32") => {
      const tile = tableTile(adapter, product, precision)!;
      return ("texels" in tile && tile.texels) || null;
    };
    const withRows = (rows: number) => ({ ...large, rows });
    expect([8, 9, 16, 17].map((rows) => texelsOf(withRows(rows)))).toEqual([null, "a", "a", "ab"]);
    expect(texelsOf(large, "f16")).toBeNull();
    expect([15, 16].map((columns) => texelsOf({ ...large, columns }))).toEqual([null, "ab"]);
    // Little work in one slice, as the heads have, against as little in each of many, as Winograd's products have.
    const little = { ...large, rows: 16, columns: 16, depth: 64 };
    expect([1, 36].map((slices) => texelsOf({ ...little, slices }))).toEqual([null, "a"]);
    for (const pixels of [16, 1000]) {
      const product = weightGradientProduct({ ...convolution(1, 64), batch: pixels }, 16);
      expect(texelsOf(product)).toBe("ab");
      expect(texelsOf(product, "f16")).toBeNull();
    }
  });

  it("that are measured fit the adapter, and do not waste the product's size", () => {
    const names = (adapter: Device, product = large, precision: "f32" | "f16" = "f32") =>
      candidateTiles(adapter, product, precision).map(tileName);
    expect(new Set(names(unknownAdapter()).map((name) => name.split(" ")[0]))).toEqual(
      new Set(["shared", "register", "subgroup"]),
    );
    expect(names(unknownAdapter({ subgroupSize: null })).join()).not.toContain("subgroup");
    const limits = { ...nullDevice.limits, maxComputeWorkgroupStorageSize: 8192 };
    expect(names(unknownAdapter())).toContain(tileName(everyTile(unknownAdapter())[1]!));
    expect(names(unknownAdapter({ limits })).join()).not.toContain("rows=128 columns=128");
    expect(names(unknownAdapter(), small).join()).not.toContain("columns=128");
    // Matrix units multiply halves, so they need to be allowed and to be there.
    const matrix = unknownAdapter({ subgroupMatrix: { m: 16, n: 16, k: 16 } });
    expect(names(matrix, large, "f16")[0]).toMatch(/^matrix lanes=32 m=16 n=16 k=16 /);
    expect(names(matrix).join()).not.toContain("matrix");
    expect(names(unknownAdapter(), large, "f16").join()).not.toContain("matrix");
  });
});

it("every tile of every adapter can be generated", () => {
  const shapes = [
    [4, 4, 4],
    [8, 8, 8],
    [8, 16, 16],
    [16, 16, 16],
    [32, 32, 16],
  ] as const;
  for (const subgroupSize of [null, 4, 8, 16, 32, 64, 128]) {
    for (const [m, n, k] of shapes) {
      const adapter = unknownAdapter({ subgroupSize, subgroupMatrix: { m, n, k } });
      for (const product of [large, fewPixels]) {
        const tiles = everyTile(adapter).filter((tile) => suits(tile, product));
        expect(() => tiles.map((tile) => product.trial(tile, 1e9))).not.toThrow();
      }
    }
  }
});

/** A tuner whose stopwatch prefers tiles whose kernel's name has `liked`, and names the classes that it times. */
function fakeTuner(device: Device, liked: string, options: Partial<TunerOptions> = {}) {
  const timed: string[] = [];
  const notes: string[] = [];
  let clock = 0;
  const stopwatch: TunerOptions["stopwatch"] = async (_, candidates): Promise<Stopwatch> => {
    if (candidates.length > 1) timed.push(candidates[0]![0]!.kernel.name); // one alone tells how fast the device is
    return {
      async time(i) {
        clock += 100;
        return candidates[i]![0]!.kernel.name.includes(liked) ? 1 : 2;
      },
      destroy() {},
    };
  };
  const note = (line: string) => notes.push(line);
  const tuner = createTuner(device, { store: memoryStore(), note, stopwatch, now: () => clock, ...options });
  const choose = async () => {
    const choices = new TileChoices(device);
    choices.tuner = tuner;
    const [a, b] = await choices.settle(() => [choices.choose(large), choices.choose(small)] as const);
    return { large: a, small: b, choices };
  };
  return { timed, notes, choose, elapsed: () => clock };
}

const strategies = ({ large, small }: { large: GemmTile; small: GemmTile }) => [large.strategy, small.strategy];

describe("the tuner", () => {
  it("measures each class once, and keeps what it finds", async () => {
    const store = memoryStore();
    const first = fakeTuner(unknownAdapter(), "register", { store });
    const choice = await first.choose();
    expect(strategies(choice)).toEqual(["register", "register"]);
    expect(first.timed).toHaveLength(2);
    expect(first.notes).toEqual([expect.stringContaining("measuring the matrix products of 2 shapes")]);
    expect(choice.choices.made).toEqual({
      [productName(large)]: tileName(choice.large),
      [productName(small)]: tileName(choice.small),
    });

    const second = fakeTuner(unknownAdapter(), "subgroup", { store });
    expect(strategies(await second.choose())).toEqual(["register", "register"]);
    expect([second.timed, second.notes]).toEqual([[], []]);
  });

  it.each([
    [
      "another adapter",
      { adapterInfo: { vendor: "acme", architecture: "one", device: "pad", description: "driver 1" } },
    ],
    [
      "another driver",
      { adapterInfo: { vendor: "acme", architecture: "one", device: "card", description: "driver 2" } },
    ],
    // Other candidates, other kernels: nothing that was measured on the former says anything.
    ["other kernels", { subgroupSize: 16 }],
  ])("measures anew for %s", async (_, more) => {
    const store = memoryStore();
    await fakeTuner(unknownAdapter(), "register", { store }).choose();
    const other = fakeTuner(unknownAdapter(more), "subgroup", { store });
    expect(strategies(await other.choose())).toEqual(["subgroup", "subgroup"]);
    expect(other.timed).toHaveLength(2);
    // Both are kept side by side.
    const again = fakeTuner(unknownAdapter(), "shared", { store });
    expect(strategies(await again.choose())).toEqual(["register", "register"]);
  });

  it.each(["{", "[]", "null", '{"conv2d_forward', ""])("says that %j cannot be read, and mends it", async (text) => {
    const store = memoryStore();
    let keys: string[] = [];
    const damaged = {
      read: async (key: string) => {
        keys.push(key);
        return (await store.read(key)) ?? text;
      },
      write: store.write,
    };
    const first = fakeTuner(unknownAdapter(), "register", { store: damaged });
    expect(strategies(await first.choose())).toEqual(["register", "register"]);
    expect(first.notes[0]).toMatch(
      /^the measurements kept for this adapter cannot be read \(.*\); they are made anew$/,
    );
    keys = [];
    const second = fakeTuner(unknownAdapter(), "subgroup", { store: damaged });
    expect(strategies(await second.choose())).toEqual(["register", "register"]);
    expect(second.notes).toEqual([]);
    expect(keys).toHaveLength(1);
  });

  it("believes no tile that is not among the candidates", async () => {
    const store = memoryStore();
    const lying = {
      read: async (key: string) => (await store.read(key))?.replaceAll("rowsPerLane=8", "rowsPerLane=800") ?? null,
      write: store.write,
    };
    await fakeTuner(unknownAdapter(), "register_64x32", { store: lying }).choose();
    const second = fakeTuner(unknownAdapter(), "subgroup", { store: lying });
    expect(strategies(await second.choose())).toEqual(["subgroup", "subgroup"]);
  });

  it("goes on without a store that fails", async () => {
    const fail = async () => {
      throw new Error("disk full");
    };
    const tuner = fakeTuner(unknownAdapter(), "register", { store: { read: fail, write: fail } });
    expect(strategies(await tuner.choose())).toEqual(["register", "register"]);
    expect(tuner.notes.filter((line) => line.includes("disk full"))).toHaveLength(2);
  });

  it("keeps to its time, begins with what is computed most, and goes on another time", async () => {
    const store = memoryStore();
    // Each timing takes 100 ms, the first is of the device: there is time for one class and a part of the next.
    const count = candidateTiles(unknownAdapter(), large, "f32").length;
    const budgetMs = 100 * (1 + count + 3);
    const first = fakeTuner(unknownAdapter(), "register", { store, budgetMs });
    expect(strategies(await first.choose())).toEqual(["register", "shared"]);
    expect(first.elapsed()).toBeLessThanOrEqual(budgetMs);
    expect(first.notes.at(-1)).toContain("1 of them were left for another time");
    const second = fakeTuner(unknownAdapter(), "subgroup", { store });
    expect(strategies(await second.choose())).toEqual(["register", "subgroup"]);
    expect(second.timed).toHaveLength(1);
  });

  it("leaves the safe tile where nothing can be timed", async () => {
    const stopwatch = async () => {
      throw new Error("out of memory");
    };
    const { choose } = fakeTuner(unknownAdapter(), "register", { stopwatch });
    expect(await choose()).toMatchObject({ large: sharedTile, small: sharedTile });
  });
});

describe("choices", () => {
  it("without a tuner are the safe tile, recorded at once", async () => {
    const choices = new TileChoices(unknownAdapter());
    let recordings = 0;
    const tile = await choices.settle(() => {
      recordings++;
      return choices.choose(large);
    });
    expect([tile, recordings]).toEqual([sharedTile, 1]);
  });

  it("of an adapter in the table are never measured, unless that is asked for", async () => {
    const lavapipe = unknownAdapter({ platform: { kind: "lavapipe" }, subgroupSize: 8 });
    const choices = new TileChoices(lavapipe);
    let asked = 0;
    choices.tuner = async () => {
      asked++;
      return new Map();
    };
    expect((await choices.settle(() => choices.choose(large))).strategy).toBe("subgroup");
    expect(asked).toBe(0);
    choices.usesTable = false;
    expect(await choices.settle(() => choices.choose(large))).toBe(sharedTile);
    expect(asked).toBe(1);
  });

  it("are those of a former run once they are fixed; tiles that are no more are told", async () => {
    const { choices, ...former } = await fakeTuner(unknownAdapter(), "register").choose();
    const resumed = new TileChoices(unknownAdapter());
    expect(resumed.fix(choices.made)).toEqual([]);
    expect(resumed.choose(large)).toEqual(former.large);
    expect(resumed.fix({ ...choices.made, [productName(small)]: "shared rows=1" })).toEqual(["shared rows=1"]);
    expect(resumed.choose(small)).toBe(sharedTile);
    // A workgroup of eight lanes would be two subgroups of four here.
    const ofEight = tileName(
      tableTile(unknownAdapter({ platform: { kind: "lavapipe" }, subgroupSize: 8 }), small, "f32")!,
    );
    const ofFour = new TileChoices(unknownAdapter({ platform: { kind: "swiftshader" }, subgroupSize: 4 }));
    expect(ofFour.fix({ [productName(small)]: ofEight })).toEqual([ofEight]);
  });
});

it("the stopwatch times candidates on the device, and gives its memory back", async () => {
  const device = await testDevice();
  const before = device.allocatedBytes;
  const product = weightGradientProduct(convolution(17, 8), 1024);
  const candidates = candidateTiles(device, product, "f32");
  const trials = [candidates.at(-1)!, sharedTile].map((tile) => product.trial(tile, 1e9));
  expect(trials[0]).toHaveLength(2); // the partial sums, and their sum
  const watch = await trialStopwatch(device, trials);
  for (const i of trials.keys()) {
    const seconds = await watch.time(i);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(60);
  }
  watch.destroy();
  expect(device.allocatedBytes).toBe(before);
});
