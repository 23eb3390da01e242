import { describe, expect, it } from "vitest";
import type { ArchName } from "../../src/aenet/architecture.ts";
import { emotionClasses } from "../../src/aenet/data/classes.ts";
import { parseManifest } from "../../src/aenet/data/manifest.ts";
import { describeData } from "../../src/aenet/training/describe-data.ts";

function described(header: string, rows: readonly string[], arch: ArchName = "aenet"): string[] {
  const manifest = parseManifest(new TextEncoder().encode([header, ...rows, ""].join("\n")), "m.csv");
  return describeData(manifest, { arch, classes: emotionClasses(manifest.samples.map(({ emotion }) => emotion)) });
}

describe("a run's data in words", () => {
  const rows = ["a.png,train,high,awe", "b.png,train,,fear", "c.png,val,low,", "d.png,test,low,awe"];

  it("are the samples and labels of the splits that it reads", () => {
    expect(described("path,split,aes_label,emotion", rows)).toEqual([
      "data: 2 samples to train on (labels: aesthetics 1, emotion 2), 1 to validate on (aesthetics 1, emotion 0)",
      "note: no sample to validate on has an emotion label: there will be no best-emo",
    ]);
    expect(described("path,split,aes_label,emotion", rows.slice(0, 2), "resnet50-aes")).toEqual([
      "data: 2 samples to train on (labels: aesthetics 1)",
    ]);
  });

  it("tell of a misspelt column, and of the head that has no label then", () => {
    expect(described("path,split,aes_label,emotions", rows.slice(0, 2))).toEqual([
      "data: 2 samples to train on (labels: aesthetics 1, emotion 0)",
      "note: no sample to train on has an emotion label: that head learns nothing",
      "note: columns without a meaning: emotions",
    ]);
  });

  it("tell of an emotion beside the eight, but not of other classes altogether", () => {
    expect(described("path,split,aes_label,emotion", [...rows, "e.png,train,high,happy"]).slice(2)).toEqual([
      "note: happy is none of the eight emotions, so the classes are these: awe, fear, happy",
    ]);
    const others = ["a.png,train,high,calm", "b.png,train,low,aroused"];
    expect(described("path,split,aes_label,emotion", others)).toHaveLength(1);
  });
});
