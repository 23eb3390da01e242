import { existsSync } from "node:fs";
import { copyFile, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import {
  aestheticLabel,
  decodeImage,
  EIGHT_EMOTIONS,
  FileImages,
  formatImport,
  type ImportIaeOptions,
  importArtPhoto,
  importAva,
  importFi,
  importIae,
  labelOfScore,
  parseImageReference,
  readManifest,
  recordPath,
} from "../../src/aenet/data/index.ts";
import { gradient, temporaryFolder, write } from "./images.ts";
import {
  archiveLists,
  archiveSplit,
  avaId,
  avaText,
  avaVotes,
  emotionOf,
  type Hdf5Content,
  iaeHdf5,
  meanOf,
  pixelsOf,
  ratingsOf,
  scores,
  writeArchive,
  writeArtPhoto,
  writeAva,
  writeFi,
  writeHdf5,
} from "./published-forms.ts";

let folder = "";
beforeAll(async () => {
  folder = await temporaryFolder();
});
const at = (...names: string[]) => join(folder, ...names);
const recordOf = async (manifest: string) => JSON.parse(await readFile(recordPath(manifest), "utf8"));

describe("import iae, the HDF5 file", () => {
  const COUNT = 40;
  beforeAll(async () => {
    await write(folder, "iae/README.txt", "");
    await writeHdf5(at("iae/final_aes_emo.h5"), await iaeHdf5(COUNT), { images: [1, 16, 16, 3] });
    await writeHdf5(at("iae/Scores.h5"), scores(COUNT));
  });

  it("takes labels and ratings, and leaves the images where they are", async () => {
    const out = at("sets/iae.csv");
    const report = await importIae(at("iae"), { out, seed: 3 });
    const { samples } = await readManifest(out);
    expect(samples.length).toBe(COUNT);
    samples.forEach((sample, i) => {
      expect(sample).toMatchObject({
        path: `../iae/final_aes_emo.h5#${i}`,
        absolutePath: `${at("iae/final_aes_emo.h5")}#${i}`,
        aesScore: meanOf(i),
        aesLabel: labelOfScore(meanOf(i)),
        emotion: emotionOf(i),
        raters: ratingsOf(i),
      });
    });
    const { train, val, test } = report.counts;
    expect([train.samples, val.samples, test.samples]).toEqual([29, 3, 8]); // each class by itself is 5 or 6 images
    expect(await readdir(at("sets"))).toEqual(["iae.csv", "iae.import.json"]);
    const high = samples.filter((sample) => aestheticLabel(sample) === "high").length;
    expect(await recordOf(out)).toMatchObject({
      kind: "iae",
      form: "hdf5",
      splits: "random",
      byRatings: { high, low: COUNT - high },
      labelsAgainstRatings: 0,
      wrongTotals: [],
    });
    const text = formatImport(report);
    expect(text).toMatch(/samples +40 +22086 \(−22046\) +22086 \(−22046\)\n/);
    expect(text).toMatch(new RegExp(`aesthetics: high +${high} +12641 .* +12762 `));
  });

  it("reads an image of it as any other, exactly", async () => {
    const { samples } = await readManifest(at("sets/iae.csv"));
    const images = new FileImages(samples, { imageSize: 16, resize: "none" });
    for (const row of [0, 17, COUNT - 1]) expect(Buffer.compare(await images.read(row), await pixelsOf(row))).toBe(0);
    const squashed = await decodeImage(samples[5]!.absolutePath, { imageSize: 28, resize: "squash" });
    const png = await write(
      folder,
      "5.png",
      await gradient(16, 16, 5 * 17)
        .png()
        .toBuffer(),
    );
    expect(Buffer.compare(squashed, await decodeImage(png, { imageSize: 28, resize: "squash" }))).toBe(0);
    await expect(decodeImage(`${at("iae/final_aes_emo.h5")}#40`, { imageSize: 16, resize: "none" })).rejects.toThrow(
      "there is no image 40: the file has 40",
    );
    await expect(decodeImage(`${at("iae/none.h5")}#0`, { imageSize: 16, resize: "none" })).rejects.toThrow(
      /none\.h5#0: .*No such file or directory/,
    );
  });

  it.each([
    ["from 0 to 1", { white: 1 }],
    ["channels first", { channelsFirst: true }],
    ["other keys", { image: "image", aes: "aes_labels", emo: "emo_labels" }],
  ])("takes it with %s", async (name, variant) => {
    const file = at(`variant ${name}.h5`);
    await writeHdf5(file, await iaeHdf5(9, variant));
    await importIae(file, { out: at("variant.csv"), scores: "none" });
    const { samples } = await readManifest(at("variant.csv"));
    expect(samples.map(({ emotion }) => emotion)).toEqual(Array.from({ length: 9 }, (_, i) => emotionOf(i)));
    expect(samples[0]!.raters).toBeUndefined();
    for (const i of [0, 8]) {
      const image = await decodeImage(samples[i]!.absolutePath, { imageSize: 16, resize: "none" });
      expect(Buffer.compare(image, await pixelsOf(i))).toBe(0);
    }
  });

  it("leaves out an image that is none, and says which value", async () => {
    const content = await iaeHdf5(70);
    content.images!.data[16 * 16 * 3 * 3 + 7] = Number.NaN; // image 3 is not among those that are probed
    await writeHdf5(at("nan.h5"), content);
    const report = await importIae(at("nan.h5"), { out: at("nan.csv"), scores: "none" });
    expect(report.damaged).toEqual([
      { path: `${at("nan.h5")}#3`, error: expect.stringContaining("image 3 holds NaN") },
    ]);
    expect((await readManifest(at("nan.csv"))).samples.length).toBe(69);
  });

  it("writes the images out on demand, and goes on where it was stopped", async () => {
    const extract = at("extracted");
    await write(folder, "extracted/7.png", await gradient(16, 16, 1).png().toBuffer()); // is there already: left alone
    await importIae(at("iae"), { out: at("extracted.csv"), extract });
    const { samples } = await readManifest(at("extracted.csv"));
    expect(samples[3]!.path).toBe("extracted/3.png");
    expect(Buffer.compare(await sharp(join(extract, "3.png")).raw().toBuffer(), await pixelsOf(3))).toBe(0);
    expect(
      Buffer.compare(await sharp(join(extract, "7.png")).raw().toBuffer(), await gradient(16, 16, 1).raw().toBuffer()),
    ).toBe(0);
    expect((await readdir(extract)).length).toBe(COUNT);
  });

  it("tells of totals that are none and of labels against the ratings", async () => {
    const content = await iaeHdf5(COUNT);
    content.aes!.data.reverse(); // swaps high and low, and the order
    await write(folder, "odd/x", "");
    await writeHdf5(at("odd/final_aes_emo.h5"), content);
    const odd = scores(COUNT);
    odd.score!.data[11 * 4 + 10] = 55;
    await writeHdf5(at("odd/scores.h5"), odd);
    const report = await importIae(at("odd/final_aes_emo.h5"), { out: at("odd.csv") });
    const disagreeing = (await readManifest(at("odd.csv"))).samples.filter(
      ({ aesLabel, aesScore }) => aesLabel !== labelOfScore(aesScore!),
    ).length;
    expect(disagreeing).toBeGreaterThan(0);
    expect(report.details).toMatchObject({ labelsAgainstRatings: disagreeing, wrongTotals: [4] });
    expect(formatImport(report)).toContain("the total of 1 images is not the sum of their ratings, such as 4");
  });

  const broken: [string, (content: Hdf5Content) => Promise<void> | void, string][] = [
    [
      "no images",
      (c) => {
        delete c.images;
      },
      'has no key "image" or "images"; there are aes, emo',
    ],
    [
      "no labels",
      (c) => {
        delete c.aes;
      },
      'has no key "aes" or "aes_labels"; there are emo, images',
    ],
    [
      "images of one channel",
      (c) => {
        c.images!.shape = [9, 16, 48, 1];
      },
      'key "images": has shape [9,16,48,1]; [N, H, W, 3]',
    ],
    [
      "too few labels",
      (c) => {
        c.emo = { shape: [8, 8], data: c.emo!.data.slice(0, 64) };
      },
      'key "emo": has shape [8,8]; [9, 8] is expected',
    ],
    [
      "two classes at once",
      (c) => {
        c.emo!.data.set([1, 1, 0, 0, 0, 0, 0, 0], 16);
      },
      'key "emo": row 2 is [1, 1, 0, 0, 0, 0, 0, 0]',
    ],
    [
      "no class",
      (c) => {
        c.aes!.data.set([0, 0], 6);
      },
      'key "aes": row 3 is [0, 0], which is not one-hot',
    ],
    [
      "probabilities",
      (c) => {
        c.aes!.data.set([0.25, 0.75], 0);
      },
      'key "aes": row 0 is [0.25, 0.75], which is not one-hot',
    ],
    [
      "normalised images",
      (c) => {
        c.images!.data = c.images!.data.map((v) => v / 128 - 1) as Float32Array;
      },
      "not normalised images",
    ],
  ];
  it.each(broken)("refuses %s", async (_, spoil, message) => {
    const content = await iaeHdf5(9);
    await spoil(content);
    await writeHdf5(at("broken.h5"), content);
    await expect(importIae(at("broken.h5"), { out: at("broken.csv"), scores: "none" })).rejects.toThrow(message);
    expect(existsSync(at("broken.csv"))).toBe(false);
  });

  it("refuses ratings that are not of this file, and none at all where some were named", async () => {
    const refused = async (content: Hdf5Content | null, message: string | RegExp) => {
      if (content) await writeHdf5(at("wrong-scores.h5"), content);
      else await rm(at("wrong-scores.h5"), { force: true });
      const options: ImportIaeOptions = { out: at("z.csv"), scores: at("wrong-scores.h5") };
      await expect(importIae(at("iae"), options)).rejects.toThrow(message);
    };
    await refused(scores(COUNT - 1), "has ratings of 39 images, but");
    await refused(
      { score: { shape: [COUNT, 10], data: new Float64Array(COUNT * 10).fill(1) } },
      "has shape [40,10]; [N, 11]",
    );
    await refused({ ratings: scores(COUNT).score! }, 'has no key "score" or "scores"; there are ratings');
    const five = scores(COUNT);
    five.score!.data[11 * 6 + 2] = 5;
    await refused(five, "image 6, rater 3: 5 is none of 1, 4, 7, 10");
    await refused(null, /wrong-scores\.h5: cannot be read as HDF5: .*No such file/);
  });

  it("refuses a file that is not HDF5, half of one, and a folder that is neither form", async () => {
    const options = { out: at("y.csv") };
    const text = await write(folder, "text.h5", "this is a text");
    await expect(importIae(text, options)).rejects.toThrow("text.h5: cannot be read as HDF5");
    const whole = await readFile(at("iae/final_aes_emo.h5"));
    const half = await write(folder, "half.h5", whole.subarray(0, whole.length >> 1));
    await expect(importIae(half, options)).rejects.toThrow(/half\.h5: cannot be read as HDF5: .*truncated/);
    await expect(importIae(at("sets"), options)).rejects.toThrow("neither final_aes_emo.h5 nor the archive's images/");
    await expect(importIae(at("nowhere"), options)).rejects.toThrow("nowhere is not there");
  });
});

it("image references are those of HDF5 files alone", () => {
  expect(parseImageReference("a/b.h5#12")).toEqual({ file: "a/b.h5", index: 12 });
  expect(parseImageReference("a#1/b.HDF5#0")).toEqual({ file: "a#1/b.HDF5", index: 0 });
  for (const path of ["a.h5", "a.jpg#1", "a.h5#", "a.h5#1.jpg", "a.h5#-1", "#1"])
    expect(parseImageReference(path)).toBeNull();
});

describe("import iae, the archive", () => {
  const COUNT = 30;
  beforeAll(() => writeArchive(at("archive"), COUNT));
  const archive = async (name: string, change: (lists: Record<string, string>) => void) => {
    await write(folder, `${name}/images/0.jpg`, "");
    for (let i = 0; i < COUNT; i++) await copyFile(at(`archive/images/${i}.jpg`), at(name, `images/${i}.jpg`));
    const lists = archiveLists(COUNT);
    change(lists);
    for (const [file, text] of Object.entries(lists)) await write(folder, `${name}/${file}`, text);
    return at(name);
  };

  it("keeps the published splits and takes labels and ratings", async () => {
    const out = at("archive.csv");
    const report = await importIae(at("archive"), { out });
    const { samples } = await readManifest(out);
    expect(samples.length).toBe(COUNT);
    samples.forEach((sample, i) => {
      expect(sample).toMatchObject({
        path: `archive/images/${i}.jpg`,
        split: archiveSplit(i),
        aesLabel: labelOfScore(meanOf(i)),
        emotion: emotionOf(i),
        raters: ratingsOf(i),
      });
    });
    expect(report.details).toMatchObject({ form: "archive", splits: "published" });
    expect(report.damaged).toEqual([]);
  });

  it("refuses shares that it would not follow", async () => {
    await expect(importIae(at("archive"), { out: at("no.csv"), fractions: [0.8, 0.1, 0.1] })).rejects.toThrow(
      /^--split 0\.8,0\.1,0\.1: the lists of .*; with --splits random they are drawn/,
    );
  });

  it("draws other splits on demand", async () => {
    await importIae(at("archive"), { out: at("drawn.csv"), splits: "random", seed: 4 });
    const { samples } = await readManifest(at("drawn.csv"));
    expect(samples.filter(({ split }, i) => split !== archiveSplit(i)).length).toBeGreaterThan(3);
    expect((await recordOf(at("drawn.csv"))).splits).toBe("random");
  });

  it("takes names for numbers, and images that are in one task's lists only", async () => {
    const source = await archive("names", (lists) => {
      for (const [file, text] of Object.entries(lists)) {
        const names = file.includes("aes") ? ["low", "high"] : EIGHT_EMOTIONS;
        lists[file] = text.replace(/ (\d)$/gm, (_, label) => ` ${names[label] === "sadness" ? "Sad" : names[label]}`);
      }
      lists["test_aes_list.txt"] = lists["test_aes_list.txt"]!.replace(/^8 .*\n/, "");
      lists["train_emo_list.txt"] = lists["train_emo_list.txt"]!.replace(/^3 .*\n/m, "");
    });
    await importIae(source, { out: at("names.csv") });
    const { samples } = await readManifest(at("names.csv"));
    expect(samples[8]).toMatchObject({ aesLabel: null, emotion: emotionOf(8), split: "test" });
    expect(samples[3]).toMatchObject({ aesLabel: labelOfScore(meanOf(3)), emotion: null });
    expect(samples[5]).toMatchObject({ emotion: emotionOf(5) });
  });

  it("lists an id without an image as missing, and images without an id as ignored", async () => {
    const source = await archive("gaps", (lists) => {
      lists["train_emo_list.txt"] += "77 0\n";
      lists["train_aes_list.txt"] = lists["train_aes_list.txt"]!.replace(/^0 .*\n/, "");
      lists["train_emo_list.txt"] = lists["train_emo_list.txt"]!.replace(/^0 .*\n/, "");
    });
    await write(folder, "gaps/images/2.jpg", "");
    const report = await importIae(source, { out: at("gaps.csv") });
    expect(report.damaged).toEqual([
      { path: join(source, "images/2.jpg"), error: "the file is empty" },
      { path: join(source, "images/77.jpg"), error: "no such file" },
    ]);
    expect(report.ignored).toEqual([join(source, "images/0.jpg")]);
    expect((await readManifest(at("gaps.csv"))).samples.length).toBe(COUNT - 2);
  });

  const broken: [string, (lists: Record<string, string>) => void, RegExp][] = [
    [
      "an id in two lists",
      (l) => {
        l["val_aes_list.txt"] += "0 1\n";
      },
      /val_aes_list\.txt:4: column "id": value "0": stands in .*train_aes_list\.txt:1 already/,
    ],
    [
      "an id twice in one",
      (l) => {
        l["test_emo_list.txt"] += "8 1\n";
      },
      /test_emo_list\.txt:7: .*test_emo_list\.txt:1 already/,
    ],
    [
      "splits that differ by task",
      (l) => {
        l["train_emo_list.txt"] = l["train_emo_list.txt"]!.replace(/^4 .*\n/m, "");
        l["test_emo_list.txt"] += "4 2\n";
      },
      /test_emo_list\.txt:7: column "id": value "4": stands in .*train_aes_list\.txt:5, too, but an image has one split; --splits random/,
    ],
    [
      "a label that is none",
      (l) => {
        l["val_emo_list.txt"] = "7 8\n";
      },
      /val_emo_list\.txt:1: column "label": value "8": must be 0 to 7 or amusement/,
    ],
    [
      "a name that is none",
      (l) => {
        l["val_aes_list.txt"] = "7 nice\n";
      },
      /column "label": value "nice": must be 0 to 1 or low, high/,
    ],
    [
      "a line of three",
      (l) => {
        l["val_aes_list.txt"] = "7 1 0\n";
      },
      /val_aes_list\.txt:1: "ID LABEL" is expected, not 3 fields/,
    ],
    [
      "an id that is no number",
      (l) => {
        l["val_aes_list.txt"] = "7.jpg 1\n";
      },
      /column "id": value "7\.jpg": must be a whole number/,
    ],
    [
      "a missing list",
      (l) => {
        delete l["test_emo_list.txt"];
      },
      /test_emo_list\.txt cannot be read: ENOENT/,
    ],
  ];
  it.each(broken)("refuses %s", async (name, change, message) => {
    const source = await archive(`refused ${name}`, change);
    await expect(importIae(source, { out: at("x.csv") })).rejects.toThrow(message);
    expect(existsSync(at("x.csv"))).toBe(false);
  });
});

describe("import ava", () => {
  const COUNT = 60;
  beforeAll(async () => {
    await writeAva(at("ava"), COUNT);
    await rm(at(`ava/images/${avaId(7)}.jpg`));
    await write(folder, `ava/images/${avaId(8)}.jpg`, (await gradient(40, 40).jpeg().toBuffer()).subarray(0, 300));
  });
  const mean = (i: number) => {
    const votes = avaVotes(i);
    return votes.reduce((sum, count, k) => sum + count * (k + 1), 0) / votes.reduce((sum, count) => sum + count, 0);
  };

  it("takes the votes' mean, the official test list, and lists what is missing or damaged", async () => {
    const out = at("ava.csv");
    const report = await importAva(at("ava"), { out });
    const { samples } = await readManifest(out);
    const places = Array.from({ length: COUNT }, (_, i) => i).filter((i) => i !== 7 && i !== 8);
    expect(samples.length).toBe(COUNT - 2);
    samples.forEach((sample, at) => {
      const i = places[at]!;
      expect(sample).toMatchObject({
        path: `ava/images/${avaId(i)}.jpg`,
        aesScore: mean(i),
        aesLabel: null,
        emotion: null,
      });
      expect(aestheticLabel(sample)).toBe(mean(i) >= 5 ? "high" : "low");
      expect(sample.split === "test").toBe(i % 5 === 0);
    });
    expect(new Set(samples.map(aestheticLabel)).size).toBe(2);
    const { train, val, test } = report.counts;
    expect([train.samples, val.samples, test.samples]).toEqual([40, 6, 12]); // 46 · 7/8, 46 · 1/8
    expect(report.damaged).toEqual([
      { path: at(`ava/images/${avaId(7)}.jpg`), error: "no such file" },
      { path: at(`ava/images/${avaId(8)}.jpg`), error: expect.stringMatching(/premature|corrupt/) },
    ]);
    expect(await recordOf(out)).toMatchObject({ kind: "ava", splits: "published", testIdsWithoutRow: [] });
    expect(formatImport(report)).toMatch(/damaged, left out: .*: no such file/);
  });

  it("keeps challenges together where splits are drawn", async () => {
    await importAva(at("ava"), {
      out: at("groups.csv"),
      splits: "random",
      group: "challenge",
      fractions: [0.6, 0.2, 0.2],
    });
    const { samples } = await readManifest(at("groups.csv"));
    const splitOf = new Map<number, string>();
    for (const { path, split } of samples) {
      const challenge = ((953_619 - Number.parseInt(path.slice(11), 10)) / 37) % 5;
      expect(splitOf.get(challenge) ?? split).toBe(split);
      splitOf.set(challenge, split);
    }
    expect(new Set(splitOf.values()).size).toBe(3);
    await expect(importAva(at("ava"), { out: at("g.csv"), group: "tag" })).rejects.toThrow(
      "--group tag: AVA.txt has the column challenge",
    );
  });

  it("takes the list and the images that are named", async () => {
    await write(folder, "bare/AVA.txt", avaText(10));
    const list = await write(folder, "my-test.txt", `${avaId(3)}\r\n999999999\n`);
    const report = await importAva(at("bare"), { out: at("bare.csv"), images: at("ava/images"), testList: list });
    expect(report.counts.test.samples).toBe(1);
    expect(report.notes).toContainEqual("1 ids of it are not in AVA.txt, such as 999999999");
    const bare = { out: at("q.csv"), images: at("ava/images") };
    await expect(importAva(at("bare"), bare)).rejects.toThrow("--test-list says where");
    await expect(importAva(at("bare"), { out: at("q.csv"), splits: "random" })).rejects.toThrow(
      "has no folder images; --images",
    );
    const foreign = await write(folder, "foreign.txt", "1\n2\n");
    await expect(importAva(at("bare"), { ...bare, testList: foreign })).rejects.toThrow(
      /no id of .*foreign\.txt stands in .*AVA\.txt/,
    );
    await expect(importAva(at("bare"), { ...bare, testList: at("gone.txt") })).rejects.toThrow(
      "gone.txt cannot be read",
    );
    const twice = await write(folder, "twice.txt", "5\n5\n");
    await expect(importAva(at("bare"), { ...bare, testList: twice })).rejects.toThrow(
      'twice.txt:2: column "image id": value "5": stands in the list twice',
    );
  });

  it.each([
    ["a column too few", (t: string) => t.replace(/ \d+\n/, "\n"), /AVA\.txt:1: the line has 14 columns instead of 15/],
    [
      "votes that are no numbers",
      (t: string) => t.replace(/^(2 \S+) \S+/m, "$1 3.5"),
      /AVA\.txt:2: column "votes for 1": value "3\.5"/,
    ],
    ["no votes", (t: string) => `${t}11 1${" 0".repeat(13)}\n`, /AVA\.txt:11: the image has no votes/],
    [
      "an id twice",
      (t: string) => t + t.split("\n")[3],
      /AVA\.txt:11: column "image id": value "\d+": stands on line 4 already/,
    ],
    ["nothing", () => "\n", /AVA\.txt is empty/],
  ])("refuses %s", async (name, change, message) => {
    await write(folder, `ava ${name}/AVA.txt`, change(avaText(10)));
    const options = { out: at("w.csv"), images: at("ava/images"), splits: "random" } as const;
    await expect(importAva(at(`ava ${name}`), options)).rejects.toThrow(message);
  });
});

describe("import fi and artphoto", () => {
  it("takes FI's folders, and no others", async () => {
    await writeFi(at("fi"));
    const report = await importFi(at("fi"), { out: at("fi.csv") });
    expect(report.kind).toBe("fi");
    expect((await readManifest(at("fi.csv"))).samples.length).toBe(24);
    expect(formatImport(report)).toMatch(/emotion: amusement +3 +4942 \(−4939\)/);
    await rm(at("fi/fear"), { recursive: true });
    await expect(importFi(at("fi"), { out: at("v.csv") })).rejects.toThrow("has no image in a folder fear");
    await write(folder, "fi/joy/1.jpg", "");
    await expect(importFi(at("fi"), { out: at("v.csv") })).rejects.toThrow(
      'has a folder "joy", which is none of amusement',
    );
  });

  it("takes ArtPhoto's names, and no others", async () => {
    await writeArtPhoto(at("art"));
    await write(folder, "art/notes.txt", "");
    const report = await importArtPhoto(at("art"), { out: at("art.csv") });
    const { samples } = await readManifest(at("art.csv"));
    expect(samples.map(({ path, emotion }) => `${path} ${emotion}`).slice(-4)).toEqual([
      "art/fear_0001.jpg fear",
      "art/fear_0002.jpg fear",
      "art/sad_0001.jpg sadness",
      "art/sad_0002.jpg sadness",
    ]);
    expect(samples.map(({ emotion }) => emotion)).toContain("contentment");
    expect(report.ignored).toEqual([at("art/notes.txt")]);
    expect(formatImport(report)).toMatch(/emotion: sadness +2 +166 \(−164\)/);
    await write(folder, "art/joy_0001.jpg", "");
    await expect(importArtPhoto(at("art"), { out: at("u.csv") })).rejects.toThrow(
      /joy_0001\.jpg: what stands before the first "_" is none of/,
    );
    await expect(importArtPhoto(at("iae"), { out: at("u.csv") })).rejects.toThrow("no image in");
  });
});
