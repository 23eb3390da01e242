/** What a linear layer needs beside the matrix product (a 1×1 convolution). */
import { elementwise } from "./elementwise.ts";
import type { Epilogue } from "./epilogue.ts";
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

const addBiasKernel = defineKernel({
  name: "add_bias",
  inputs: { x: "vec4f", bias: "vec4f" },
  outputs: { y: "vec4f" },
  params: { size: "u32", channels4: "u32" },
  wgsl: elementwise(1, "y[i] = x[i] + bias[i % params.channels4];"),
});

/** The same in the store of the product. */
export const biasEpilogue: Epilogue = {
  name: "_bias",
  inputs: { bias: "vec4f" },
  params: {},
  alongOutput: [],
  channel: (_, channel) => `let added = bias[${channel}];`,
  store: (y, i, value) => `${y}[${i}] = as_${y}(${value} + added);`,
};

/** y[row, c] = x[row, c] + bias[c]; `channels4` counts vec4f. */
export function addBias<T>(rows: number, channels4: number, t: { x: T; bias: T; y: T }): Dispatch<T> {
  const size = rows * channels4;
  const { x, y, bias } = t;
  return dispatch(addBiasKernel, t, { size, channels4 }, divideUp(size, 64), {
    asEpilogue: { epilogue: biasEpilogue, x, y, bindings: { bias }, params: {} },
  });
}
