/** Where Winograd's algorithm is taken: a pure function of a convolution's shape, the adapter's table and its limits. */
import type { Conv2dShape } from "../conv2d.ts";
import type { Device } from "../device.ts";
import { divideUp } from "../kernel.ts";
import { inputGradientShape, isWinograd, winogradSizes } from "./winograd.ts";

/** How a convolution is computed; "auto" leaves it to the device's choices (choices.ts). */
export type Algorithm = "auto" | "direct" | "winograd";

export type ConvolutionProduct = "forward" | "input gradient" | "weight gradient";

type Rates = Readonly<Record<ConvolutionProduct, number>>;

/** What work takes on an adapter, in units of one multiplication with its addition in a direct forward convolution. */
interface Costs {
  /** A float read or written by a kernel that does little else. */
  readonly load: number;
  readonly store: number;
  /** A dispatch, whatever it does. */
  readonly dispatch: number;
  /** Rows of a product are padded to a multiple of this. */
  readonly rows: number;
  /** One multiplication in a direct convolution, and in Winograd's products, whose sums are short. */
  readonly direct: Rates;
  readonly winograd: Rates;
}

const rates = (forward: number, inputGradient: number, weightGradient: number): Rates => ({
  forward,
  "input gradient": inputGradient,
  "weight gradient": weightGradient,
});

/**
 * Set by `npm run bench -- winograd`. On lavapipe a load takes some ten instructions a float. SwiftShader is slower at
 * everything, and at multiplications most, so that it gains more by having fewer. GPUs are not measured: by their ratio of
 * arithmetic to memory and some 5 µs a dispatch.
 */
const costs = {
  lavapipe: {
    ...{ load: 19, store: 10, dispatch: 5e6, rows: 16 },
    direct: rates(1, 0.86, 1.1),
    winograd: rates(1.2, 1.2, 1.35),
  },
  swiftshader: {
    ...{ load: 12, store: 4, dispatch: 1e5, rows: 16 },
    direct: rates(1, 1, 1),
    winograd: rates(1, 1, 1.1),
  },
  gpu: {
    ...{ load: 16, store: 16, dispatch: 3e7, rows: 64 },
    direct: rates(1, 1.1, 1.2),
    winograd: rates(1.1, 1.1, 1.3),
  },
} satisfies Record<string, Costs>;

/** Expected time against the direct algorithm's below which Winograd's is taken. */
const gain = 0.8;

/** Whether Winograd's algorithm can compute the product and is expected to take clearly less time on the adapter. */
export function isWinogradFaster(
  { platform, limits }: Pick<Device, "platform" | "limits">,
  product: ConvolutionProduct,
  s: Conv2dShape,
): boolean {
  if (!isWinograd(s) || s.sharedInput) return false;
  const { kind } = platform;
  const table = kind === "lavapipe" || kind === "swiftshader" ? costs[kind] : costs.gpu;
  return (
    fits(product === "input gradient" ? inputGradientShape(s) : s, limits.maxStorageBufferBindingSize) &&
    winogradCost(table, product, s) < gain * directCost(table, product, s)
  );
}

/** Every stream's part of the workspaces can be bound. */
function fits(s: Conv2dShape, limit: number): boolean {
  const { x, weight, y } = winogradSizes(s);
  return [x, weight, y].every(([, ...stream]) => 4 * stream.reduce((a, b) => a * b, 1) <= limit);
}

function directCost(costs: Costs, product: ConvolutionProduct, s: Conv2dShape): number {
  const { streams, inChannels, outChannels } = s;
  const pixels = s.batch * s.outHeight * s.outWidth;
  const multiplications = 9 * pixels * inChannels * outChannels;
  const stores = product === "weight gradient" ? 9 * inChannels * outChannels : pixels * outChannels;
  return streams * (costs.direct[product] * multiplications + costs.store * stores) + costs.dispatch;
}

function winogradCost(costs: Costs, product: ConvolutionProduct, shape: Conv2dShape): number {
  const s = product === "input gradient" ? inputGradientShape(shape) : shape;
  const { streams, inChannels, outChannels } = s;
  const { tiles } = winogradSizes(s);
  const matrices = 36;
  const weights = inChannels * outChannels;
  const moved = (elements: number, loads: number, stores: number) =>
    elements * (costs.load * loads + costs.store * stores);
  const input = moved(tiles * inChannels, matrices, matrices);
  if (product === "weight gradient") {
    const products = matrices * weights * (costs.winograd[product] * tiles + costs.store);
    const gradient = moved(tiles * outChannels, 16, matrices);
    return streams * (input + gradient + products + moved(weights, matrices, 9)) + 4 * costs.dispatch;
  }
  const rows = costs.rows * divideUp(tiles, costs.rows);
  const products = matrices * (costs.winograd[product] * rows * weights + costs.store * tiles * outChannels);
  const output = moved(tiles * outChannels, matrices, 16);
  return streams * (input + moved(weights, 9, matrices) + products + output) + 4 * costs.dispatch;
}
