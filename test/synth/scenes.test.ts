import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readManifest } from "../../src/aenet/data/manifest.ts";
import {
  defaultLabelOptions,
  describeScene,
  drawScene,
  emotions,
  type FactorName,
  factorNames,
  latents,
  positiveEmotions,
  renderScene,
  synthesize,
} from "../../src/aenet/data/synth/index.ts";
import { Random } from "../../src/random.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-synth-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const set = (n: number, more = {}) => Array.from({ length: n }, (_, i) => describeScene({ seed: 0, ...more }, i));
const share = <T>(items: readonly T[], test: (item: T) => boolean) => items.filter(test).length / items.length;

describe("a set", () => {
  it("is the same bytes from the same seed, whatever its size; another seed is another set", async () => {
    const digest = async (name: string, count: number, seed: number) => {
      const out = join(folder, name);
      await synthesize({ out, count, seed, size: 32 });
      const files = ["manifest.csv", "images/000003.png"].map((file) => readFileSync(join(out, file)));
      return files.map((bytes) => createHash("sha256").update(bytes).digest("hex"));
    };
    const [first, again, longer, other] = [
      await digest("a", 12, 0),
      await digest("b", 12, 0),
      await digest("c", 20, 0),
      await digest("d", 12, 1),
    ];
    expect(again).toEqual(first);
    expect(longer[1]).toBe(first[1]);
    expect(other[1]).not.toBe(first[1]);
    const rows = (name: string) =>
      readFileSync(join(folder, name, "manifest.csv"), "utf8")
        .split("\n")
        .slice(0, 12);
    expect(rows("c")).toEqual(rows("a"));
  });

  it("has a manifest that reads, with ten raters whose mean is the score", async () => {
    const { manifest } = await synthesize({ out: join(folder, "read"), count: 10, seed: 2, size: 16 });
    const { samples } = await readManifest(manifest);
    expect(samples).toHaveLength(10);
    for (const { raters, aesScore, aesLabel } of samples) {
      expect(raters).toHaveLength(10);
      expect(raters!.every((rating) => [1, 4, 7, 10].includes(rating!))).toBe(true);
      expect(raters!.reduce<number>((sum, rating) => sum + rating!, 0) / 10).toBeCloseTo(aesScore!, 12);
      expect(aesLabel).toBe(aesScore! >= 5 ? "high" : "low");
    }
    await expect(synthesize({ out: join(folder, "read"), count: 1, seed: 2 })).rejects.toThrow("holds a manifest.csv");
  });
});

describe("labels", () => {
  const scenes = set(6000);

  it("are balanced as in the paper: some 57 % high, no emotion rare, more high among the positive ones", () => {
    expect(share(scenes, ({ aesLabel }) => aesLabel === "high")).toBeGreaterThan(0.53);
    expect(share(scenes, ({ aesLabel }) => aesLabel === "high")).toBeLessThan(0.61);
    for (const name of emotions) expect(share(scenes, ({ emotion }) => emotion === name)).toBeGreaterThan(0.06);
    const [positive, negative] = [true, false].map((is) =>
      scenes.filter(({ emotion }) => positiveEmotions.includes(emotion) === is),
    );
    const high = (part: typeof scenes) => share(part, ({ aesLabel }) => aesLabel === "high");
    expect(high(positive!)).toBeGreaterThan(high(negative!) + 0.05);
  });

  it.each([0, 0.5, 0.9])("read the shared factors with correlation rho = %f", (rho) => {
    const options = { ...defaultLabelOptions, rho, aestheticShared: 1, valenceShared: 1 };
    const pairs = scenes.map(({ factors }) => latents(factors, options));
    const mean = (f: (pair: (typeof pairs)[number]) => number) =>
      pairs.reduce((sum, pair) => sum + f(pair), 0) / pairs.length;
    const [a, v] = [mean((p) => p.aesthetic), mean((p) => p.valence)];
    const covariance = mean((p) => (p.aesthetic - a) * (p.valence - v));
    const deviations = Math.sqrt(mean((p) => (p.aesthetic - a) ** 2) * mean((p) => (p.valence - v) ** 2));
    expect(covariance / deviations).toBeCloseTo(rho, 1);
  });

  it("depend on their own factors alone", () => {
    const of = (fixed: Partial<Record<FactorName, number>>) => set(400, { fixed, rho: 0 });
    const emotionsOf = (part: typeof scenes) => part.map(({ emotion }) => emotion);
    const scores = (part: typeof scenes) => part.map(({ aesScore }) => aesScore);
    for (const name of ["placement", "sharpness", "clutter"] as const) {
      expect(emotionsOf(of({ [name]: 2 }))).toEqual(emotionsOf(of({ [name]: -2 })));
      expect(scores(of({ [name]: 2 }))).not.toEqual(scores(of({ [name]: -2 })));
    }
    for (const name of ["hue", "jaggedness", "texture"] as const) {
      expect(scores(of({ [name]: 2 }))).toEqual(scores(of({ [name]: -2 })));
      expect(emotionsOf(of({ [name]: 2 }))).not.toEqual(emotionsOf(of({ [name]: -2 })));
    }
  });
});

describe("pixels", () => {
  it.each(factorNames.map((name) => [name]))("show %s at 32×32", (name) => {
    const differences = Array.from({ length: 12 }, (_, index) => {
      const scene = describeScene({ seed: 4 }, index);
      const draw = (value: number) =>
        renderScene({ ...scene.factors, [name]: value }, 32, new Random(4, "synth scene", index));
      const [low, high] = [draw(-2), draw(2)];
      return low.reduce((sum, value, i) => sum + Math.abs(value - high[i]!), 0) / low.length;
    });
    expect(differences.reduce((a, b) => a + b, 0) / 12).toBeGreaterThan(3); // of 255
  });

  it("are those of describeScene and of any size", () => {
    const scene = describeScene({ seed: 1 }, 5);
    expect(drawScene({ seed: 1, size: 16 }, scene)).toHaveLength(16 * 16 * 3);
    expect(() => renderScene(scene.factors, 4, new Random(0))).toThrow("size 4");
  });
});
