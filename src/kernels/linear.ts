/** What a linear layer and the heads need beside the matrix product (a 1×1 convolution). Sizes are in vec4f. */
import { elementwise } from "./elementwise.ts";
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

const addBiasKernel = defineKernel({
  name: "add_bias",
  inputs: { x: "vec4f", bias: "vec4f" },
  outputs: { y: "vec4f" },
  params: { size: "u32", channels4: "u32" },
  wgsl: elementwise(1, "y[i] = x[i] + bias[i % params.channels4];"),
});

/** y[row, c] = x[row, c] + bias[c]. */
export function addBias<T>(rows: number, channels4: number, t: { x: T; bias: T; y: T }): Dispatch<T> {
  const size = rows * channels4;
  return dispatch(addBiasKernel, t, { size, channels4 }, divideUp(size, 64));
}
