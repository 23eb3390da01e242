import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { canonicalJson, configSha256 } from "../../src/aenet/config.ts";

describe("configuration", () => {
  it("has one text whatever the order of its keys", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "\n" }], a: 1e-4, u: undefined })).toBe(
      '{"a":0.0001,"b":[1,{"c":"\\n","d":null}]}',
    );
    expect(canonicalJson({ "\u{1f4f7}": 1, "\uffee": 2, 10: 3, 9: 4 })).toBe('{"10":3,"9":4,"\uffee":2,"\u{1f4f7}":1}');
    expect(canonicalJson(Object.fromEntries([["__proto__", 1]]))).toBe('{"__proto__":1}');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 0, new Map(), new Date(0), [undefined]])(
    "refuses what JSON cannot say: %s",
    (value) => expect(() => canonicalJson({ value })).toThrow("canonical JSON"),
  );

  it("hashes everything but where, how long and on what a run computes", () => {
    const config = { arch: "aenet", lr: 1e-4, batchSize: 64 };
    const digest = createHash("sha256").update('{"arch":"aenet","batchSize":64,"lr":0.0001}').digest("hex");
    expect(configSha256(config)).toBe(digest);
    const elsewhere = { out: "x", resume: "y", overwrite: true, epochs: 3, maxSteps: 4, adapter: "gpu", workers: 8 };
    expect(configSha256({ ...elsewhere, ...config })).toBe(digest);
    expect(configSha256({ "max-steps": 4, "batch-size": 64, arch: "aenet", lr: 1e-4 })).toBe(digest);
    expect(configSha256({ ...config, seed: 1 })).not.toBe(digest);
  });
});
