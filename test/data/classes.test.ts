import { describe, expect, it } from "vitest";
import { EIGHT_EMOTIONS, emotionClasses, normaliseEmotion } from "../../src/aenet/data/classes.ts";
import { aestheticLabel, type Labels, labelsDisagree } from "../../src/aenet/data/labels.ts";

describe("emotion classes", () => {
  it("normalises names", () => {
    expect([" Sad ", "CONTENT", "Awe", "sadness"].map(normaliseEmotion)).toEqual([
      "sadness",
      "contentment",
      "awe",
      "sadness",
    ]);
  });

  it("are the eight in IAE's order where all names lie among them", () => {
    expect(emotionClasses(["sad", "awe", null])).toEqual(EIGHT_EMOTIONS);
    expect(emotionClasses([])).toEqual(EIGHT_EMOTIONS);
  });

  it("are otherwise the distinct names by code point", () => {
    expect(emotionClasses(["zeal", "Sad", "zeal", "éclat", "awe"])).toEqual(["awe", "sadness", "zeal", "éclat"]);
    expect(emotionClasses(["\u{1F600}", "\uFF01"])).toEqual(["\uFF01", "\u{1F600}"]); // the other way by UTF-16 units
  });

  it("may be called as what every object has", () => {
    expect(emotionClasses(["constructor", "__proto__"])).toEqual(["__proto__", "constructor"]);
  });

  it("can be given", () => {
    expect(emotionClasses(["awe"], ["Sad", "awe"])).toEqual(["sadness", "awe"]);
    expect(() => emotionClasses([], ["sad", "sadness"])).toThrow('"sadness" stands twice');
    expect(() => emotionClasses([], [])).toThrow("empty");
  });
});

describe("aesthetics label", () => {
  const labels = (part: Partial<Labels>): Labels => ({ aesScore: null, aesLabel: null, emotion: null, ...part });

  it("is aes_label, else by aes_score, else by the raters' mean", () => {
    expect(aestheticLabel(labels({ aesLabel: "low", aesScore: 9 }))).toBe("low");
    expect(aestheticLabel(labels({ aesScore: 5, raters: [1, 1] }))).toBe("high");
    expect(aestheticLabel(labels({ aesScore: 4.999 }))).toBe("low");
    expect(aestheticLabel(labels({ raters: [null, 4, 7, 4] }))).toBe("high");
    expect(aestheticLabel(labels({ raters: [8.1, 2.8, 4.1] }))).toBe("high"); // whose sum is 14.999999999999998
    expect(aestheticLabel(labels({ raters: [null, null] }))).toBeNull();
    expect(aestheticLabel(labels({}))).toBeNull();
  });

  it("may be at odds with the score", () => {
    expect(labelsDisagree(labels({ aesLabel: "low", aesScore: 9 }))).toBe(true);
    expect(labelsDisagree(labels({ aesScore: 9, raters: [1] }))).toBe(true);
    expect(labelsDisagree(labels({ aesLabel: "high", aesScore: 9, raters: [10, 4] }))).toBe(false);
  });
});
