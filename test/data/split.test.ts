import { describe, expect, it } from "vitest";
import { parseFractions, type Split, splitSamples } from "../../src/aenet/data/index.ts";
import { Random } from "../../src/random.ts";

const share = (splits: Split[], split: Split, of: (i: number) => boolean = () => true) => {
  const chosen = splits.filter((_, i) => of(i));
  return chosen.filter((value) => value === split).length / chosen.length;
};

describe("splitSamples", () => {
  const strata = Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? "rare" : i % 2 === 0 ? "even" : "odd"));

  it("meets the shares in all and in each stratum", () => {
    const splits = splitSamples({ fractions: [0.7, 0.1, 0.2], seed: 0, strata });
    for (const stratum of [undefined, "rare", "even", "odd"]) {
      const of = (i: number) => stratum === undefined || strata[i] === stratum;
      expect(share(splits, "train", of)).toBeCloseTo(0.7, 1.7);
      expect(share(splits, "val", of)).toBeCloseTo(0.1, 1.7);
      expect(share(splits, "test", of)).toBeCloseTo(0.2, 1.7);
    }
    expect(splits.filter((split) => split === "val").length).toBe(100);
  });

  it("depends on the seed alone", () => {
    const draw = (seed: number) => splitSamples({ fractions: [0.5, 0.25, 0.25], seed, strata });
    expect(draw(1)).toEqual(draw(1));
    const other = draw(2);
    const same = draw(1).filter((split, i) => split === other[i]).length;
    expect(same / 1000).toBeLessThan(0.5); // 0.375 by chance
  });

  it("keeps groups together and still meets the shares", () => {
    const random = new Random(3, "groups");
    const groups = strata.map(() => `group ${Math.floor(60 * random.float() ** 2)}`);
    const splits = splitSamples({ fractions: [0.7, 0.1, 0.2], seed: 5, strata, groups });
    const splitOf = new Map(groups.map((group, i) => [group, splits[i]]));
    groups.forEach((group, i) => {
      expect(splits[i]).toBe(splitOf.get(group));
    });
    expect(Math.abs(share(splits, "train") - 0.7)).toBeLessThan(0.03);
    expect(Math.abs(share(splits, "test", (i) => strata[i] === "rare") - 0.2)).toBeLessThan(0.08);
  });

  it("gives nothing to a share of 0", () => {
    const splits = splitSamples({ fractions: [0.8, 0, 0.2], seed: 0, strata: ["a", "a", "b", "b", "b"] });
    expect(splits).not.toContain("val");
    expect(splitSamples({ fractions: [1, 0, 0], seed: 0, strata: ["a"] })).toEqual(["train"]);
    expect(splitSamples({ fractions: [1, 0, 0], seed: 0, strata: [] })).toEqual([]);
  });

  it("reads shares", () => {
    expect(parseFractions("0.7, 0.1,0.2")).toEqual([0.7, 0.1, 0.2]);
    expect(() => parseFractions("0.7,0.3")).toThrow("three shares");
    for (const bad of ["0.7,0.1,0.1", "0,0.5,0.5", "1.2,-0.2,0", "a,0.5,0.5", "1,,"]) {
      expect(() => parseFractions(bad), bad).toThrow("add up to 1");
    }
  });
});
