import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, describe, expect, it } from "vitest";
import type { Labels } from "../../src/aenet/data/labels.ts";
import { figure1, figure1Files } from "../../src/aenet/experiment/figure1.ts";
import { runCommand } from "../cli/run.ts";
import { elements, parseMarkup, textOf } from "./well-formed.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-fig1-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sample = (emotion: string | null, aesScore: number | null, aesLabel: Labels["aesLabel"] = null): Labels => ({
  emotion,
  aesScore,
  aesLabel,
});

const samples = [
  sample("awe", 5),
  sample("awe", 4.9),
  sample("awe", 8),
  sample("fear", 2),
  sample("fear", 2, "high"),
  sample("fear", null),
  sample(null, 7),
];

describe("figure 1", () => {
  const figure = figure1(samples);

  it("counts what carries both labels, in the paper's order", () => {
    expect(figure.classes.map(({ emotion, high, low }) => [emotion, high, low])).toEqual([
      ["amusement", 0, 0],
      ["excitement", 0, 0],
      ["awe", 2, 1],
      ["contentment", 0, 0],
      ["disgust", 0, 0],
      ["anger", 0, 0],
      ["fear", 1, 1],
      ["sadness", 0, 0],
    ]);
    expect(figure.positive).toMatchObject({ high: 2, low: 1, high_share: 2 / 3 });
    expect(figure.negative).toMatchObject({ high: 1, low: 1 });
    expect(figure.all).toMatchObject({ high: 4, low: 2 });
    expect(figure).toMatchObject({ samples: 7, without_emotion: 1, without_aesthetics: 1 });
    expect(figure.scores!.fit.mean).toBeCloseTo((5 + 4.9 + 8 + 2 + 2 + 7) / 6, 12);
  });

  it("other classes have no positive and negative half, and no scores no histogram", () => {
    const other = figure1([sample("calm", null, "low"), sample("tense", null, "high")]);
    expect(other).toMatchObject({ positive: null, negative: null, scores: null });
    expect(Object.keys(figure1Files(other, "x"))).toEqual(["figure1.svg", "figure1.csv", "figure1.json"]);
  });

  it("its charts are well formed and show the counts of the JSON", async () => {
    const files = figure1Files(figure, "photos.csv");
    for (const name of ["figure1.svg", "scores.svg"]) {
      expect((await sharp(Buffer.from(files[name]!)).metadata()).format).toBe("svg");
      const chart = parseMarkup(files[name]!);
      for (const { attributes } of elements(chart))
        for (const value of Object.values(attributes)) expect(value).not.toMatch(/NaN|undefined|Infinity/);
    }
    const texts = [...elements(parseMarkup(files["figure1.svg"]!), "text")].map(textOf);
    const counts = figure.classes.flatMap(({ high, low }) => [String(high), String(low)]);
    for (const { emotion } of figure.classes) expect(texts).toContain(emotion);
    // Above its bar each count stands right before its class's name or its neighbour's count.
    expect(texts.join(" ")).toContain(`${counts.slice(4, 6).join(" ")} awe`);
    expect(JSON.parse(files["figure1.json"]!)).toMatchObject({ source: "photos.csv", samples: 7 });
    expect(files["figure1.csv"]!.split("\n")[3]).toMatch(/^awe,2,1,0\.666/);
    const bars = files["scores.csv"]!.trim()
      .split("\n")
      .slice(1)
      .map((line) => Number(line.split(",")[2]));
    expect(bars.reduce((a, b) => a + b, 0)).toBe(6);
  });

  it("names that would be markup stay names", async () => {
    const hostile = `</text><script>alert("1")</script>&\u0000'`;
    const files = figure1Files(figure1([sample(hostile, 4), sample("x", 6)]), "x");
    const chart = parseMarkup(files["figure1.svg"]!);
    expect([...elements(chart, "script")]).toEqual([]);
    expect(textOf(chart)).toContain("</text><scrip…");
    expect((await sharp(Buffer.from(files["figure1.svg"]!)).metadata()).format).toBe("svg");
  });
});

it("aenet experiment fig1 writes it from a manifest", async () => {
  const manifest = join(folder, "photos.csv");
  const rows = ["a.png,train,7,,awe", "b.png,test,3,,fear", "c.png,test,6.5,,sad", "d.png,val,5.5,low,awe"];
  writeFileSync(manifest, ["path,split,aes_score,aes_label,emotion", ...rows, ""].join("\n"));
  const out = join(folder, "figures");
  const { code, out: printed } = await runCommand(["experiment", "fig1", "--data", manifest, "--out", out, "--json"]);
  expect(code).toBe(0);
  const figure = JSON.parse(printed);
  expect(figure.all).toMatchObject({ high: 2, low: 2 });
  expect(figure.files).toHaveLength(5);
  expect(JSON.parse(readFileSync(join(out, "figure1.json"), "utf8")).classes).toEqual(figure.classes);
  const test = await runCommand(["experiment", "fig1", "--data", manifest, "--out", out, "--split", "test"]);
  expect(test.out).toMatch(/sadness +1 +0 +100\.0 %/);
});

it("aenet experiment fig1 draws only what there is, and refuses where that is nothing", async () => {
  const draw = async (name: string, lines: readonly string[]) => {
    const [manifest, out] = [join(folder, `${name}.csv`), join(folder, name)];
    writeFileSync(manifest, ["path,split,aes_score,aes_label,emotion", ...lines, ""].join("\n"));
    const { code, err } = await runCommand(["experiment", "fig1", "--data", manifest, "--out", out]);
    return { code, err, files: existsSync(out) ? readdirSync(out).sort() : [] };
  };
  // As AVA is, as FI is, and with labels that are never together.
  const rated = await draw("rated", ["a.png,train,7,,", "b.png,test,3,,"]);
  expect([rated.code, rated.files]).toEqual([0, ["figure1.json", "scores.csv", "scores.svg"]]);
  expect(rated.err).toContain("no image has both labels, so only the scores are drawn");
  const felt = await draw("felt", ["a.png,train,,,awe", "b.png,test,,,fear"]);
  expect(felt).toMatchObject({
    code: 1,
    files: [],
    err: expect.stringContaining("no image has a label of aesthetics"),
  });
  const apart = await draw("apart", ["a.png,train,,high,", "b.png,test,,,fear"]);
  expect(apart).toMatchObject({ code: 1, files: [], err: expect.stringContaining("no image has an emotion beside") });
});
