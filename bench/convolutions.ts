/**
 * ResNet50's 53 convolutions, timed inside the replayed training step with that step's pipelines and memory: forward,
 * input gradient and weight gradient, by their direct operations against the f32 peak.
 */
import { type ConvolutionProduct, convolutionProduct, convolutionProducts } from "../src/aenet/bench/convolutions.ts";
import type { ProfileRound, ProfileRow } from "../src/aenet/bench/profile.ts";
import { alignRight, percent } from "../src/aenet/cli/text.ts";
import { type Benchmark, profileStep, rowOf, summarize, withCeilings } from "./harness.ts";
import { convolutionTargetsOf } from "./targets.ts";

const works = [
  { arch: "resnet50-aes", batchSize: 4, imageSize: 64 },
  { arch: "resnet50-aes", batchSize: 2, imageSize: 224 },
];

/** A batch that fills a GPU, and takes a software driver minutes. */
const gpuWorks = [{ arch: "resnet50-aes", batchSize: 64, imageSize: 224 }];

/** One of the three products over all convolutions. */
export interface ProductRow extends ProfileRow {
  readonly name: ConvolutionProduct;
  readonly convolutions: number;
  /** Each convolution's own share, weighted by its operations: above the total's share where they differ. */
  readonly mean_peak_share: number;
  readonly layers: readonly ProfileRow[];
}

export function summarizeConvolutions(rounds: readonly ProfileRound[]): ProductRow[] {
  const totals = summarize(rounds, convolutionProduct);
  return convolutionProducts.map((product) => {
    const layers = summarize(rounds, (dispatch, i, all) =>
      convolutionProduct(dispatch, i, all) === product
        ? dispatch.operation.replace(/\.?conv2d( backward)?$/, "")
        : null,
    );
    const operations = layers.reduce((sum, row) => sum + row.operations, 0);
    return {
      ...rowOf(totals, product),
      name: product,
      convolutions: layers.length,
      mean_peak_share: layers.reduce((sum, row) => sum + (row.operations / operations) * (row.peak_share ?? 0), 0),
      layers,
    };
  });
}

export const convolutions: Benchmark = {
  name: "convolutions",
  summary: "ResNet50's convolutions in its training step against the f32 peak",
  run: (context) =>
    withCeilings(context, async (device, ceilings) => {
      const { kind } = device.platform;
      const targets = convolutionTargetsOf(kind);
      const table = [["product", "convolutions", "GFLOP", "ms", "of peak", "mean by layer", "target"]];
      const results = [];
      for (const work of kind === "gpu" ? [...works, ...gpuWorks] : works) {
        const { profile: rounds } = await profileStep(device, ceilings, work, 15);
        const products = summarizeConvolutions(rounds);
        const size = `${work.batchSize}×${work.imageSize}×${work.imageSize}`;
        for (const row of products) {
          table.push([
            `${row.name}, ${size}`,
            `${row.convolutions}`,
            (row.operations / 1e9).toFixed(2),
            row.ms!.toFixed(1),
            percent(row.peak_share),
            percent(row.mean_peak_share),
            `≥ ${percent(targets[row.name].target)}`,
          ]);
        }
        results.push({ ...work, rounds: rounds.length, products });
      }
      context.print(alignRight(table));
      return results;
    }),
};
