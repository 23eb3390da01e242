/** Kernels that treat every element alike. */
import { type Dispatch, defineKernel, dispatch, divideUp, unroll } from "./kernel.ts";

/**
 * The body of a kernel whose invocations run `code` for `perLane` elements `i` below `params.size`.
 * Four vec4f for each invocation reach four times the bandwidth of one float on software drivers.
 */
export function elementwise(perLane: number, code: string): string {
  return `
fn run(group: u32, lane: u32) {
${unroll(
  perLane,
  (q) => `  {
    let i = group * ${64 * perLane}u + ${64 * q}u + lane;
    if (i < params.size) {${code}
    }
  }`,
)}
}`;
}

const perLane = 4;
const workgroups = (size: number) => divideUp(size, 64 * perLane);

const reluForwardKernel = defineKernel({
  name: "relu_forward",
  inputs: { x: "vec4f" },
  outputs: { y: "vec4f" },
  params: { size: "u32" },
  wgsl: elementwise(perLane, "y[i] = max(x[i], vec4f());"),
});

/** y = max(x, 0). `size` counts vec4f, here and below. */
export function reluForward<T>(size: number, t: { x: T; y: T }): Dispatch<T> {
  return dispatch(reluForwardKernel, t, { size }, workgroups(size));
}

const reluBackwardKernel = defineKernel({
  name: "relu_backward",
  inputs: { dy: "vec4f", y: "vec4f" },
  outputs: { dx: "vec4f" },
  params: { size: "u32" },
  wgsl: elementwise(perLane, "dx[i] = select(vec4f(), dy[i], y[i] > vec4f());"),
});

/** dx = dy where y > 0, else 0. Takes the output y, so x need not be kept. */
export function reluBackward<T>(size: number, t: { dy: T; y: T; dx: T }): Dispatch<T> {
  return dispatch(reluBackwardKernel, t, { size }, workgroups(size));
}

const addKernel = defineKernel({
  name: "add",
  inputs: { a: "vec4f", b: "vec4f" },
  outputs: { sum: "vec4f" },
  params: { size: "u32", scale: "f32" },
  wgsl: elementwise(perLane, "sum[i] = a[i] + params.scale * b[i];"),
});

/** sum = a + scale · b. */
export function add<T>(size: number, scale: number, t: { a: T; b: T; sum: T }): Dispatch<T> {
  return dispatch(addKernel, t, { size, scale }, workgroups(size));
}

const accumulateKernel = defineKernel({
  name: "accumulate",
  inputs: { x: "vec4f" },
  outputs: { total: "vec4f" },
  params: { size: "u32" },
  wgsl: elementwise(perLane, "total[i] += x[i];"),
});

/** total += x, in place. */
export function accumulate<T>(size: number, t: { x: T; total: T }): Dispatch<T> {
  return dispatch(accumulateKernel, t, { size }, workgroups(size));
}

const scaleKernel = defineKernel({
  name: "scale",
  inputs: { x: "vec4f" },
  outputs: { y: "vec4f" },
  params: { size: "u32", factor: "f32" },
  wgsl: elementwise(perLane, "y[i] = params.factor * x[i];"),
});

/** y = factor · x. */
export function scale<T>(size: number, factor: number, t: { x: T; y: T }): Dispatch<T> {
  return dispatch(scaleKernel, t, { size, factor }, workgroups(size));
}
