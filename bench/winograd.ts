/**
 * ResNet50's 3×3 convolutions with stride 1, directly and by Winograd's algorithm in one run: what the rule in
 * src/kernels/winograd/choice.ts is made after.
 */
import { type ConvolutionProduct, convolutionProduct, convolutionProducts } from "../src/aenet/bench/convolutions.ts";
import { median, type ProfileRound, summarize } from "../src/aenet/bench/profile.ts";
import { alignRight, percent } from "../src/aenet/cli/text.ts";
import { add, conv2d, Tape } from "../src/autograd/index.ts";
import type { Ceilings } from "../src/kernels/ceilings.ts";
import type { Device } from "../src/kernels/device.ts";
import { type Benchmark, profileRun, withCeilings } from "./harness.ts";

/** A convolution of as many channels as it has, on square images. */
interface Work {
  readonly streams: number;
  readonly batch: number;
  readonly side: number;
  readonly channels: number;
}

/** Layers 1 to 4: layer4 at 64×64 has next to no pixels. */
const layers = [1, 2, 3, 4];

const works: readonly Work[] = [
  { streams: 1, batch: 4, image: 64, layers: layers.slice(0, 3) },
  { streams: 3, batch: 4, image: 64, layers: layers.slice(0, 3) },
  { streams: 3, batch: 8, image: 64, layers: layers.slice(0, 3) },
  { streams: 1, batch: 2, image: 224, layers },
  { streams: 3, batch: 2, image: 224, layers },
].flatMap(({ streams, batch, image, layers }) =>
  layers.map((layer) => ({ streams, batch, side: image / 2 ** (layer + 1), channels: 32 * 2 ** layer })),
);

const warmUpOperations = 1e9;

const algorithms = ["direct", "winograd"] as const;

/** Profiles of both, each under the scope of its name, on the same x and weight. */
async function measure(device: Device, ceilings: Ceilings, work: Work, seconds: number): Promise<ProfileRound[]> {
  const { streams, batch, side, channels } = work;
  const tape = new Tape(device);
  const shape = [streams, batch, side, side, channels];
  const x = tape.input("x", shape, { needsGrad: true });
  const weight = tape.input("weight", [streams, 3, 3, channels, channels], { layout: "weight", needsGrad: true });
  // While the first dispatches run, the host still encodes and takes a processor away from a software driver.
  const operations = 2 * 9 * channels ** 2 * streams * batch * side ** 2;
  for (let i = 0; i < warmUpOperations / operations; i++) {
    tape.scope("first", () => conv2d(x, weight, { padding: 1, algorithm: "direct" }));
  }
  const [direct, winograd] = algorithms.map((algorithm) =>
    tape.scope(algorithm, () => conv2d(x, weight, { padding: 1, algorithm })),
  );
  const y = add(direct!, winograd!);
  const dy = tape.input("dy", shape);
  tape.backward(y, dy);
  const program = await tape.compile([y, tape.gradient(x)!, tape.gradient(weight)!]);
  try {
    for (const tensor of [x, weight, dy]) {
      program.write(
        tensor,
        Float32Array.from({ length: tensor.size }, (_, i) => Math.sin(i)),
      );
    }
    const rounds: ProfileRound[] = [];
    // A few rounds at a time, so that no more than one sample of the ceilings is far away.
    for (let i = 0; i < 3; i++) rounds.push(...(await profileRun(device, ceilings, () => program.run(), seconds / 3)));
    return rounds;
  } finally {
    program.destroy();
  }
}

interface ProductTimes {
  readonly product: ConvolutionProduct;
  /** Milliseconds and share of the peak, by direct operations. */
  readonly direct: { readonly ms: number; readonly share: number };
  readonly winograd: { readonly ms: number; readonly share: number };
  /** The direct one's time over the other's, of each round. */
  readonly speedup: number;
}

function compare(rounds: readonly ProfileRound[]): ProductTimes[] {
  return convolutionProducts.map((product) => {
    const [direct, winograd] = algorithms.map((algorithm) => {
      const of = (some: readonly ProfileRound[]) =>
        summarize(some, (d, i, all) =>
          d.operation.startsWith(algorithm) && convolutionProduct(d, i, all) === product ? product : null,
        )[0]!;
      const { ms, peak_share } = of(rounds);
      return { ms: ms!, share: peak_share!, byRound: rounds.map((round) => of([round]).ms!) };
    });
    const speedup = median(direct!.byRound.map((ms, i) => ms / winograd!.byRound[i]!));
    const { byRound: _, ...directly } = direct!;
    const { byRound: __, ...byWinograd } = winograd!;
    return { product, direct: directly, winograd: byWinograd, speedup };
  });
}

export const winograd: Benchmark = {
  name: "winograd",
  summary: "3×3 convolutions, directly and by Winograd's algorithm",
  run: (context) =>
    withCeilings(context, async (device, ceilings) => {
      const table = [["convolution", "product", "direct ms", "of peak", "Winograd ms", "of peak", "times faster"]];
      const results = [];
      for (const work of works) {
        const { streams, batch, side, channels } = work;
        const rounds = await measure(device, ceilings, work, 1);
        const products = compare(rounds);
        for (const { product, direct, winograd, speedup } of products) {
          table.push([
            `${streams}×${batch}×${side}×${side}×${channels}`,
            product.replace("conv2d ", ""),
            direct.ms.toFixed(2),
            percent(direct.share),
            winograd.ms.toFixed(2),
            percent(winograd.share),
            speedup.toFixed(2),
          ]);
        }
        results.push({ ...work, rounds: rounds.length, products });
      }
      context.print(alignRight(table));
      return results;
    }),
};
