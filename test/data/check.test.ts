import { dirname } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type CheckReport, checkManifests, formatCheck } from "../../src/aenet/data/index.ts";
import { gradient, temporaryFolder, write } from "./images.ts";

let first = "";
let second = "";
let report: CheckReport;
const progress: number[] = [];

beforeAll(async () => {
  const folder = await temporaryFolder();
  const image = (seed: number) => gradient(20, 20, seed).png().toBuffer();
  for (let i = 0; i < 6; i++) await write(folder, `${i}.png`, await image(i));
  await write(folder, "copy-of-1.png", await image(1));
  await write(folder, "copy-of-2.png", await image(2));
  await write(folder, "half.png", (await image(9)).subarray(0, 300));
  await write(folder, "empty-1.jpg", "");
  await write(folder, "empty-2.jpg", "");
  first = await write(
    folder,
    "first.csv",
    [
      "path,split,aes_score,aes_label,emotion,camera",
      "0.png,train,7,,awe,x",
      "1.png,train,3,high,awe,x",
      "copy-of-1.png,test,,high,awe,x",
      "2.png,train,,low,fear,x",
      "copy-of-2.png,train,,low,sad,x",
      "3.png,val,,,,x",
      "half.png,val,4,,awe,x",
      "empty-1.jpg,train,,low,,x",
      "empty-2.jpg,test,,high,awe,x",
      "gone.png,test,9,,awe,x",
    ].join("\n"),
  );
  second = await write(folder, "second.csv", "path,split,emotion\n4.png,train,glee\n5.png,val,joy\n0.png,train,glee\n");
  report = await checkManifests([first, second], { onProgress: (done, total) => progress.push(done, total) });
});

describe("checkManifests", () => {
  it("counts labels by split", () => {
    expect(report.manifests[0]).toMatchObject({
      manifest: first,
      samples: 10,
      counts: {
        train: {
          samples: 5,
          aes: { high: 2, low: 3, missing: 0 },
          emotions: { awe: 2, fear: 1, sadness: 1 },
          emotionMissing: 1,
        },
        val: { samples: 2, aes: { high: 0, low: 1, missing: 1 }, emotions: { awe: 1 }, emotionMissing: 1 },
        test: { samples: 3, aes: { high: 3, low: 0, missing: 0 }, emotions: { awe: 3 }, emotionMissing: 0 },
      },
      unlabelled: ["3.png"],
      disagreeing: ["1.png"],
      ignoredColumns: ["camera"],
    });
    expect(report.manifests[0]!.classes.length).toBe(8);
    expect(report.manifests[1]!.classes).toEqual(["glee", "joy"]);
    expect(progress.slice(-2)).toEqual([13, 13]);
  });

  it("lists damaged and missing files", () => {
    expect(report.damaged.map(({ path, split }) => `${path} ${split}`)).toEqual([
      "half.png val",
      "empty-1.jpg train",
      "empty-2.jpg test",
      "gone.png test",
    ]);
    expect(report.damaged.at(-1)!.error).toBe("no such file");
    expect(report.ok).toBe(false);
  });

  it("finds equal files, leaks between splits and contradicting labels", () => {
    const found = report.duplicates.map(({ places, leak, conflict }) => ({
      paths: places.map(({ path }) => path),
      leak,
      conflict,
    }));
    expect(found).toEqual([
      { paths: ["0.png", "0.png"], leak: false, conflict: true }, // awe in one manifest, glee in the other
      { paths: ["1.png", "copy-of-1.png"], leak: true, conflict: false },
      { paths: ["2.png", "copy-of-2.png"], leak: false, conflict: true },
    ]);
  });

  it("prints it", () => {
    const text = formatCheck(report);
    expect(text).toMatch(/aesthetics: high +2 +0 +3 +5\n/);
    expect(text).toContain("gone.png: no such file");
    expect(text).toContain("same file in different splits: 1\n");
    expect(text).toContain("1.png (train) = ");
    expect(formatCheck(report, 1)).toContain("… and 3 more");
  });

  it("names no classes where nothing has an emotion", async () => {
    const rated = await write(dirname(first), "rated.csv", "path,split,aes_score\n4.png,train,7\n5.png,val,3\n");
    const found = await checkManifests([rated]);
    expect(found.manifests[0]!.classes).toEqual([]);
    expect(formatCheck(found)).toContain(`${rated}: 2 samples, no emotions\n`);
  });

  it("is content with a sound manifest", async () => {
    const sound = await checkManifests([second]);
    expect(sound).toMatchObject({ ok: true, damaged: [], duplicates: [] });
    expect(formatCheck(sound)).toMatch(/no damaged files, no leaks between splits, no conflicting labels$/);
  });
});
