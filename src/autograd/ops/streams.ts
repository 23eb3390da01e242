import { selectStreams, selectStreamsBackward } from "../../kernels/select-streams.ts";
import { tapeOf } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/**
 * y[n] = [v[streams[0], n], v[streams[1], n], …];  dv[g] = the sum of the parts of dy that came from g
 *
 * v [G, N, C] → [N, C · streams.length], at most four streams each.
 * @throws RangeError if C is not a multiple of 4 while several streams are joined, or a stream does not exist.
 */
export function concatStreams(v: Tensor, streams: readonly number[]): Tensor {
  const [count, n, channels] = v.shape;
  if (v.shape.length !== 3 || count! > 4 || streams.length > 4 || streams.some((g) => g < 0 || g >= count!)) {
    throw new RangeError(`concatStreams: streams [${streams}] of v [${v.shape}]`);
  }
  if (streams.length > 1 && channels! % 4 !== 0) {
    throw new RangeError(`concatStreams: ${channels} channels are not a multiple of 4`);
  }
  const tape = tapeOf(v);
  const shape = { streams: count!, rows: n!, channels4: Math.ceil(channels! / 4), parts: streams };
  return tape.record(
    "concatStreams",
    [v],
    [n!, channels! * streams.length],
    (y) => tape.push(selectStreams(shape, { v, y })),
    (dy) => {
      const dv = tape.empty(`d(${v.name})`, v.shape);
      tape.push(selectStreamsBackward(shape, { dy, dv }));
      return [dv];
    },
  );
}
