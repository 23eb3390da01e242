import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { checkManifests, decodeImage, formatCheck, importIae } from "../../src/aenet/data/index.ts";
import { ALIKE_DISTANCE, COPY_DISTANCE, findNearGroups } from "../../src/aenet/data/near-duplicates.ts";
import { hashDistance, perceptualHash } from "../../src/aenet/data/perceptual-hash.ts";
import { Random } from "../../src/random.ts";
import { flat, temporaryFolder, write } from "./images.ts";
import { iaeHdf5, pixelsOf, writeHdf5 } from "./published-forms.ts";

let folder = "";
beforeAll(async () => {
  folder = await temporaryFolder();
});

let files = 0;
const hashOf = async (bytes: Buffer) => {
  const file = await write(folder, `hash/${files++}`, bytes);
  return perceptualHash(await decodeImage(file, { imageSize: 28, resize: "squash" }));
};

/** Waves of many sizes, so that every frequency is there, as in a photograph. */
function waves(seed: number, side = 200): Sharp {
  const random = new Random(seed, "waves");
  const all = Array.from({ length: 40 }, () => {
    const scale = 2 ** (5 * random.float());
    return {
      x: (random.float() - 0.5) * scale,
      y: (random.float() - 0.5) * scale,
      turn: random.float(),
      size: 1 / Math.sqrt(scale),
    };
  });
  const pixels = new Uint8Array(side * side * 3);
  for (let i = 0; i < side * side; i++) {
    const [x, y] = [(i % side) / side, Math.floor(i / side) / side];
    const level = all.reduce((sum, w) => sum + w.size * Math.sin(2 * Math.PI * (w.x * x + w.y * y + w.turn)), 0);
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = Math.min(255, Math.max(0, 128 + 12 * level + 12 * c * x));
  }
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
}

/** A copy of an image, and how many bits of its hash may differ from the original's. */
type Transformation = [name: string, copy: (image: Sharp, side: number) => Sharp];
const cut = (image: Sharp, side: number, share: number) => {
  const margin = Math.round(share * side);
  const inner = side - 2 * margin;
  return image.extract({ left: margin, top: margin, width: inner, height: inner }).jpeg();
};
const copied: Transformation[] = [
  ["half the size", (image, side) => image.resize(side >> 1, side >> 1).jpeg()],
  ["larger and squashed", (image, side) => image.resize(side * 2, side, { fit: "fill" }).jpeg()],
  ["JPEG of quality 50", (image) => image.jpeg({ quality: 50 })],
  ["WebP", (image) => image.webp({ quality: 60 })],
];
const alike: Transformation[] = [
  ["JPEG of quality 20", (image) => image.jpeg({ quality: 20 })],
  ["cropped by 2 % on every side", (image, side) => cut(image, side, 0.02)],
];
const missed: Transformation[] = [
  ["cropped by 10 % on every side", (image, side) => cut(image, side, 0.1)],
  ["mirrored", (image) => image.flop().jpeg()],
  ["turned by 90°", (image) => image.rotate(90).jpeg()],
];

/** The share of images whose copy is found at a distance. */
async function shareFound(originals: Buffer[], [, copy]: Transformation, distance: number): Promise<number> {
  let found = 0;
  for (const original of originals) {
    const { width = 0 } = await sharp(original).metadata();
    const [a, b] = [await hashOf(original), await hashOf(await copy(sharp(original), width).toBuffer())];
    if (hashDistance(a!, b!) <= distance) found++;
  }
  return found / originals.length;
}

const photographs = join(process.env.AENET_SHARED ?? join(import.meta.dirname, "../../../shared"), "data/oasis");
const sources: [string, () => Promise<Buffer[]>, boolean][] = [
  ["generated images", () => Promise.all(Array.from({ length: 20 }, (_, i) => waves(i).png().toBuffer())), true],
  [
    "photographs",
    async () => {
      const names = (await readdir(photographs)).sort().filter((_, i) => i % 12 === 0);
      return Promise.all(names.map((name) => readFile(join(photographs, name))));
    },
    existsSync(photographs),
  ],
];

describe.each(sources)("the hash, on %s", (_, originalsOf, isThere) => {
  let originals: Buffer[] = [];
  beforeAll(async () => {
    if (isThere) originals = await originalsOf();
  });

  it.skipIf(!isThere).each(copied)("knows a copy: %s", async (...transformation) => {
    expect(await shareFound(originals, transformation, COPY_DISTANCE)).toBe(1);
  });
  it.skipIf(!isThere).each(alike)("finds most copies alike: %s", async (...transformation) => {
    expect(await shareFound(originals, transformation, ALIKE_DISTANCE)).toBeGreaterThan(0.9);
  });
  it.skipIf(!isThere).each(missed)("misses a copy: %s", async (...transformation) => {
    expect(await shareFound(originals, transformation, ALIKE_DISTANCE)).toBeLessThan(0.1);
  });
  it.skipIf(!isThere)("keeps different images apart", async () => {
    const hashes = await Promise.all(originals.map(hashOf));
    const least = hashes.flatMap((a, i) => hashes.slice(0, i).map((b) => hashDistance(a!, b!)));
    expect(Math.min(...least)).toBeGreaterThan(ALIKE_DISTANCE);
  });
});

it("an image of one colour has no hash", async () => {
  expect(await hashOf(await flat(40, 30, [200, 10, 10]).jpeg().toBuffer())).toBeNull();
});

describe("findNearGroups", () => {
  const random = new Random(1, "hashes");
  const draw = () => Uint32Array.from({ length: 4 }, () => random.integer(2 ** 32));
  const flipped = (hash: Uint32Array, bits: number) => {
    const copy = hash.slice();
    for (const bit of random.permutation(128).subarray(0, bits)) copy[bit >> 5]! ^= 1 << (bit & 31);
    return copy;
  };

  it("finds what comparing all pairs finds", () => {
    const hashes: (Uint32Array | null)[] = [];
    for (let i = 0; i < 300; i++) hashes.push(draw());
    for (let i = 0; i < 300; i++) hashes.push(flipped(hashes[i]!, i % 30));
    hashes.push(null, null, hashes[5]!.slice(), hashes[5]!.slice());

    const linked = (limit: number) => {
      const group = hashes.map((_, i) => i);
      for (let again = true; again; ) {
        again = false;
        hashes.forEach((a, i) => {
          hashes.forEach((b, j) => {
            if (!a || !b || group[i]! <= group[j]! || hashDistance(a, b) > limit) return;
            group[i] = group[j]!;
            again = true;
          });
        });
      }
      const members = [...new Set(group)].map((root) => hashes.flatMap((_, i) => (group[i] === root ? [i] : [])));
      return members.filter((group) => group.length > 1);
    };
    const found = findNearGroups(hashes);
    const copies = linked(COPY_DISTANCE);
    expect(found.copies.map(({ members }) => members)).toEqual(copies);
    const known = new Set(copies.map(String));
    expect(found.alike.map(({ members }) => members)).toEqual(
      linked(ALIKE_DISTANCE).filter((group) => !known.has(String(group))),
    );
    expect(copies.length).toBe(10 * 12);
    expect(copies).toContainEqual([5, 305, 602, 603]);
    expect(found.copies.find(({ members }) => members[0] === 7)!.distance).toBe(7);
  });

  it("does not compare equal hashes one by one", () => {
    const hash = draw();
    const { copies } = findNearGroups(Array.from({ length: 100_000 }, () => hash));
    expect(copies.map(({ members, distance }) => [members.length, distance])).toEqual([[100_000, 0]]);
  });
});

describe("data check", () => {
  it("finds copies between splits and between data sets, by look and by number", async () => {
    await mkdir(join(folder, "sets"), { recursive: true });
    const image = (seed: number) => waves(100 + seed);
    for (let i = 0; i < 6; i++) await write(folder, `sets/a/${i}.png`, await image(i).png().toBuffer());
    await write(folder, "sets/a/again.jpg", await image(1).resize(90).jpeg().toBuffer());
    await write(folder, "sets/b/2.jpg", await cut(image(2), 200, 0.04).toBuffer()); // the number helps
    await write(folder, "sets/b/3.jpg", await image(40).jpeg().toBuffer()); // has the number, and is another image
    await write(folder, "sets/b/x.webp", await image(4).webp().toBuffer());
    const a = ["0", "1", "2", "3", "4", "5"].map((name) => `a/${name}.png,train,high\n`).join("");
    const first = await write(folder, "sets/a.csv", `path,split,aes_label\n${a}a/again.jpg,test,low\n`);
    const second = await write(
      folder,
      "sets/b.csv",
      "path,split,aes_label\nb/2.jpg,test,high\nb/3.jpg,test,high\nb/x.webp,val,high\n",
    );
    const report = await checkManifests([first, second]);
    const shown = (copies: { places: { path: string }[]; leak: boolean; conflict: boolean }[]) =>
      copies.map(({ places, leak, conflict }) => [...places.map(({ path }) => path), leak, conflict]);
    expect(report.duplicates).toEqual([]);
    expect(shown(report.nearDuplicates)).toEqual([
      ["a/1.png", "a/again.jpg", true, true],
      ["a/4.png", "b/x.webp", true, false],
    ]);
    expect(shown([...report.alike, ...report.sameIds])).toEqual([["a/2.png", "b/2.jpg", true, false]]);
    expect(report.sharedIds).toBe(1); // 3
    expect(report.ok).toBe(false);
    const text = formatCheck(report);
    expect(text).toContain("look the same, in different splits: 2\n");
    expect(text).toMatch(/a\.csv: a\/1\.png \(train\) = .*a\.csv: a\/again\.jpg \(test\), \d+ bits apart/);
    expect(text).toContain("names or numbers that stand for several different images: 1");
    expect((await checkManifests([second])).ok).toBe(true);
  });

  it("holds an imported set against what is published of it, without its being told", async () => {
    await writeHdf5(join(folder, "final_aes_emo.h5"), await iaeHdf5(12));
    const out = join(folder, "iae.csv");
    await importIae(join(folder, "final_aes_emo.h5"), { out });
    await write(
      folder,
      "7.png",
      await sharp(await pixelsOf(7), { raw: { width: 16, height: 16, channels: 3 } })
        .png()
        .toBuffer(),
    );
    const own = await write(folder, "own.csv", "path,split,emotion\n7.png,test,awe\n");
    const [iae, mine] = (await checkManifests([out, own])).manifests;
    expect(iae).toMatchObject({
      set: "iae",
      published: [{ what: "samples", found: 12, published: [22086, 22086] }, {}, {}],
    });
    expect(mine).toMatchObject({ set: null, published: [] });
    const told = await checkManifests([own], { sets: ["artphoto"] });
    expect(told.manifests[0]!.published).toContainEqual({ what: "emotion: awe", found: 1, published: [102] });
    expect(formatCheck(told)).toMatch(/against artphoto as published +found +Machajdik and Hanbury 2010\n/);
    await expect(checkManifests([out, own], { sets: ["iae"] })).rejects.toThrow(
      "--set iae: names 1 sets for 2 manifests",
    );
  });
});
