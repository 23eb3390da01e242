import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type Batch,
  centreCrop,
  DecodeError,
  decodeImage,
  EvalLoader,
  emotionClasses,
  epochOrder,
  FileImages,
  fillableBatchSize,
  ImageSizeError,
  type ImageSource,
  Prefetcher,
  randomCrop,
  type Sample,
  type Split,
  type TrainBatch,
  TrainLoader,
  type TrainLoaderOptions,
} from "../../src/aenet/data/index.ts";
import { gradient, temporaryFolder, write } from "./images.ts";

const options = { imageSize: 14, resize: "squash" } as const; // R = 16
const DAMAGED = [3, 9, 11, 17, 18]; // 3 and 11 lie in validation
const classes = emotionClasses(["awe"]);
let samples: Sample[] = [];

beforeAll(async () => {
  const folder = await temporaryFolder();
  const splits: Split[] = ["train", "train", "train", "val"];
  samples = await Promise.all(
    Array.from({ length: 32 }, async (_, i): Promise<Sample> => {
      const bytes = await gradient(20 + i, 16, i)
        .png()
        .toBuffer();
      const content = DAMAGED.includes(i) ? bytes.subarray(0, bytes.length >> 1) : bytes;
      return {
        path: `${i}.png`,
        absolutePath: await write(folder, `${i}.png`, content),
        split: splits[i % 4]!,
        aesScore: i % 5 === 0 ? null : 1 + (i % 10),
        aesLabel: null,
        emotion: i % 3 === 0 ? null : "fear",
      };
    }),
  );
});

/** Takes a random time for every image, so that decoding ends in another order. */
class SlowImages implements ImageSource {
  readonly imageSize = 14;
  readonly decodedSize = 16;
  readonly #files = new FileImages(samples, options);
  async read(row: number): Promise<Uint8Array> {
    await sleep(Math.random() * 4);
    return this.#files.read(row);
  }
}

const loader = (more: Partial<TrainLoaderOptions> = {}) =>
  new TrainLoader({ samples, classes, images: new FileImages(samples, options), batchSize: 4, seed: 7, ...more });
const collect = async <B extends Batch>(batches: AsyncIterable<B>) => {
  const all: B[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
};

describe("augmentation", () => {
  it("is the centre, rounded down, in evaluation", () => {
    expect(centreCrop(256, 224)).toEqual({ x: 16, y: 16, flip: false });
    expect(centreCrop(73, 64)).toEqual({ x: 4, y: 4, flip: false });
  });

  it("is a function of seed, epoch and row, and reaches every window", () => {
    const at = { seed: 1, epoch: 2, row: 3, decodedSize: 16, imageSize: 14 };
    expect(randomCrop(at)).toEqual(randomCrop({ ...at }));
    const draws = Array.from({ length: 900 }, (_, row) => randomCrop({ ...at, row }));
    const windows = new Map<string, number>();
    for (const { x, y, flip } of draws) windows.set(`${x} ${y} ${flip}`, (windows.get(`${x} ${y} ${flip}`) ?? 0) + 1);
    expect(windows.size).toBe(3 * 3 * 2);
    for (const count of windows.values()) expect(Math.abs(count - 50)).toBeLessThan(30); // over four deviations
    for (const other of [{ seed: 2 }, { epoch: 3 }]) {
      const same = draws.filter(
        (crop, row) => JSON.stringify(crop) === JSON.stringify(randomCrop({ ...at, ...other, row })),
      );
      expect(same.length).toBeLessThan(100); // 50 by chance
    }
    expect(randomCrop({ ...at, decodedSize: 14 })).toMatchObject({ x: 0, y: 0 });
  });

  it("orders epochs by seed and epoch", () => {
    const rows = [2, 3, 5, 7, 11, 13, 17];
    const at = { seed: 1, epoch: 1, shuffle: true };
    expect(epochOrder(rows, at)).toEqual(epochOrder(rows, at));
    expect(epochOrder(rows, at)).not.toEqual(epochOrder(rows, { ...at, epoch: 2 }));
    expect([...epochOrder(rows, at)].sort((a, b) => a - b)).toEqual(rows);
    expect(epochOrder(rows, { ...at, shuffle: false })).toEqual(rows);
  });
});

describe("Prefetcher", () => {
  it("keeps the order, the concurrency and the window", async () => {
    let running = 0;
    let most = 0;
    let begun = 0;
    const work = async (item: number) => {
      begun++;
      most = Math.max(most, ++running);
      await sleep(item % 3);
      running--;
      return item * item;
    };
    const prefetcher = new Prefetcher(
      Array.from({ length: 20 }, (_, i) => i),
      { concurrency: 3, window: 5 },
      work,
    );
    await sleep(40);
    expect(begun).toBe(5); // decoded ahead without being asked, and no further
    expect(await prefetcher.peek()).toBe(0);
    for (let i = 0; i < 20; i++) expect(await prefetcher.next()).toBe(i * i);
    expect(await prefetcher.next()).toBeUndefined();
    expect(most).toBe(3);
  });

  it("throws a failure where it is read, and refuses bad numbers", async () => {
    const work = async (item: number) => {
      if (item === 1) throw new Error("item 1");
      return item;
    };
    const prefetcher = new Prefetcher([0, 1, 2], { concurrency: 2, window: 3 }, work);
    await sleep(5);
    expect(await prefetcher.next()).toBe(0);
    await expect(prefetcher.next()).rejects.toThrow("item 1");
    expect(await prefetcher.next()).toBe(2);
    expect(() => new Prefetcher([], { concurrency: 0, window: 1 }, work)).toThrow("concurrency is 0");
  });
});

describe("TrainLoader", () => {
  it("gives the same batches whatever the workers and the timing", async () => {
    const epochs = async (trainer: TrainLoader) => [
      ...(await collect(trainer.epoch(1))),
      ...(await collect(trainer.epoch(2))),
    ];
    const expected = await epochs(loader({ workers: 1, prefetchBatches: 1 }));
    expect(expected.length).toBe(8); // 24 in training, 3 damaged, 2 without a label: 19 = 4 · 4 + 3
    for (const workers of [2, 7]) {
      expect(await epochs(loader({ workers, images: new SlowImages(), prefetchBatches: workers }))).toEqual(expected);
    }
    expect(expected[0]!.rows).not.toEqual(expected[4]!.rows);
  });

  it("goes on from any batch's position", async () => {
    const whole = [...(await collect(loader().epoch(1))), ...(await collect(loader().epoch(2)))];
    for (const [i, { epoch, position }] of whole.entries()) {
      const resumed = loader();
      const rest: TrainBatch[] = await collect(resumed.epoch(epoch, position));
      if (epoch === 1) rest.push(...(await collect(resumed.epoch(2))));
      expect(rest).toEqual(whole.slice(i + 1));
    }
  });

  it("goes on with the same loader after a pause in the middle", async () => {
    const whole = await collect(loader().epoch(1));
    const paused = loader();
    const seen: TrainBatch[] = [];
    for await (const batch of paused.epoch(1)) {
      seen.push(batch);
      if (seen.length === 2) break;
    }
    seen.push(...(await collect(paused.epoch(1, seen[1]!.position))));
    expect(seen).toEqual(whole);
  });

  it("fills batches with pixels, crops and targets of their rows", async () => {
    for (const batch of await collect(loader().epoch(3))) {
      expect(batch).toMatchObject({ size: 4, count: 4, epoch: 3 });
      for (const [i, row] of batch.rows.entries()) {
        const sample = samples[row]!;
        expect(sample.split).toBe("train");
        const image = await decodeImage(sample.absolutePath, options);
        expect(Buffer.compare(batch.images.subarray(i * 768, (i + 1) * 768), image)).toBe(0);
        const { x, y, flip } = randomCrop({ seed: 7, epoch: 3, row, decodedSize: 16, imageSize: 14 });
        expect([...batch.crops.subarray(i * 3, i * 3 + 3)]).toEqual([x, y, flip ? 1 : 0]);
        expect(batch.aesMask[i]).toBe(sample.aesScore === null ? 0 : 1);
        expect(batch.aesTarget[i]).toBe((sample.aesScore ?? 0) >= 5 ? 1 : 0);
        expect(batch.emoTarget[i]).toBe(sample.emotion === null ? -1 : classes.indexOf("fear"));
      }
    }
  });

  it("visits every sound image once in a whole epoch", async () => {
    const rows = (await collect(loader({ batchSize: 1 }).epoch(1))).flatMap((batch) => batch.rows);
    const sound = samples.flatMap(({ split, aesScore, emotion }, row) =>
      split === "train" && !DAMAGED.includes(row) && (aesScore !== null || emotion !== null) ? [row] : [],
    );
    expect(rows.sort((a, b) => a - b)).toEqual(sound);
  });

  it("reports each damaged image once, or stops with strict", async () => {
    const damaged: string[] = [];
    const trainer = loader({ onDamaged: ({ path }, row) => damaged.push(`${row} ${path.endsWith(`${row}.png`)}`) });
    for (const epoch of [1, 2, 3]) await collect(trainer.epoch(epoch));
    expect(damaged.sort()).toEqual(["17 true", "18 true", "9 true"]);
    expect(trainer.damagedCount).toBe(3);
    expect(trainer.batchesPerEpoch).toBe(4);
    await expect(collect(loader({ strict: true }).epoch(1))).rejects.toThrow(DecodeError);
  });

  it("keeps a short batch only where it is the only one", async () => {
    const [only, ...others] = await collect(loader({ batchSize: 64 }).epoch(1));
    expect(others).toEqual([]);
    expect(only!.count).toBe(only!.size);
    expect(only!.images.length).toBe(only!.count * 768);
    expect(await collect(loader({ batchSize: 64 }).epoch(1, only!.position))).toEqual([]);
    const batchSize = await fillableBatchSize({
      samples,
      classes,
      images: new FileImages(samples, options),
      batchSize: 64,
      seed: 0,
    });
    expect(batchSize).toBe(only!.count);
    expect(
      await fillableBatchSize({ samples, classes, images: new FileImages(samples, options), batchSize: 4, seed: 0 }),
    ).toBe(4);
  });

  it("leaves out what has no label of the tasks, shuffling and augmentation where told so", async () => {
    const plain = loader({ shuffle: false, augment: false, tasks: ["aes"] });
    const batches = await collect(plain.epoch(1));
    const rows = batches.flatMap((batch) => batch.rows);
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
    expect(plain.rows.every((row) => samples[row]!.aesScore !== null)).toBe(true);
    expect([...batches[0]!.crops]).toEqual([1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0]);
  });

  it("fills memory that was given back", async () => {
    const trainer = loader();
    const seen = new Set<Uint8Array>();
    const copies: Uint8Array[] = [];
    for await (const batch of trainer.epoch(1)) {
      seen.add(batch.images);
      copies.push(batch.images.slice());
      trainer.recycle(batch);
    }
    expect(seen.size).toBe(1);
    expect(copies).toEqual((await collect(loader().epoch(1))).map(({ images }) => images));
  });

  it("says what is wrong with the data", async () => {
    expect(() => loader({ classes: ["awe"] })).toThrow(/\.png: emotion "fear" is not among the classes awe/);
    expect(() => loader({ batchSize: 0 })).toThrow("batch size 0");
    expect(() => loader({ samples: samples.filter(({ split }) => split === "val") })).toThrow(
      "no sample of the split train",
    );
    const images = new FileImages([samples[17]!], options);
    await expect(collect(loader({ samples: [samples[17]!], images }).epoch(1))).rejects.toThrow("none of the 1 images");
    const none = new FileImages(samples, { imageSize: 14, resize: "none" });
    await expect(collect(loader({ images: none }).epoch(1))).rejects.toThrow(ImageSizeError);
  });
});

describe("EvalLoader", () => {
  it("goes through a split in order, pads the last batch and reports damage", async () => {
    const damaged: number[] = [];
    const evaluation = new EvalLoader({
      samples,
      classes,
      images: new FileImages(samples, options),
      batchSize: 4,
      split: "val",
      onDamaged: (_, row) => damaged.push(row),
    });
    const batches = await collect(evaluation.batches());
    expect(batches.map(({ rows }) => rows)).toEqual([
      [7, 15, 19, 23],
      [27, 31],
    ]);
    const last = batches[1]!;
    expect(last).toMatchObject({ size: 4, count: 2 });
    expect(last.images.subarray(2 * 768).every((value) => value === 0)).toBe(true);
    expect([...last.aesMask.subarray(2), ...last.emoTarget.subarray(2)]).toEqual([0, 0, -1, -1]);
    expect([...last.crops.subarray(0, 6)]).toEqual([1, 1, 0, 1, 1, 0]);
    expect(await collect(evaluation.batches())).toEqual(batches);
    expect(damaged).toEqual([3, 11]);
  });

  it("does not care about other splits' labels", () => {
    const images = new FileImages(samples, options);
    const strange = samples.map((sample) => (sample.split === "train" ? { ...sample, emotion: "glee" } : sample));
    expect(() => new EvalLoader({ samples: strange, classes, images, batchSize: 4, split: "val" })).not.toThrow();
    // Nor about other emotions, where no network answers any.
    const foreign = {
      samples: samples.map((sample) => ({ ...sample, emotion: "glee" })),
      classes,
      images,
      batchSize: 4,
    };
    expect(() => new EvalLoader({ ...foreign, split: "val" })).toThrow('emotion "glee" is not among the classes');
    expect(() => new EvalLoader({ ...foreign, split: "val", tasks: ["aes"] })).not.toThrow();
    expect(() => new EvalLoader({ samples, classes, images, batchSize: 4, split: "test" })).toThrow(
      "the split test has no samples",
    );
  });
});

describe("FileImages", () => {
  it("keeps images up to its limit, and what it keeps changes nothing", async () => {
    const images = new FileImages(samples, { ...options, cacheBytes: 768 });
    const first = await images.read(0);
    const second = await images.read(1);
    expect(await images.read(0)).toBe(first);
    expect(await images.read(1)).not.toBe(second);
    expect(Buffer.compare(await images.read(1), second)).toBe(0);
    await expect(images.read(3)).rejects.toThrow(DecodeError);
    await expect(images.read(3)).rejects.toThrow(DecodeError);
  });
});
