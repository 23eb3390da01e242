/** Kernels that treat every element alike. */
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

/**
 * Where the first of `perLane` elements of an invocation lies in its workgroup's stretch of 64 · perLane; the others follow
 * eight apart. Eight neighbours read side by side, and an invocation's elements lie close together: software drivers run
 * eight invocations to their end before the next eight, and the memory is streamed; on a GPU, 8 vec4f are a cache line.
 */
export const firstPlace = (perLane: number): string => `(lane >> 3u) * ${8 * perLane}u + (lane & 7u)`;

/**
 * The body of a kernel whose invocations run `code` for `perLane` elements `i` below `params.size`.
 * Four vec4f for each invocation reach four times the bandwidth of one float on software drivers.
 */
export function elementwise(perLane: number, code: string): string {
  return `
fn run(group: u32, lane: u32) {
  let first = group * ${64 * perLane}u + ${firstPlace(perLane)};
  let end = min(first + ${8 * perLane}u, params.size);
  for (var i = first; i < end; i += 8u) {
    ${code}
  }
}`;
}

/** Enough to pay for what an invocation does before its first element. */
const perLane = 16;

/** As elementwise, for tensors of several streams, each with workgroups of its own so that it can be bound alone. */
const byStream = (code: string): string => `
fn run(group: u32, lane: u32) {
  let stream = divide(group, params.groupsPerStream);
  let first = stream * params.size;
  let inStream = group - stream * params.groupsPerStream;
  let place = inStream * ${64 * perLane}u + ${firstPlace(perLane)};
  let end = min(place + ${8 * perLane}u, params.size);
  for (var j = place; j < end; j += 8u) {
    let i = first + j;
    ${code}
  }
}`;

const streamParams = { size: "u32", groupsPerStream: "u32" } as const;

/** Sizes of a tensor of `streams` equal parts, `size` vec4f in all. */
function share(size: number, streams: number) {
  const count = size % streams === 0 ? streams : 1;
  const groupsPerStream = divideUp(size / count, 64 * perLane);
  return { count, groups: groupsPerStream * count, params: { size: size / count, groupsPerStream } };
}

/** WGSL for max(x, 0) where `isRelu` holds, else x. In these words, as `max` would make a NaN 0. */
export const rectified = (x: string, isRelu = "true"): string =>
  `select(${x}, vec4f(), (${x} < vec4f()) & vec4<bool>(${isRelu}))`;

const reluForwardKernel = defineKernel({
  name: "relu_forward",
  inputs: { x: "vec4" },
  outputs: { y: "vec4" },
  params: streamParams,
  wgsl: byStream(`let value = vec4f(x[i]); y[i] = as_y(${rectified("value")});`),
});

/** y = max(x, 0). `size` counts vec4f in all `streams`, here and below. */
export function reluForward<T>(size: number, t: { x: T; y: T }, streams = 1): Dispatch<T> {
  const { count, groups, params } = share(size, streams);
  return dispatch(reluForwardKernel, t, params, groups, { streams: { count, bindings: ["x", "y"] } });
}

const reluBackwardKernel = defineKernel({
  name: "relu_backward",
  inputs: { dy: "vec4", y: "vec4" },
  outputs: { dx: "vec4" },
  params: streamParams,
  wgsl: byStream("dx[i] = as_dx(select(vec4f(), vec4f(dy[i]), vec4f(y[i]) > vec4f()));"),
});

/** dx = dy where y > 0, else 0. Takes the output y, so x need not be kept. */
export function reluBackward<T>(size: number, t: { dy: T; y: T; dx: T }, streams = 1): Dispatch<T> {
  const { count, groups, params } = share(size, streams);
  return dispatch(reluBackwardKernel, t, params, groups, { streams: { count, bindings: ["dy", "y", "dx"] } });
}

const combineKernel = defineKernel({
  name: "combine",
  inputs: { a: "vec4", b: "vec4" },
  outputs: { y: "vec4" },
  params: { ...streamParams, ofA: "f32", ofB: "f32" },
  wgsl: byStream("y[i] = as_y(params.ofA * vec4f(a[i]) + params.ofB * vec4f(b[i]));"),
});

function combine<T>(size: number, [ofA, ofB]: [number, number], t: { a: T; b: T; y: T }, streams: number): Dispatch<T> {
  const { count, groups, params } = share(size, streams);
  return dispatch(combineKernel, t, { ...params, ofA, ofB }, groups, { streams: { count, bindings: ["a", "b", "y"] } });
}

/** sum = a + scale · b. */
export function add<T>(size: number, scale: number, t: { a: T; b: T; sum: T }, streams = 1): Dispatch<T> {
  return combine(size, [1, scale], { a: t.a, b: t.b, y: t.sum }, streams);
}

/** y = factor · x. */
export function scale<T>(size: number, factor: number, t: { x: T; y: T }, streams = 1): Dispatch<T> {
  return combine(size, [factor, 0], { a: t.x, b: t.x, y: t.y }, streams);
}

const accumulateKernel = defineKernel({
  name: "accumulate",
  inputs: { x: "vec4f" },
  outputs: { total: "vec4f" },
  params: streamParams,
  wgsl: byStream("total[i] += x[i];"),
});

/** total += x, in place. */
export function accumulate<T>(size: number, t: { x: T; total: T }, streams = 1): Dispatch<T> {
  const { count, groups, params } = share(size, streams);
  return dispatch(accumulateKernel, t, params, groups, { streams: { count, bindings: ["x", "total"] } });
}
