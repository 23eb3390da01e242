import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type ManifestRow,
  parseManifest,
  pathInManifest,
  readManifest,
  writeManifest,
} from "../../src/aenet/data/index.ts";
import { temporaryFolder, write } from "./images.ts";

const header = "path,split,aes_score,aes_label,emotion";
const parse = (...lines: string[]) => parseManifest(`${lines.join("\n")}\n`, "sets/m.csv");

let folder = "";
beforeAll(async () => {
  folder = await temporaryFolder();
});

describe("manifest", () => {
  it("reads labels, raters and paths beside it", () => {
    const { samples, ignoredColumns } = parse(
      `\uFEFFpath,split,aes_score,aes_label,emotion,rater_1,rater_2,camera`,
      `a/b.jpg,train,6.5,low, Sad ,4,,x`,
      ``,
      `"c, ""d"".png",test,,,,,7,`,
    );
    expect(samples).toEqual([
      {
        path: "a/b.jpg",
        absolutePath: join(process.cwd(), "sets/a/b.jpg"),
        split: "train",
        aesScore: 6.5,
        aesLabel: "low",
        emotion: "sadness",
        raters: [4, null],
      },
      {
        path: 'c, "d".png',
        absolutePath: join(process.cwd(), 'sets/c, "d".png'),
        split: "test",
        aesScore: null,
        aesLabel: null,
        emotion: null,
        raters: [null, 7],
      },
    ]);
    expect(ignoredColumns).toEqual(["camera"]);
  });

  it("takes Windows line ends and a table without some of the label columns", () => {
    const { samples } = parse("path,split,emotion\r", "a.jpg,val,awe\r");
    expect(samples).toMatchObject([{ path: "a.jpg", split: "val", aesScore: null, emotion: "awe" }]);
    expect(samples[0]).not.toHaveProperty("raters");
  });

  it.each([
    [
      "a bad split",
      [header, "a,train,,,", "b,dev,,,"],
      'sets/m.csv:3: column "split": value "dev": must be train, val, test',
    ],
    ["a score beyond", [header, "a,train,11,,"], 'sets/m.csv:2: column "aes_score": value "11": must lie from 1 to 10'],
    ["a score that is none", [header, "a,train,0x5,,"], 'column "aes_score": value "0x5": must be a number'],
    ["NaN", [header, "a,train,NaN,,"], "must be a number"],
    ["a bad label", [header, "a,train,,High!,"], 'column "aes_label": value "High!": must be high, low or empty'],
    [
      "a path twice",
      [header, "a,train,,,", "./a,test,,,"],
      'sets/m.csv:3: column "path": value "./a": the same path stands on line 2',
    ],
    ["an empty path", [header, ",train,,,"], 'sets/m.csv:2: column "path": value "": must not be empty'],
    ["a short row", [header, "a,train,,"], "sets/m.csv:2: the row has 4 values but the header names 5 columns"],
    ["no split column", ["path,emotion", "a,awe"], 'sets/m.csv:1: column "split": the column is missing'],
    ["no label column", ["path,split", "a,train"], "no column of labels"],
    ["a column twice", [`${header},emotion`, "a,train,,,,"], 'column "emotion": the column is named twice'],
    ["rater 11", [`${header},rater_11`, "a,train,,,,5"], 'column "rater_11"'],
    ["no samples", [header], "no samples"],
    ["a quote that stays open", [header, 'a,train,,,"awe'], "sets/m.csv:"],
    ["lines after a quoted line break", [header, '"a\nb",train,,,', "c,dev,,,"], "sets/m.csv:4:"],
  ])("refuses %s", (_, lines, message) => {
    expect(() => parse(...lines)).toThrow(message);
  });

  it("takes line ends that differ from row to row", () => {
    for (const [head, end] of [
      ["\n", "\r\n"],
      ["\r\n", "\n"],
    ]) {
      const { samples } = parseManifest(`split,emotion,path${head}train,awe,a.png${end}val,fear,b.png${end}`, "m.csv");
      expect(samples.map(({ path, emotion, split }) => [path, emotion, split])).toEqual([
        ["a.png", "awe", "train"],
        ["b.png", "fear", "val"],
      ]);
    }
  });

  it("refuses an empty file, other encodings and a file that is not there", async () => {
    expect(() => parseManifest("", "m.csv")).toThrow("m.csv:1: the file is empty");
    expect(() => parseManifest(Uint8Array.of(0x70, 0xff, 0xfe), "m.csv")).toThrow("not UTF-8");
    await expect(readManifest(join(folder, "none.csv"))).rejects.toThrow("none.csv: cannot be read");
  });

  it("writes what it reads, to the bit, and leaves no other file", async () => {
    const rows: ManifestRow[] = [
      {
        path: " odd\n,name.jpg",
        split: "train",
        aesScore: 0.1 + 0.2 + 1,
        aesLabel: "high",
        emotion: "awe",
        raters: [1, null, 10],
      },
      { path: "ü.jpg", split: "val", aesScore: null, aesLabel: null, emotion: null },
    ];
    const file = join(folder, "deep", "m.csv");
    await writeManifest(file, rows);
    const { samples, sha256 } = await readManifest(file);
    expect(samples).toMatchObject([rows[0]!, { ...rows[1]!, raters: [null, null, null] }]);
    expect(await readdir(join(folder, "deep"))).toEqual(["m.csv"]);
    const other = await write(folder, "same.csv", "path,split,emotion\na,train,awe\n");
    expect((await readManifest(other)).sha256).toBe(
      createHash("sha256").update("path,split,emotion\na,train,awe\n").digest("hex"),
    );
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it("writes paths relative to the manifest", () => {
    expect(pathInManifest(join(folder, "sets/m.csv"), join(folder, "images/a.jpg"))).toBe("../images/a.jpg");
  });
});
