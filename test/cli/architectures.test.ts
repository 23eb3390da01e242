/** Every baseline by the command line alone: trained, resumed, evaluated, asked for predictions. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { parseSafetensors, type TensorData } from "../../src/nn/safetensors.ts";
import { fileOf, temporaryFolder, writeDataSet } from "../training/runs.ts";
import { differing } from "../training/tiny.ts";
import { runCommand } from "./run.ts";

const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);
const tiny = "--depth 1,1,1,1 --base-channels 4 --image-size 32 --batch-size 4 --lr 0.01".split(" ");
let data: string;

beforeAll(async () => {
  data = await writeDataSet(folder, { train: 8, val: 3, test: 3 }, { sound: true });
});

const aenet = (...args: string[]) => runCommand(args);

/** Trains into the folder `name`, whose path it returns. */
async function train(name: string, ...args: string[]): Promise<string> {
  const { code, err } = await aenet("train", "--data", data, "--out", at(name), ...tiny, ...args);
  expect([code, code === 0 ? "" : err]).toEqual([0, ""]);
  return at(name);
}

const checkpointOf = (run: string) => join(run, "checkpoints", "last.safetensors");
const tensorsOf = (run: string) => parseSafetensors(readFileSync(checkpointOf(run))).tensors;

describe.each(["wrn-aes", "wrn-emo", "ssnet", "csnet"])("%s", (arch) => {
  const [aes, emo] = [!arch.endsWith("-emo"), !arch.endsWith("-aes")];

  it("is trained, resumed to the same bytes, evaluated, and predicts", async () => {
    const whole = await train(`${arch}-whole`, "--arch", arch, "--max-steps", "4");
    const run = await train(`${arch}-resumed`, "--arch", arch, "--max-steps", "3");
    expect((await aenet("train", "--resume", run, "--max-steps", "4")).code).toBe(0);
    // A network of one task has no best checkpoint for the other.
    const files = readdirSync(join(run, "checkpoints"));
    expect(files.includes("best-aes.safetensors")).toBe(aes);
    expect(files.includes("best-emo.safetensors")).toBe(emo);
    expect(files).toEqual(readdirSync(join(whole, "checkpoints")));
    expect(files.filter((name) => !fileOf(run, name).equals(fileOf(whole, name)))).toEqual([]);

    const evaluated = await aenet("eval", "--checkpoint", checkpointOf(run), "--data", data, "--json", "--per-image");
    expect(evaluated.code).toBe(0);
    const report = JSON.parse(evaluated.out);
    expect([report.loss, report.acc_aes, report.acc_emo].map((value) => value !== null)).toEqual([true, aes, emo]);
    for (const { aes_logit, aes_prob, emo_logits, emotion } of report.images) {
      expect([aes_logit, aes_prob].map((value) => value !== null)).toEqual([aes, aes]);
      expect([emo_logits, emotion].map((value) => value !== null)).toEqual([emo, emo]);
    }

    const predicted = await aenet("predict", "--checkpoint", checkpointOf(run), at("test-0.png"), "--json");
    const [{ aes_prob, emotions, error }] = JSON.parse(predicted.out);
    expect({ code: predicted.code, error }).toEqual({ code: 0, error: null });
    if (aes) expect(aes_prob).toBeCloseTo(report.images[0].aes_prob, 5);
    else expect(aes_prob).toBeNull();
    expect(emotions && Object.keys(emotions)).toEqual(emo ? [...EIGHT_EMOTIONS] : null);
  });
});

describe("csnet", () => {
  const named = (run: string, pattern: RegExp): Map<string, TensorData> =>
    new Map([...tensorsOf(run)].filter(([name]) => pattern.test(name)));

  it("starts from networks of one stream, and leaves as they are the parts that are frozen", async () => {
    const aes = await train("a", "--arch", "resnet50-aes", "--max-steps", "2");
    const emo = await train("e", "--arch", "resnet50-emo", "--max-steps", "2");
    const from = ["--arch", "csnet", "--init-a", checkpointOf(aes), "--init-e", checkpointOf(emo)];
    const run = await train("joined", ...from, "--freeze", "a,fusion", "--max-steps", "2");

    // Running statistics move, frozen or not; e's weights have moved away from where they came from.
    const weights = /conv\d\.weight|downsample\.0\.weight|bn\d\.(weight|bias)|downsample\.1\.(weight|bias)/;
    const inStream = (tensors: ReadonlyMap<string, TensorData>, stream: string) =>
      new Map([...tensors].filter(([name]) => weights.test(name)).map(([name, data]) => [`${stream}.${name}`, data]));
    const [a, e] = [
      named(run, /^a\..*(?<!running_mean|running_var)$/),
      named(run, /^e\..*(?<!running_mean|running_var)$/),
    ];
    expect(differing(a, inStream(tensorsOf(aes), "a"))).toEqual([]);
    expect(differing(e, inStream(tensorsOf(emo), "e"))).toEqual([...e.keys()]);
    const stitches = named(run, /^stitch\./);
    expect([...stitches.keys()]).toEqual([0, 1, 2, 3, 4].map((point) => `stitch.${point}.weight`));
    for (const { shape, data } of stitches.values()) {
      expect([shape, data]).toEqual([[2, 2], Float32Array.of(0.9, 0.1, 0.1, 0.9)]);
    }
  });

  it("has no shared stream to start", async () => {
    const shared = ["--arch", "csnet", "--init-s", checkpointOf(at("a")), "--out", at("none")];
    const { code, err } = await aenet("train", "--data", data, ...tiny, ...shared);
    expect([code, err]).toEqual([2, expect.stringContaining("--init-s")]);
    expect(err).toContain("the network has no stream s; it has a, e");
  });
});
