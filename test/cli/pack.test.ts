/** A run from a pack is the run from the files, to the byte. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { fileOf, temporaryFolder, timelessMetrics, writeDataSet } from "../training/runs.ts";
import { runCommand } from "./run.ts";

const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);
const pack = at("images.pack");
let data: string;

beforeAll(async () => {
  data = await writeDataSet(folder, { train: 11, val: 3, test: 3 });
});

const aenet = (...args: string[]) => runCommand(args);

const tiny = "--depth 1,1,1,1 --base-channels 4 --image-size 32 --batch-size 4 --lr 0.01".split(" ");
const train = (source: string, run: string, ...args: string[]) =>
  aenet("train", "--data", source, "--out", at(run), ...tiny, ...args);

it("data pack says what it packed, and that some are damaged", async () => {
  const { code, out, err } = await aenet("data", "pack", data, "--out", pack, "--image-size", "32");
  expect(code).toBe(3);
  expect(out).toContain("17 of 37×37, 2 damaged");
  expect(out).toContain(`aenet train --data ${pack} --image-size 32 --out DIR`);
  expect(err).toContain("damaged: train-1.png: no such file");
});

it("train from it, stopped and resumed, ends with the bytes of the run from the files", async () => {
  const files = await train(data, "files", "--max-steps", "5");
  expect(files.code).toBe(0);
  // From here on there are no images.
  for (const name of readdirSync(folder)) if (name.endsWith(".png")) rmSync(at(name));
  const packed = await train(pack, "packed", "--max-steps", "3");
  expect(packed.code).toBe(0);
  expect((await aenet("train", "--resume", at("packed"), "--max-steps", "5")).code).toBe(0);
  const names = readdirSync(at("files", "checkpoints"));
  expect(readdirSync(at("packed", "checkpoints"))).toEqual(names);
  for (const name of names) expect(fileOf(at("packed"), name).equals(fileOf(at("files"), name)), name).toBe(true);
  expect(timelessMetrics(at("packed"))).toEqual(timelessMetrics(at("files")));
  expect(packed.err).toContain("damaged, skipped: ");
});

it("eval reads it", async () => {
  const checkpoint = at("files", "checkpoints", "last.safetensors");
  const evaluated = await aenet("eval", "--checkpoint", checkpoint, "--data", pack, "--split", "val", "--json");
  expect(evaluated.code).toBe(0);
  const records = timelessMetrics(at("files")).filter((record) => record.type === "epoch");
  expect(JSON.parse(evaluated.out)).toMatchObject({ n_aes: 3, n_emo: 3, acc_aes: records.at(-1)!.acc_aes });
});

it("what does not fit is a wrong use of --data, by its name", async () => {
  const other = await train(pack, "other", "--image-size", "64");
  expect([other.code, other.err]).toEqual([2, expect.stringContaining("was packed for --image-size 32")]);
  writeFileSync(data, `${readFileSync(data, "utf8")}\n`);
  const stale = await train(pack, "stale");
  expect([stale.code, stale.err]).toEqual([2, expect.stringContaining("as that is now")]);
  expect((await aenet("data", "pack", data)).code).toBe(2);
});
