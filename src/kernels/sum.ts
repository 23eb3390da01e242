/** Sums over one axis of a tensor: the second step of every sum that was computed in parts, and means. */
import { type Dispatch, defineKernel, dispatch, divideUp } from "./kernel.ts";

/** Terms that are added one by one; a sum of such runs loses fewer digits than one in a row. */
const run = 16;

const sumAxisKernel = defineKernel({
  name: "sum_axis",
  inputs: { x: "vec4" },
  outputs: { total: "vec4" },
  params: { size: "u32", count: "u32", inner: "u32", components: "u32", divisor: "f32" },
  wgsl: /* wgsl */ `
fn run(group: u32, lane: u32) {
  // i = outer · inner + (index within)
  let i = group * 64u + lane;
  if (i < params.size) {
    let outer = divide(i, params.inner);
    let first = outer * (params.count - 1u) * params.inner + i;
    var sum = vec4f();
    for (var c = 0u; c < params.count; c += ${run}u) {
      let end = min(c + ${run}u, params.count);
      var part = vec4f();
      for (var d = c; d < end; d++) {
        part += vec4f(x[first + d * params.inner]);
      }
      sum += part;
    }
    if (params.components == 1u) {
      sum = vec4f(sum.x + sum.y + sum.z + sum.w, 0, 0, 0);
    }
    total[i] = as_total(sum / params.divisor);
  }
}`,
});

/** x [outer, count, inner], in vec4f. */
export interface SumShape {
  readonly outer?: number;
  readonly count: number;
  readonly inner: number;
}

/**
 * total[o, i] = Σ_c x[o, c, i] / divisor, in the order of c, by runs of 16.
 * @param components sum the four components of each total too: it is then (Σ, 0, 0, 0)
 */
export function sumAxis<T>(
  { outer = 1, count, inner }: SumShape,
  t: { x: T; total: T },
  { divisor = 1, components = false }: { divisor?: number; components?: boolean } = {},
): Dispatch<T> {
  const size = outer * inner;
  const params = { size, count, inner, components: components ? 1 : 0, divisor };
  return dispatch(sumAxisKernel, t, params, divideUp(size, 64));
}
