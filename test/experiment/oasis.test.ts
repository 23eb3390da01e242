import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { median, readOasis } from "../../src/aenet/data/import-oasis.ts";
import { foldSamples, foldsOf } from "../../src/aenet/experiment/oasis/folds.ts";
import { type OasisProtocol, oasisProtocol } from "../../src/aenet/experiment/oasis/plan.ts";
import { runOasis } from "../../src/aenet/experiment/oasis/run.ts";
import { readExperiment } from "../../src/aenet/experiment/results.ts";
import { gradient } from "../data/images.ts";
import { settings } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-oasis-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const data = join(root, "oasis");

/** Photographs of our own: 8 themes of 1 to 4. */
beforeAll(async () => {
  mkdirSync(join(data, "oasis"), { recursive: true });
  const rows = ["file,theme,beauty_mean,valence_mean,arousal_mean"];
  for (let i = 0; i < 20; i++) {
    const theme = `Thing ${String.fromCharCode(97 + (i % 8))} ${1 + Math.floor(i / 8)}`;
    writeFileSync(join(data, "oasis", `${theme}.png`), await gradient(24, 20, i).png().toBuffer());
    rows.push(
      `${theme}.png,${theme},${1 + ((i * 7) % 20) * 0.3},${1 + ((i * 3) % 20) * 0.3},${1 + ((i * 11) % 20) * 0.3}`,
    );
  }
  writeFileSync(join(data, "oasis.csv"), `${rows.join("\n")}\n`);
});

const tiny: OasisProtocol = { ...oasisProtocol, imageSize: 16, baseChannels: 4, batchSize: 8, epochs: 1, folds: 2 };

describe("OASIS in folds", () => {
  test("no theme is in two folds, which are about equal, and thresholds come from the other folds", async () => {
    const photos = await readOasis(data);
    const foldOf = foldsOf(photos, 4, 1);
    const byGroup = new Map<string, Set<number>>();
    for (const [i, { group }] of photos.entries())
      byGroup.set(group, (byGroup.get(group) ?? new Set()).add(foldOf[i]!));
    for (const folds of byGroup.values()) expect(folds.size).toBe(1);
    const sizes = [0, 1, 2, 3].map((fold) => foldOf.filter((f) => f === fold).length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(2);
    const samples = foldSamples(photos, foldOf, 0);
    const beauty = median(photos.flatMap((photo, i) => (foldOf[i] === 0 ? [] : [photo.beauty])));
    samples.forEach(({ split, aesLabel }, i) => {
      expect(split).toBe(foldOf[i] === 0 ? "test" : "train");
      expect(aesLabel).toBe(photos[i]!.beauty >= beauty ? "high" : "low");
    });
    expect(() => foldsOf(photos, 9, 1)).toThrow("8 themes cannot make 9 folds");
  });

  test("every photograph is tested once by each of the six methods, with its theme", { timeout: 600_000 }, async () => {
    const out = join(root, "out");
    const { failed, left } = await runOasis({ data, protocol: tiny, out, again: false }, settings());
    expect([failed, left]).toEqual([[], 0]);
    const { experiment, results } = await readExperiment(out);
    expect(experiment.methods.map(({ name }) => name)).toEqual([
      "resnet50",
      "wrn",
      "ssnet",
      "csnet",
      "aenet-fl",
      "aenet",
    ]);
    for (const { name } of experiment.methods) {
      const folds = results.filter(({ method }) => method === name);
      const tested = folds.flatMap(({ predictions }) => predictions.image);
      expect([name, tested.length, new Set(tested).size]).toEqual([name, 20, 20]);
      const themes = folds.map(({ predictions }) => new Set(predictions.groups!.names));
      expect([...themes[0]!].filter((theme) => themes[1]!.has(theme))).toEqual([]);
    }
    expect(readdirSync(join(out, "results"))).toHaveLength(12);
    for (const { method, history } of results) {
      const single = method === "resnet50" || method === "wrn";
      expect(history.map(({ tasks }) => tasks)).toEqual(single ? [["aes"], ["emo"]] : [["aes", "emo"]]);
      for (const { tasks, epochs } of history) {
        expect(epochs).toMatchObject([{ split: "train", epoch: [0], loss: [expect.any(Number)] }]);
        expect(epochs[0]!.acc_aes).toEqual([tasks.includes("aes") ? expect.any(Number) : null]);
        expect(epochs[0]!.acc_emo).toEqual([tasks.includes("emo") ? expect.any(Number) : null]);
      }
    }
    expect(JSON.parse(readFileSync(join(out, "frozen.json"), "utf8")).runs).toHaveLength(12);
  });
});
