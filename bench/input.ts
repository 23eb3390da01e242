/**
 * The input pipeline: epochs of AENet from JPEG files against epochs from the same images packed (`aenet data pack`), in
 * turns. Decoding runs ahead of the GPU, so that it should cost next to nothing.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import sharp from "sharp";
import { createArchitecture } from "../src/aenet/architecture.ts";
import { median } from "../src/aenet/bench/profile.ts";
import { alignRight } from "../src/aenet/cli/text.ts";
import { formatCsv } from "../src/aenet/data/csv.ts";
import {
  EIGHT_EMOTIONS,
  FileImages,
  type ImageSource,
  openDataSet,
  packManifest,
  TrainLoader,
} from "../src/aenet/data/index.ts";
import { createNetwork } from "../src/aenet/model.ts";
import { defaultPreprocessing } from "../src/aenet/preprocessing.ts";
import { defaultTrainConfig } from "../src/aenet/training/config.ts";
import { TrainingStep } from "../src/aenet/training/step.ts";
import { Random } from "../src/random.ts";
import { type Benchmark, withDevice } from "./harness.ts";
import { inputTarget } from "./targets.ts";

const imageSize = 64;
const batchSize = 16;
const batches = 5;
const rounds = 2;

/** JPEGs of the size of OASIS' photographs: soft shapes with some grain. */
async function drawPhotographs(folder: string): Promise<string[]> {
  const [width, height] = [500, 400];
  const paths: string[] = [];
  for (let i = 0; i < batchSize * batches; i++) {
    const random = new Random(i, "photographs");
    const bytes = (length: number, below: number) => Buffer.from(Array.from({ length }, () => random.integer(below)));
    const shapes = sharp(bytes(12 * 10 * 3, 256), { raw: { width: 12, height: 10, channels: 3 } });
    const soft = await shapes.resize(width, height, { kernel: "cubic" }).raw().toBuffer();
    const pixels = soft.map((value) => Math.min(255, value + random.integer(12)));
    const path = join(folder, `${i}.jpg`);
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 90 })
      .toFile(path);
    paths.push(path);
  }
  return paths;
}

/** A manifest of the photographs beside it, and a pack of it. */
async function writeDataSets(folder: string, paths: readonly string[]): Promise<{ manifest: string; pack: string }> {
  const manifest = join(folder, "manifest.csv");
  const rows = paths.map((path, i) => [
    relative(folder, path),
    "train",
    i % 2 === 0 ? "high" : "low",
    EIGHT_EMOTIONS[i % EIGHT_EMOTIONS.length]!,
  ]);
  writeFileSync(manifest, formatCsv([["path", "split", "aes_label", "emotion"], ...rows]));
  const pack = join(folder, "photographs.pack");
  await packManifest(manifest, { out: pack, imageSize, resize: defaultPreprocessing.resize });
  return { manifest, pack };
}

export const input: Benchmark = {
  name: "input",
  summary: "an epoch of AENet from JPEG against one from packed images",
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), "aenet-bench-"));
    try {
      const given = context.photographs;
      const files = given && readdirSync(given).filter((name) => /\.jpe?g$/i.test(name));
      const paths = files
        ? files.slice(0, batchSize * batches).map((name) => join(given, name))
        : await drawPhotographs(folder);
      const sets = await writeDataSets(folder, paths);
      const [fromFiles, fromPack] = [await openDataSet(sets.manifest), await openDataSet(sets.pack)];
      const { samples } = fromFiles.manifest;
      return await withDevice(context, async (device) => {
        const network = createNetwork(createArchitecture("aenet", EIGHT_EMOTIONS));
        const preprocessing = { ...defaultPreprocessing, imageSize };
        const sources = {
          jpeg: new FileImages(samples, { ...preprocessing, cacheBytes: 0 }), // decoded again in every epoch
          pack: fromPack.images(preprocessing),
        };
        const { lambda, momentum, weightDecay, lr, fusionLr } = defaultTrainConfig;
        const { decodedSize } = sources.jpeg;
        const options = { batchSize, microBatch: batchSize, decodedSize, preprocessing, lambda, momentum, weightDecay };
        const step = await TrainingStep.create(device, network, options);
        network.parameters.write(network.parameters.initialValues(0));
        const epoch = async (images: ImageSource, number: number) => {
          const loader = new TrainLoader({
            samples,
            classes: EIGHT_EMOTIONS,
            images,
            batchSize,
            seed: 0,
            lastEpoch: number,
          });
          const start = performance.now();
          let pending: Promise<unknown> = Promise.resolve();
          for await (const batch of loader.epoch(number)) {
            const losses = step.submit(batch, { base: lr, fusion: fusionLr });
            loader.recycle(batch);
            await pending;
            pending = losses;
          }
          await pending;
          loader.close();
          return performance.now() - start;
        };
        await epoch(sources.pack, 0); // compiles
        const times = { jpeg: [] as number[], pack: [] as number[] };
        for (let round = 1; round <= rounds; round++) {
          const order = round % 2 === 0 ? (["jpeg", "pack"] as const) : (["pack", "jpeg"] as const);
          for (const source of order) times[source].push(await epoch(sources[source], round));
        }
        step.destroy();
        network.parameters.destroy();
        await fromPack.close();
        const [jpeg, packed] = [median(times.jpeg), median(times.pack)];
        context.print(
          alignRight([
            ["epoch", "images", "s", "against packed", "target"],
            ["from a pack", `${samples.length}`, (packed / 1000).toFixed(2), "1.00", ""],
            [
              "from JPEG",
              `${samples.length}`,
              (jpeg / 1000).toFixed(2),
              (jpeg / packed).toFixed(2),
              `≤ ${inputTarget}`,
            ],
          ]),
        );
        const photographs = files ? "given" : "drawn, 500×400";
        return { batch_size: batchSize, image_size: imageSize, photographs, ...times, ratio: jpeg / packed };
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
