/** Which of a convolution's three products a dispatch belongs to. Pure. */
import type { DispatchLabel } from "../../kernels/profiler.ts";

export const convolutionProducts = ["conv2d forward", "conv2d input gradient", "conv2d weight gradient"] as const;
export type ConvolutionProduct = (typeof convolutionProducts)[number];

/**
 * The product that a dispatch of a convolution computes or helps to compute, null for those of other operations.
 *
 * All that a forward convolution dispatches counts as forward. In its backward pass kernels whose names begin with
 * `conv2d_input_gradient` or `conv2d_weight_gradient` say it themselves; any other (the sum over the parts of a split
 * weight gradient, say) helps the one before it.
 */
export function convolutionProduct(
  { operation, kernel }: DispatchLabel,
  index: number,
  all: readonly DispatchLabel[],
): ConvolutionProduct | null {
  if (/(^|\.)conv2d$/.test(operation)) return "conv2d forward";
  if (!/(^|\.)conv2d backward$/.test(operation)) return null;
  if (kernel.startsWith("conv2d_input_gradient")) return "conv2d input gradient";
  if (kernel.startsWith("conv2d_weight_gradient")) return "conv2d weight gradient";
  const before = all[index - 1];
  return before?.operation === operation ? convolutionProduct(before, index - 1, all) : null;
}
