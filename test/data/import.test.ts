import { existsSync } from "node:fs";
import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  formatImport,
  importCsv,
  importFolder,
  importOasis,
  labelsDisagree,
  median,
  oasisThresholds,
  readManifest,
  readOasis,
  recordPath,
  type Sample,
  SPLITS,
  themeGroup,
} from "../../src/aenet/data/index.ts";
import { gradient, temporaryFolder, write } from "./images.ts";

let folder = "";
let image: Buffer = Buffer.alloc(0);
beforeAll(async () => {
  folder = await temporaryFolder();
  image = await gradient(24, 18).jpeg().toBuffer();
});

const paths = (samples: Sample[]) => samples.map(({ path }) => path);

describe("import folder", () => {
  it("takes a folder for each emotion", async () => {
    for (let i = 0; i < 20; i++) await write(folder, `fi/${i % 2 ? "Sad" : "awe"}/part/${i}.jpg`, image);
    await write(folder, "fi/awe/bad.jpg", image.subarray(0, 200));
    await write(folder, "fi/awe/notes.txt", "none");
    await write(folder, "fi/awe/.hidden.jpg", "none");
    await write(folder, "fi/top.jpg", image);
    const progress: number[] = [];
    const out = join(folder, "sets/fi.csv");
    const report = await importFolder(join(folder, "fi"), {
      out,
      seed: 1,
      fractions: [0.5, 0.2, 0.3],
      onProgress: (done, total) => progress.push(done / total),
    });
    const { samples } = await readManifest(out);
    expect(samples.length).toBe(20);
    expect(samples[0]).toMatchObject({
      path: "../fi/Sad/part/1.jpg",
      emotion: "sadness",
      aesLabel: null,
      aesScore: null,
    });
    expect(report.counts).toMatchObject({
      train: { samples: 10, emotions: { awe: 5, sadness: 5 } },
      val: { samples: 4, emotions: { awe: 2, sadness: 2 } },
      test: { samples: 6, emotions: { awe: 3, sadness: 3 } },
    });
    expect(report.damaged).toMatchObject([{ path: join(folder, "fi/awe/bad.jpg"), error: /premature|corrupt/ }]);
    expect(report.ignored).toEqual([join(folder, "fi/top.jpg"), join(folder, "fi/awe/notes.txt")]);
    expect([progress.length, progress.at(-1)]).toEqual([21, 1]);
    expect(JSON.parse(await readFile(recordPath(out), "utf8"))).toMatchObject({
      kind: "folder",
      seed: 1,
      fractions: [0.5, 0.2, 0.3],
    });
    expect(formatImport(report)).toMatch(/emotion: sadness +5 +2 +3 +10\n/);
    expect(await readdir(join(folder, "sets"))).toEqual(["fi.csv", "fi.import.json"]);
  });

  it("keeps the splits of train, val and test folders", async () => {
    for (const name of ["train/awe/1", "train/fear/2", "val/awe/3", "test/fear/4"])
      await write(folder, `given/${name}.png`, image);
    const out = join(folder, "given/manifest.csv");
    await importFolder(join(folder, "given"), { out });
    const { samples } = await readManifest(out);
    expect(samples.map(({ path, split, emotion }) => `${path} ${split} ${emotion}`)).toEqual([
      "test/fear/4.png test fear",
      "train/awe/1.png train awe",
      "train/fear/2.png train fear",
      "val/awe/3.png val awe",
    ]);
  });

  it("says what is wrong with the folder", async () => {
    const out = join(folder, "x.csv");
    await write(folder, "mixed/train/awe/1.jpg", image);
    await write(folder, "mixed/fear/1.jpg", image);
    await expect(importFolder(join(folder, "mixed"), { out })).rejects.toThrow(
      "folders of splits (train) and others (fear)",
    );
    await expect(importFolder(join(folder, "none"), { out })).rejects.toThrow("none is not a folder");
    await write(folder, "flat/1.jpg", image);
    await expect(importFolder(join(folder, "flat"), { out })).rejects.toThrow("a folder for each emotion is expected");
    await write(folder, "broken/awe/1.jpg", "");
    await expect(importFolder(join(folder, "broken"), { out })).rejects.toThrow(
      "no sound image was found (1 damaged or missing)",
    );
  });
});

describe("import csv", () => {
  it("takes other names of columns, groups and raters", async () => {
    const rows = Array.from(
      { length: 30 },
      (_, i) => `c/${i}.jpg,${1 + (i % 10)},${i % 3 ? "Fear" : ""},person ${i % 7},${i % 2 ? 7 : ""}`,
    );
    for (let i = 0; i < 30; i++) if (i !== 4) await write(folder, `c/${i}.jpg`, image);
    const source = await write(folder, "c.csv", `image,score,label,who,rater_1\n${rows.join("\n")}\n`);
    const out = join(folder, "c-manifest.csv");
    const report = await importCsv(source, { out, group: "who", seed: 2 });
    expect(report.damaged).toEqual([{ path: join(folder, "c/4.jpg"), error: "no such file" }]);
    const { samples } = await readManifest(out);
    expect(samples.length).toBe(29);
    expect(samples[1]).toMatchObject({ path: "c/1.jpg", aesScore: 2, emotion: "fear", raters: [7] });
    const splitOf = new Map<number, string>();
    for (const { path, split } of samples) {
      const group = Number.parseInt(path.slice(2), 10) % 7;
      expect(splitOf.get(group) ?? split).toBe(split);
      splitOf.set(group, split);
    }
    expect(new Set(splitOf.values()).size).toBe(3);
    const again = join(folder, "c-again.csv");
    await importCsv(source, { out: again, group: "who", seed: 2, workers: 1 });
    expect(await readFile(again, "utf8")).toBe(await readFile(out, "utf8"));
  });

  it("refuses a table that is not UTF-8, whose names would lose their accents", async () => {
    const source = join(folder, "latin1.csv");
    await writeFile(source, Buffer.from("file,emotion\nx.png,col\xe8re\n", "latin1"));
    await expect(importCsv(source, { out: join(folder, "latin1-manifest.csv") })).rejects.toThrow("is not UTF-8 text");
  });

  it("keeps the table's splits", async () => {
    await write(folder, "s/1.jpg", image);
    await write(folder, "s/2.jpg", image);
    const source = await write(folder, "s/t.csv", "file,split,aes_label\n1.jpg,test,high\n2.jpg,train,low\n");
    const out = join(folder, "s/m.csv");
    await importCsv(source, { out });
    expect(await readFile(out, "utf8")).toBe(
      "path,split,aes_score,aes_label,emotion\n1.jpg,test,,high,\n2.jpg,train,,low,\n",
    );
  });

  it.each([
    ["emotion\nawe\n", "no column of image paths"],
    ["path,score\n1.jpg,70\n", 'bad.csv:2: column "score": value "70": must lie from 1 to 10'],
    ["path,split\n1.jpg,\n", 'column "split": value "": must be train, val, test'],
    ["path\n1.jpg\n1.jpg\n", "bad.csv:3"],
  ])("refuses %j", async (text, message) => {
    const source = await write(folder, "bad.csv", text);
    await expect(importCsv(source, { out: join(folder, "y.csv") })).rejects.toThrow(message);
    await expect(importCsv(source, { out: join(folder, "y.csv"), group: "g" })).rejects.toThrow();
    expect(existsSync(join(folder, "y.csv"))).toBe(false);
  });
});

describe("an import that was stopped", () => {
  it("goes on: what was looked through and has not changed is not decoded again", async () => {
    for (let i = 0; i < 12; i++) await write(folder, `stopped/awe/${i}.jpg`, image);
    await write(folder, "stopped/awe/3.jpg", image.subarray(0, 200));
    const out = join(folder, "stopped.csv");
    const partial = join(folder, "stopped.import.partial.jsonl");
    const stopped = importFolder(join(folder, "stopped"), {
      out,
      workers: 1,
      onProgress(done) {
        if (done === 8) throw new Error("stopped");
      },
    });
    await expect(stopped).rejects.toThrow("stopped");
    expect(existsSync(out)).toBe(false);
    const lines = (await readFile(partial, "utf8")).trim().split("\n");
    expect(lines.length).toBeGreaterThanOrEqual(8);
    // Two known files are spoilt without a trace: the journal's word holds. A third one has another time: it is read.
    const known = lines.slice(0, 8).map((line) => JSON.parse(line) as { path: string; damage: string | null });
    const sound = known.filter(({ damage }) => damage === null).map(({ path }) => path);
    expect(known.length - sound.length).toBe(1);
    for (const [i, path] of sound.slice(0, 3).entries()) {
      const { atimeMs, mtimeMs, size } = await stat(path);
      await writeFile(path, Buffer.alloc(size));
      await utimes(path, atimeMs / 1000, i < 2 ? mtimeMs / 1000 : 1);
    }
    const entries = await Promise.all(
      known.map(async (entry) => {
        const isSpoilt = sound.slice(0, 2).includes(entry.path); // utimes may round
        return JSON.stringify(isSpoilt ? { ...entry, mtimeMs: (await stat(entry.path)).mtimeMs } : entry);
      }),
    );
    // As if the process had ended in the middle of a line.
    await writeFile(partial, `${entries.join("\n")}\n{"path":"${folder}/stopp`);
    const { damaged } = await importFolder(join(folder, "stopped"), { out });
    expect(damaged.map(({ path }) => path).sort()).toEqual([join(folder, "stopped/awe/3.jpg"), sound[2]!].sort());
    expect((await readManifest(out)).samples.length).toBe(10);
    expect(existsSync(partial)).toBe(false);
  });
});

describe("OASIS rules", () => {
  it("groups themes and takes medians", () => {
    expect(["Acorns 1", "Acorns 12", "Acorns", "Route 66 1"].map(themeGroup)).toEqual([
      "Acorns",
      "Acorns",
      "Acorns",
      "Route 66",
    ]);
    expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([5])]).toEqual([2, 2.5, 5]);
  });

  it("names a rating that is none", async () => {
    await write(folder, "o/oasis.csv", "file,theme,beauty_mean,valence_mean,arousal_mean\na.jpg,A 1,8,2,3\n");
    await expect(readOasis(join(folder, "o"))).rejects.toThrow(
      'oasis.csv:2: column "beauty_mean": value "8": must lie from 1 to 7',
    );
  });
});

const shared = join(process.env.AENET_SHARED ?? join(import.meta.dirname, "../../../shared"), "data");

describe.skipIf(!existsSync(join(shared, "oasis.csv")))("import oasis", () => {
  it("splits by theme and makes the labels from the training split's medians", async () => {
    const out = join(folder, "oasis/manifest.csv");
    const report = await importOasis(shared, { out, seed: 0 });
    expect(report.damaged).toEqual([]);
    const { samples } = await readManifest(out);
    const photos = await readOasis(shared);
    expect(paths(samples).length).toBe(photos.length);

    const splitOf = new Map<string, string>();
    samples.forEach(({ absolutePath, split }, i) => {
      expect(absolutePath).toBe(photos[i]!.absolutePath);
      const { group } = photos[i]!;
      expect(splitOf.get(group) ?? split).toBe(split);
      splitOf.set(group, split);
    });

    const thresholds = oasisThresholds(photos.filter((_, i) => samples[i]!.split === "train"));
    expect(JSON.parse(await readFile(recordPath(out), "utf8"))).toMatchObject({ kind: "oasis", seed: 0, thresholds });
    samples.forEach(({ aesScore, aesLabel, emotion }, i) => {
      const { beauty, valence, arousal } = photos[i]!;
      expect(aesScore).toBe(1 + 1.5 * (beauty - 1));
      expect(aesLabel).toBe(beauty >= thresholds.beauty ? "high" : "low");
      const quadrant = `${valence >= thresholds.valence ? "pleasant" : "unpleasant"}-${arousal >= thresholds.arousal ? "aroused" : "calm"}`;
      expect(emotion).toBe(quadrant);
    });
    expect(samples.some(labelsDisagree)).toBe(true); // the median is not 5: the label wins

    SPLITS.forEach((split, i) => {
      const { samples: count, aes } = report.counts[split];
      expect(Math.abs(count / photos.length - [0.7, 0.1, 0.2][i]!)).toBeLessThan(0.02);
      expect(Math.abs(aes.high / count - 0.5)).toBeLessThan(0.1);
    });
    const other = await importOasis(shared, { out: join(folder, "oasis/other.csv"), seed: 1 });
    expect(other.details.thresholds).not.toEqual(thresholds);
  });
});
