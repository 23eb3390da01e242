import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { readManifest, writeManifest } from "../../src/aenet/data/manifest.ts";
import { packManifest } from "../../src/aenet/data/pack.ts";
import { synthesize } from "../../src/aenet/data/synth/index.ts";
import { allowReading } from "../../src/aenet/experiment/frozen.ts";
import { parseMetrics } from "../../src/aenet/experiment/history.ts";
import type { PaperProtocol, Stage } from "../../src/aenet/experiment/paper/plan.ts";
import { runPaper } from "../../src/aenet/experiment/paper/run.ts";
import { readExperiment } from "../../src/aenet/experiment/results.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { serializeSafetensors } from "../../src/nn/index.ts";
import { settings } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-paper-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const at = (...parts: string[]) => join(root, ...parts);

const set = (name: string, count: number, seed: number) =>
  synthesize({ out: at(name), count, seed, size: 37, splits: [0.5, 0.25, 0.25] });

/** FI's images that show what IAE's test and validation splits show, and one of its training split. */
const heldOut: string[] = [];
let shared = "";

beforeAll(async () => {
  await set("iae", 32, 1);
  await set("ava", 24, 2);
  await set("fi", 24, 3);
  await set("artphoto", 8, 4);
  const fi = await readManifest(at("fi/manifest.csv"));
  const { samples } = await readManifest(at("iae/manifest.csv"));
  const copies = [];
  for (const split of ["val", "test", "train"] as const) {
    const original = samples.find((sample) => sample.split === split)!;
    const path = `images/from-iae-${split}.jpg`;
    // Resized and encoded anew, as the two sets hold the same photograph.
    await sharp(original.absolutePath).resize(61, 61).jpeg({ quality: 90 }).toFile(at("fi", path));
    // In whichever split of FI: what it holds back for tests is trained on.
    copies.push({ path, split: "test" as const, aesScore: null, aesLabel: null, emotion: original.emotion });
    if (split === "train") shared = path;
    else heldOut.push(path);
  }
  await writeManifest(at("fi/manifest.csv"), [...fi.samples, ...copies]);
  await packManifest(at("fi/manifest.csv"), { out: at("fi/fi.pack"), imageSize: 32, resize: "squash" });
  const { depth, baseChannels } = tiny.train;
  const { parameters } = createNetwork(createArchitecture("resnet50-aes", EIGHT_EMOTIONS, { depth, baseChannels }));
  const trunk = [...parameters.initialValues(7)].filter(([name]) => !name.startsWith("head."));
  writeFileSync(imageNet, serializeSafetensors(new Map(trunk), {}));
});

/** As torchvision's weights are: a trunk without heads. */
const imageNet = at("imagenet.safetensors");

const tiny: PaperProtocol = {
  data: at("iae/manifest.csv"),
  ava: at("ava/manifest.csv"),
  fi: at("fi/fi.pack"), // what may be a manifest may be a pack of it
  artphoto: at("artphoto/manifest.csv"),
  initS: null,
  initWrn: null,
  split: "manifest",
  paperProtocol: false,
  pack: false,
  methods: ["resnet50", "aenet", "ensemble"],
  seed: 0,
  seeds: 2,
  trials: 1,
  epochs: 1,
  tuneEpochs: 1,
  pretrainEpochs: 1,
  train: {
    depth: [1, 1, 1, 1],
    baseChannels: 4,
    imageSize: 32,
    resize: "squash",
    batchSize: 8,
    microBatch: null,
    augment: true,
    precision: "f32",
  },
};

const run = (
  out: string,
  stage: Stage,
  more: Partial<PaperProtocol> & { signal?: AbortSignal } = {},
  onProgress?: () => void,
) => {
  const { signal, ...changes } = more;
  const options = { protocol: { ...tiny, ...changes }, stage, out, again: false };
  return runPaper(options, settings(signal), onProgress ? { onProgress } : {});
};

/** IAE without one of its columns of labels. */
function unlabelled(column: string): string {
  const file = at("iae", `no-${column}.csv`);
  writeFileSync(file, readFileSync(tiny.data, "utf8").replace(column, `former_${column}`));
  return file;
}

const pathsIn = async (file: string) => (await readManifest(file)).samples.map(({ path }) => path.split("/").at(-1));

function contentsOf(out: string): Record<string, string> {
  const files = readdirSync(join(out, "results")).map((name) => join("results", name));
  const contents = Object.fromEntries(
    [...files, "frozen.json"].sort().map((name) => [name, readFileSync(join(out, name), "utf8")]),
  );
  // A commit that was made while this runs is another environment, and no other result.
  const { trained_with: _, ...frozen } = JSON.parse(contents["frozen.json"]!);
  return { ...contents, "frozen.json": JSON.stringify(frozen) };
}

describe("the paper's experiment", () => {
  const whole = at("whole");

  test("E is pre-trained without what IAE holds out, A without AVA's test list", { timeout: 600_000 }, async () => {
    expect((await run(whole, "pretrain")).failed).toEqual([]);
    const fi = await pathsIn(join(whole, "data/fi.csv"));
    expect(fi).toContain(shared.split("/").at(-1));
    const given = (await readManifest(at("fi/manifest.csv"))).samples;
    expect(fi).toHaveLength(given.length - heldOut.length); // nothing else is left out, and nothing tested
    const splits = (await readManifest(join(whole, "data/fi.csv"))).samples.map(({ split }) => split);
    const val = given.filter(({ split }) => split === "val").length;
    expect([val > 0, splits.filter((split) => split === "val").length, splits.includes("test")]).toEqual([
      ...[true, val, false],
    ]);
    for (const path of heldOut) expect(fi).not.toContain(path.split("/").at(-1));
    const ava = (await readManifest(join(whole, "data/ava-train.csv"))).samples;
    expect(ava.map(({ split }) => split)).not.toContain("test");
    expect(existsSync(join(whole, "jobs/pretrain/ae/done.json"))).toBe(true);
  });

  test("--paper-protocol keeps them, and marks the rows", { timeout: 900_000 }, async () => {
    const out = at("as-published");
    // A test image that is not there cannot be read: all up to frozen.json goes well without them.
    const { samples } = await readManifest(tiny.data);
    const tests = samples.filter(({ split }) => split === "test").map(({ absolutePath }) => absolutePath);
    for (const file of tests) renameSync(file, `${file}.away`);
    const one = {
      ...{ fi: at("fi/manifest.csv"), initS: imageNet, paperProtocol: true, seeds: 1 },
      methods: ["aenet", "resnet50"],
    };
    const without = await run(out, "table1", one).finally(() => {
      for (const file of tests) renameSync(`${file}.away`, file);
    });
    expect(existsSync(join(out, "frozen.json"))).toBe(true);
    expect(without.failed.map(({ id }) => id)).toEqual([
      "seed-0/test/iae/aenet/reading-1",
      "seed-0/test/iae/resnet50/reading-1",
    ]);
    // Reading them was begun, and is done once.
    expect((await run(out, "table1", one)).failed).toEqual([]);
    const fi = await pathsIn(join(out, "data/fi.csv"));
    for (const path of heldOut) expect(fi).toContain(path.split("/").at(-1));
    expect(fi).toHaveLength((await pathsIn(one.fi)).length);
    const { results } = await readExperiment(out);
    expect(results.map(({ method, paper_protocol }) => [method, paper_protocol])).toEqual([
      ["aenet", true],
      ["resnet50", false], // knows nothing of FI
    ]);
    expect(results[0]!.pretraining).toBe(
      "A: given weights (imagenet.safetensors), then AVA, training list; S: given weights (imagenet.safetensors); " +
        "E: given weights (imagenet.safetensors), then FI, all images, with what IAE holds out (--paper-protocol)",
    );
    // On other sets it saw nothing of what is tested, and that is their first reading, whatever was read of IAE.
    await allowReading(out, "iae");
    expect((await run(out, "table2", one)).failed).toEqual([]);
    const { results: all } = await readExperiment(out);
    expect(all.map(({ cell, method, paper_protocol, readings }) => [cell, method, paper_protocol, readings])).toEqual([
      ["artphoto", "aenet", false, 1],
      ["artphoto", "resnet50", false, 1],
      ["ava", "aenet", false, 1],
      ["ava", "resnet50", false, 1],
      ["iae", "aenet", true, 2],
      ["iae", "resnet50", false, 2],
    ]);
    expect(all[0]!.pretraining).toContain("then FI, all images, with what IAE holds out");
  });

  test("both tables, from the checkpoints that table 1 froze", { timeout: 900_000 }, async () => {
    expect((await run(whole, "table1")).failed).toEqual([]);
    const frozen = readFileSync(join(whole, "frozen.json"), "utf8");
    expect((await run(whole, "table2")).failed).toEqual([]);
    expect(readFileSync(join(whole, "frozen.json"), "utf8")).toBe(frozen);
    const { results } = await readExperiment(whole);
    const cells = results.map(({ cell, method, seed, tasks }) => `${cell} ${method} ${seed} ${tasks.join("+")}`);
    expect(cells).toHaveLength(3 * 3 * 2);
    expect(cells).toContain("iae resnet50 0 aes+emo");
    expect(cells).toContain("ava resnet50 0 aes");
    expect(cells).toContain("artphoto ensemble 1 emo");
    const said = results.find(({ method }) => method === "ensemble")!.pretraining;
    expect(said).toBe("A: AVA, training list; S: none; E: FI, all but 2 images of IAE's validation and test splits");
    const aenet = results.find(({ cell, method, seed }) => cell === "iae" && method === "aenet" && seed === 0)!;
    const hashes = JSON.parse(frozen).runs.flatMap(({ networks }: { networks: { checkpoint_sha256: string }[] }) =>
      networks.map(({ checkpoint_sha256 }) => checkpoint_sha256),
    );
    expect(hashes).toContain(aenet.networks[0]!.checkpoint_sha256);
    expect(aenet.predictions.image).toEqual(
      (await readManifest(join(whole, "data/iae.csv"))).samples
        .filter(({ split }) => split === "test")
        .map(({ path }) => path),
    );
    expect(aenet.history[0]!.epochs[0]!.split).toBe("val");
    expect(aenet.fusion!.points).toEqual([0, 1, 2, 3, 4]);
    expect(aenet.fusion!.alpha_p).toHaveLength(1); // one epoch
    expect(aenet.fusion!.alpha_p[0]![0]).not.toBe(0.9); // after which they have moved
    const metrics = readFileSync(join(whole, "jobs/seed-0/train/aenet/network-0/metrics.jsonl"), "utf8");
    expect(parseMetrics(metrics).some((record) => record.type === "epoch" && record.split === "test")).toBe(false);
  });

  test("interrupted within a training and resumed, it ends with the same bytes", { timeout: 900_000 }, async () => {
    // In a folder of the same name, as a checkpoint's metadata has the hash of a configuration that names files.
    const before = contentsOf(whole);
    rmSync(whole, { recursive: true });
    const controller = new AbortController();
    let done = 0;
    // Five jobs in, and a moment later, when the next one is at work.
    const stop = () => {
      if (++done === 5) setTimeout(() => controller.abort(), 700);
    };
    const stopped = run(whole, "table2", { signal: controller.signal }, stop);
    await expect(stopped).rejects.toMatchObject({ name: "Interrupted" });
    expect((await run(whole, "table2")).left).toBe(0);
    expect(contentsOf(whole)).toEqual(before);
  });

  test("files that cannot be used are refused before anything is kept", async () => {
    const out = at("none");
    writeFileSync(at("half.safetensors"), readFileSync(imageNet).subarray(0, 1000));
    await expect(run(out, "table1", { data: at("iae/manifets.csv") })).rejects.toThrow(/^--data: manifest .*manifets/);
    await expect(run(out, "table1", { initS: at("half.safetensors") })).rejects.toThrow(/^--init-s: .*half/);
    await expect(run(out, "table1", { initWrn: at("nosuch.safetensors") })).rejects.toThrow(/^--init-wrn: .*nosuch/);
    await expect(run(out, "table1", { initWrn: imageNet })).rejects.toThrow(/^--init-wrn: .* is \[4, 4, 1, 1\]/);
    await expect(run(out, "table1", { fi: unlabelled("emotion") })).rejects.toThrow(
      /^--fi: .* no image has a label of emo/,
    );
    expect(existsSync(out)).toBe(false);
  });

  test("a file is the one that an experiment began with by its content, wherever it lies", async () => {
    const out = at("contents");
    const stopped = new AbortController();
    stopped.abort(); // after what is given was looked at, before any job
    const begin = (stage: Stage, more: Partial<PaperProtocol> = {}) =>
      run(out, stage, { initS: imageNet, ava: at("ava/manifest.csv"), ...more, signal: stopped.signal });
    const kept = () => JSON.parse(readFileSync(join(out, "protocol.json"), "utf8")).contents;
    const goesOn = { name: "Interrupted" };
    await expect(begin("table1", { artphoto: null })).rejects.toMatchObject(goesOn);
    expect(Object.keys(kept())).toEqual(["--data", "--ava", "--fi", "--init-s", "--init-wrn"]);
    // Another path, and a pack's manifest in place of the pack.
    copyFileSync(imageNet, at("elsewhere.safetensors"));
    const elsewhere = { fi: at("fi/manifest.csv"), initS: at("elsewhere.safetensors"), ava: at("ava/copy.csv") };
    copyFileSync(at("ava/manifest.csv"), elsewhere.ava);
    await expect(begin("table1", { ...elsewhere, artphoto: null })).rejects.toMatchObject(goesOn);
    // The second table brings its set, which then stands as the others do.
    await expect(begin("table2", elsewhere)).rejects.toMatchObject(goesOn);
    expect(kept()).toHaveProperty("--artphoto");
    await expect(begin("table1", { artphoto: null })).rejects.toMatchObject(goesOn);
    await expect(begin("table2", { artphoto: tiny.data })).rejects.toThrow(/^--artphoto: holds something else/);
    await expect(begin("table1", { initS: null })).rejects.toThrow(/^--init-s: is missing/);
    await expect(begin("table1", { initWrn: null, initS: at("half.safetensors") })).rejects.toThrow(/^--init-s/);
    await expect(begin("table1", { seed: 1 })).rejects.toThrow(/^--out .*other settings/);
    // The same path with other splits, as a second import would leave it.
    writeFileSync(elsewhere.ava, readFileSync(elsewhere.ava, "utf8").replaceAll(",test,", ",train,"));
    await expect(begin("table2", elsewhere)).rejects.toThrow(/^--ava: holds something else/);
  });

  test("a set that changes while an experiment runs is not read", { timeout: 120_000 }, async () => {
    const ava = at("ava/changing.csv");
    copyFileSync(at("ava/manifest.csv"), ava);
    const change = () => writeFileSync(ava, readFileSync(ava, "utf8").replaceAll(",test,", ",train,"));
    let isFirst = true;
    const { failed } = await run(at("changing"), "pretrain", { ava }, () => {
      if (isFirst) change(); // after IAE, before AVA
      isFirst = false;
    });
    expect(failed.map(({ id, error }) => `${id}: ${error.message}`)).toEqual([
      expect.stringMatching(/^data\/ava-train: --ava .* no longer holds what this experiment began with/),
    ]);
  });

  test("a set that a stage needs is asked for", async () => {
    await expect(run(at("none"), "table1", { fi: null })).rejects.toThrow(/--fi: is missing/);
    await expect(run(at("none"), "table2", { artphoto: null })).rejects.toThrow(/--artphoto: is missing/);
    expect(existsSync(at("none"))).toBe(false);
  });
});
