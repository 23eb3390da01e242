import { access, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { Random } from "../../../random.ts";
import { makeFolder } from "../../durable-file.ts";
import { drawFactors, type FactorName, type Factors, factorNames } from "./factors.ts";
import {
  defaultLabelOptions,
  drawRaters,
  type Emotion,
  emotions,
  type LabelOptions,
  type Labels,
  type Latents,
  labelScene,
  latents,
} from "./labels.ts";
import { renderScene } from "./scene.ts";

export type Split = "train" | "val" | "test";

export interface SynthOptions extends Partial<LabelOptions> {
  /** Folder that receives `manifest.csv`, `factors.csv` and `images/`. */
  out: string;
  count: number;
  seed: number;
  /** Side of the pictures in pixels, 8 to 4096. Default 64. */
  size?: number;
  /** Shares of train, val and test. Default 0.7, 0.1, 0.2. */
  splits?: readonly [number, number, number];
  /** Factors held at a value instead of drawn. */
  fixed?: Partial<Record<FactorName, number>>;
  /** Replace a set that is already there; else that is an error. */
  overwrite?: boolean;
}

export interface Scene extends Labels {
  index: number;
  split: Split;
  factors: Factors;
  latents: Latents;
}

export interface SynthReport {
  manifest: string;
  factors: string;
  count: number;
  splits: Record<Split, number>;
  /** Images of each emotion, and how many of them are of high aesthetic quality. */
  emotions: Record<Emotion, { count: number; high: number }>;
  high: number;
}

/**
 * Image `index` of a set without its pixels. Scenes are functions of (seed, index): neither the set's size nor the
 * label options change their factors.
 */
export function describeScene(options: Omit<SynthOptions, "out" | "count">, index: number): Scene {
  const labelOptions: LabelOptions = { ...defaultLabelOptions, ...options };
  const { seed } = options;
  const factors = { ...drawFactors(new Random(seed, "synth factors", index)), ...options.fixed };
  const raters = drawRaters(seed, labelOptions);
  return {
    index,
    split: splitOf(seed, index, options.splits ?? [0.7, 0.1, 0.2]),
    factors,
    latents: latents(factors, labelOptions),
    ...labelScene(factors, labelOptions, raters, new Random(seed, "synth labels", index)),
  };
}

/** The pixels of image `index`, [size, size, 3]. */
export function drawScene(options: Omit<SynthOptions, "out" | "count">, scene: Scene): Uint8Array {
  return renderScene(scene.factors, options.size ?? 64, new Random(options.seed, "synth scene", scene.index));
}

/**
 * The split of an image from its index alone: the golden ratio's multiples modulo 1 fill the three shares evenly, so
 * that every set, of whatever size, has them to within an image or two.
 */
export function splitOf(seed: number, index: number, shares: readonly [number, number, number]): Split {
  const total = shares[0] + shares[1] + shares[2];
  if (!(shares.every((x) => x >= 0) && Math.abs(total - 1) < 1e-6))
    throw new RangeError(`synth: splits ${shares.join(",")} are not three shares that sum to 1`);
  const position = (new Random(seed, "synth splits").float() + index * ((Math.sqrt(5) - 1) / 2)) % 1;
  if (position < shares[0]) return "train";
  return position < shares[0] + shares[1] ? "val" : "test";
}

/** Writes a set of generated scenes: PNG images, the manifest, and the factors behind each image. */
export async function synthesize(
  options: SynthOptions,
  onProgress?: (done: number, count: number) => void,
): Promise<SynthReport> {
  const { out, count, size = 64 } = options;
  if (!(Number.isInteger(count) && count >= 1)) throw new RangeError(`synth: count ${count} is not a positive integer`);
  const manifest = join(out, "manifest.csv");
  if (!options.overwrite && (await exists(manifest)))
    throw new Error(`--out ${out}: holds a manifest.csv; give another folder, or --overwrite to replace it`);
  await makeFolder(join(out, "images"));

  const report: SynthReport = {
    manifest,
    factors: join(out, "factors.csv"),
    count,
    splits: { train: 0, val: 0, test: 0 },
    emotions: Object.fromEntries(emotions.map((name) => [name, { count: 0, high: 0 }])) as SynthReport["emotions"],
    high: 0,
  };
  const rows: string[] = [];
  const factorRows: string[] = [];
  for (let index = 0; index < count; index++) {
    const scene = describeScene(options, index);
    const path = `images/${String(index).padStart(6, "0")}.png`;
    const pixels = drawScene(options, scene);
    await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
      .png()
      .toFile(join(out, path));
    rows.push([path, scene.split, scene.aesScore, scene.aesLabel, scene.emotion, ...scene.ratings].join(","));
    factorRows.push(
      [path, ...factorNames.map((name) => scene.factors[name]), ...latentNames.map((l) => scene.latents[l])].join(","),
    );
    report.splits[scene.split]++;
    report.emotions[scene.emotion].count++;
    if (scene.aesLabel === "high") {
      report.high++;
      report.emotions[scene.emotion].high++;
    }
    onProgress?.(index + 1, count);
  }
  const raters = Array.from({ length: options.raters ?? defaultLabelOptions.raters }, (_, i) => `rater_${i + 1}`);
  await writeTable(report.factors, ["path", ...factorNames, ...latentNames], factorRows);
  await writeTable(manifest, ["path", "split", "aes_score", "aes_label", "emotion", ...raters], rows);
  return report;
}

const latentNames = ["aesthetic", "valence", "arousal", "dominance"] as const;

async function writeTable(file: string, header: string[], rows: string[]): Promise<void> {
  await writeFile(`${file}.tmp`, `${[header.join(","), ...rows].join("\n")}\n`);
  await rename(`${file}.tmp`, file);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
