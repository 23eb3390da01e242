/**
 * By which algorithm each 3×3 convolution is computed on a device: as a former run did where that is fixed, else by the rule
 * of choice.ts. Every choice is kept, because the two give different bits.
 */
import type { Conv2dShape } from "../conv2d.ts";
import type { Device } from "../device.ts";
import { type Algorithm, type ConvolutionProduct, isWinogradFaster } from "./choice.ts";
import { isWinograd } from "./winograd.ts";

/** An algorithm that a choice can end in. */
export type ChosenAlgorithm = Exclude<Algorithm, "auto">;

const isChosen = (name: string): name is ChosenAlgorithm => name === "direct" || name === "winograd";

export class AlgorithmChoices {
  readonly #adapter: Pick<Device, "platform" | "limits">;
  readonly #made = new Map<string, ChosenAlgorithm>();
  #fixed: ReadonlyMap<string, ChosenAlgorithm> = new Map();

  constructor(adapter: Pick<Device, "platform" | "limits">) {
    this.#adapter = adapter;
  }

  /**
   * The algorithm of one of a convolution's products in f32. What a run has fixed is not held against the adapter's limits
   * once more: the planner refuses what does not fit.
   */
  choose(product: ConvolutionProduct, s: Conv2dShape): ChosenAlgorithm {
    if (!isWinograd(s) || s.sharedInput) return "direct"; // there is no choice, so none is recorded
    const name = nameOf(product, s);
    const algorithm = this.#fixed.get(name) ?? (isWinogradFaster(this.#adapter, product, s) ? "winograd" : "direct");
    this.#made.set(name, algorithm);
    return algorithm;
  }

  /** Every choice made so far, by product, as `fix` takes it. */
  get made(): Record<string, string> {
    return Object.fromEntries([...this.#made].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /**
   * Makes the choices of a former run those of this device, whatever the rule says now.
   * @returns the algorithms among them that this version does not have; their products are chosen anew.
   */
  fix(choices: Readonly<Record<string, string>>): string[] {
    const entries = Object.entries(choices);
    this.#fixed = new Map(entries.flatMap(([name, algorithm]) => (isChosen(algorithm) ? [[name, algorithm]] : [])));
    return [...new Set(entries.flatMap(([, algorithm]) => (isChosen(algorithm) ? [] : [algorithm])))];
  }
}

/** `conv2d forward 3x8x16x16x64x64 padding=1`: streams, batch, height, width and channels of x, channels of y. */
function nameOf(product: ConvolutionProduct, s: Conv2dShape): string {
  const sizes = [s.streams, s.batch, s.height, s.width, s.inChannels, s.outChannels];
  return `conv2d ${product} ${sizes.join("x")} padding=${s.padding}`;
}
