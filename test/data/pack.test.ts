import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openDataSet } from "../../src/aenet/data/data-set.ts";
import { DecodeError } from "../../src/aenet/data/decode.ts";
import { FileImages } from "../../src/aenet/data/image-source.ts";
import { readManifest } from "../../src/aenet/data/manifest.ts";
import { packManifest } from "../../src/aenet/data/pack.ts";
import { parseSafetensors, serializeSafetensors } from "../../src/nn/safetensors.ts";
import { temporaryFolder, writeDataSet } from "../training/runs.ts";

const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);
const options = { imageSize: 28, resize: "squash" } as const; // 28 · 256 / 224 = 32
let data: string;
let pack: string;

beforeAll(async () => {
  data = await writeDataSet(folder, { train: 8, val: 2, test: 2 });
  pack = at("whole.pack");
  await packManifest(data, { ...options, out: pack });
});

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => new Error("nothing was thrown"),
    (error: Error) => error,
  );
}

describe("a pack", () => {
  it("is written by one process at a time", async () => {
    const out = at("twice.pack");
    const both = await Promise.allSettled([1, 2].map(() => packManifest(data, { ...options, out, journalEvery: 0 })));
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: { name: "LockedError" } });
    expect(readFileSync(out)).toEqual(readFileSync(pack));
    expect(readdirSync(folder).filter((name) => name.startsWith("twice"))).toEqual(["twice.pack"]);
  });

  it("takes no other file's place: neither its manifest's nor a checkpoint's", async () => {
    const checkpoint = at("checkpoint.safetensors");
    writeFileSync(checkpoint, serializeSafetensors(new Map([["x", { shape: [1], data: Float32Array.of(1) }]])));
    for (const out of [data, checkpoint]) {
      const before = readFileSync(out);
      await expect(packManifest(data, { ...options, out })).rejects.toThrow(`--out ${out}: is there and no pack`);
      expect(readFileSync(out)).toEqual(before);
    }
  });

  it("has the manifest, every image as it is decoded, and what is wrong with the damaged ones", async () => {
    const { samples, sha256 } = await readManifest(data);
    const files = new FileImages(samples, options);
    const opened = await openDataSet(pack);
    const packed = opened.images(options);
    expect(opened.manifest).toMatchObject({ samples, sha256 });
    expect(opened.name).toBe(data);
    expect([packed.imageSize, packed.decodedSize]).toEqual([28, 32]);
    const damaged: number[] = [];
    for (const row of samples.keys()) {
      const [one, other] = await Promise.all(
        [files, packed].map((images) => images.read(row).catch((error: unknown) => error)),
      );
      if (one instanceof DecodeError) {
        damaged.push(row);
        expect(other).toBeInstanceOf(DecodeError);
        expect(other).toMatchObject({ message: one.message, path: one.path, reason: one.reason });
      } else expect(Buffer.from(other as Uint8Array).equals(one as Uint8Array)).toBe(true);
    }
    expect(damaged).toEqual([1, 5]);
    await opened.close();
  });

  it("is a safetensors file, with zeros for a damaged image", () => {
    const { metadata, tensors } = parseSafetensors(readFileSync(pack));
    expect(metadata).toMatchObject({ format: "aenet-pack", version: "1", image_size: "28", resize: "squash" });
    const images = tensors.get("images")!;
    expect([images.dtype, images.shape]).toEqual(["U8", [12, 32, 32, 3]]);
    const imageOf = (row: number) => images.data.subarray(row * 3072, (row + 1) * 3072);
    expect([0, 1, 4, 5].map((row) => imageOf(row).some((value) => value > 0))).toEqual([true, false, true, false]);
    const text = (name: string) => Buffer.from(tensors.get(name)!.data).toString();
    expect(text("manifest")).toBe(readFileSync(data, "utf8"));
    expect(JSON.parse(text("damaged"))).toEqual([
      [1, "no such file"],
      [5, expect.any(String)],
    ]);
  });

  it("is enough by itself, where manifest and images are gone", async () => {
    const away = temporaryFolder();
    copyFileSync(pack, join(away, "a.pack"));
    const opened = await openDataSet(join(away, "a.pack"));
    expect(opened.manifest.samples.map(({ path }) => path)).toEqual(
      (await readManifest(data)).samples.map(({ path }) => path),
    );
    expect(await opened.images(options).read(11)).toHaveLength(3072);
    await opened.close();
  });

  it("has the same bytes whatever the number of workers", async () => {
    await packManifest(data, { ...options, out: at("one.pack"), workers: 1 });
    expect(readFileSync(at("one.pack")).equals(readFileSync(pack))).toBe(true);
  });
});

describe("what is refused, by its rule", () => {
  it("images packed in another way", async () => {
    const opened = await openDataSet(pack);
    expect(() => opened.images({ imageSize: 32, resize: "squash" })).toThrow(
      `--data ${pack}: was packed for --image-size 28 --resize squash, but --image-size 32 --resize squash is asked for`,
    );
    expect(() => opened.images({ imageSize: 28, resize: "short-side" })).toThrow("--resize short-side is asked for");
    await opened.close();
  });

  it("a manifest that has changed since", async () => {
    const own = temporaryFolder();
    const manifest = await writeDataSet(own, { train: 2 }, { sound: true });
    await packManifest(manifest, { ...options, out: join(own, "a.pack") });
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace("anger", "fear"));
    const { message } = await errorOf(openDataSet(join(own, "a.pack"), "a.pack"));
    expect(message).toBe(
      `--data a.pack: was not packed from ${manifest} as that is now; pack it again, or give the manifest itself`,
    );
    rmSync(manifest);
    await (await openDataSet(join(own, "a.pack"))).close();
  });

  const altered = (change: (bytes: Buffer) => Buffer): string => {
    writeFileSync(at("altered.pack"), change(readFileSync(pack)));
    return at("altered.pack");
  };
  const replaceText = (from: string, to: string) => (bytes: Buffer) => {
    expect(to.length).toBe(from.length);
    bytes.write(to, bytes.indexOf(from));
    return bytes;
  };
  it.each([
    ["cut off", (bytes: Buffer) => bytes.subarray(0, -1), "it is not whole"],
    ["lengthened", (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)]), "it is not whole"],
    ["of another version", replaceText('"version":"1"', '"version":"2"'), "is a pack of version 2"],
    ["of another size than its images", replaceText('"image_size":"28"', '"image_size":"29"'), "contradicts itself"],
    ["with another resize", replaceText('"resize":"squash"', '"resize":"squish"'), "contradicts itself"],
    ["with fewer images", replaceText("[12,32,32,3]", "[11,32,32,3]"), "contradicts itself"],
    ["with another manifest", replaceText("train-0.png", "train-9.png"), "has another manifest than it was made of"],
    ["with a header that is no JSON", replaceText("__metadata__", '__metadat"__'), "safetensors: "],
    ["another safetensors file", () => Buffer.from(serializeSafetensors(new Map(), { arch: "aenet" })), "but no pack"],
  ] as [string, (bytes: Buffer) => Buffer, string][])("a file that is %s", async (_, change, message) => {
    const path = altered(change);
    const error = await errorOf(openDataSet(path));
    expect(error.message).toContain(message);
    expect(error.message.startsWith(`--data ${path}: `)).toBe(true);
  });

  it("a file that is neither pack nor manifest, and one that is not there", async () => {
    writeFileSync(at("text.csv"), "hello");
    expect((await errorOf(openDataSet(at("text.csv")))).message).toContain("text.csv");
    expect((await errorOf(openDataSet(at("none.pack")))).message).toContain("none.pack: cannot be read");
  });

  it("images that are not of the size under none, and a set without a sound one; nothing is left of these", async () => {
    const own = temporaryFolder();
    const manifest = await writeDataSet(own, { train: 2 }, { sound: true });
    const before = readdirSync(own);
    const none = { imageSize: 28, resize: "none" } as const;
    const sized = await errorOf(packManifest(manifest, { ...none, out: join(own, "a.pack") }));
    expect(sized.message).toContain("train-0.png: the image is 44×40, but --resize none");
    for (const i of [0, 1]) writeFileSync(join(own, `train-${i}.png`), "no image");
    const damaged = await errorOf(packManifest(manifest, { ...options, out: join(own, "a.pack") }));
    expect(damaged.message).toContain("none of its 2 images can be decoded");
    expect(readdirSync(own)).toEqual(before);
  });
});

describe("packing that was stopped", () => {
  /** Packs until so many rows are noted, then fails as a full disk would. */
  async function stopAfter(manifest: string, out: string, rows: number): Promise<void> {
    const stopped = packManifest(manifest, {
      ...options,
      out,
      journalEvery: 0,
      onProgress: (done) => {
        if (done === rows) throw new Error("stopped");
      },
    });
    expect((await errorOf(stopped)).message).toBe("stopped");
    expect(existsSync(out)).toBe(false);
  }

  it("goes on where it was, and ends with the same bytes", async () => {
    const own = temporaryFolder();
    const manifest = await writeDataSet(own, { train: 8, val: 2 });
    const [whole, out] = [join(own, "whole.pack"), join(own, "a.pack")];
    await packManifest(manifest, { ...options, out: whole });
    await stopAfter(manifest, out, 3);
    // What is packed is not decoded again.
    rmSync(join(own, "train-0.png"));
    appendFileSync(`${out}.partial.jsonl`, '{"rows":9,"dam'); // cut off by the end of the process
    await stopAfter(manifest, out, 6); // the sixth is damaged
    const messages: string[] = [];
    const done: number[] = [];
    const report = await packManifest(manifest, {
      ...options,
      out,
      onMessage: (line) => messages.push(line),
      onProgress: (count) => done.push(count),
    });
    expect(messages).toEqual(["going on after 6 of 10 images"]);
    expect(done).toEqual([7, 8, 9, 10]);
    expect(report.damaged.map(({ path }) => path)).toEqual(["train-1.png", "train-5.png"]);
    expect(readFileSync(out).equals(readFileSync(whole))).toBe(true);
    expect(readdirSync(own).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it.each([
    ["the manifest has changed", (manifest: string) => writeFileSync(manifest, `${readFileSync(manifest, "utf8")}\n`)],
    ["its file is shorter than noted", (_: string, out: string) => truncateSync(`${out}.partial`, 4000)],
    ["its notes are gone", (_: string, out: string) => rmSync(`${out}.partial.jsonl`)],
  ] as [string, (manifest: string, out: string) => void][])("begins anew where %s", async (_, change) => {
    const own = temporaryFolder();
    const manifest = await writeDataSet(own, { train: 4 }, { sound: true });
    const [whole, out] = [join(own, "whole.pack"), join(own, "a.pack")];
    await stopAfter(manifest, out, 3);
    change(manifest, out);
    const done: number[] = [];
    await packManifest(manifest, { ...options, out, onProgress: (count) => done.push(count) });
    expect(done).toEqual([1, 2, 3, 4]);
    await packManifest(manifest, { ...options, out: whole });
    expect(readFileSync(out).equals(readFileSync(whole))).toBe(true);
  });
});
