import * as kernels from "../../kernels/elementwise.ts";
import { tapeOf } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/** y = max(x, 0);  dx = dy · [y > 0] */
export function relu(x: Tensor): Tensor {
  const tape = tapeOf(x);
  const size = x.paddedSize / 4;
  const y: Tensor = tape.record(
    "relu",
    [x],
    x.shape,
    (y) => tape.push(kernels.reluForward(size, { x, y }, x.shape[0])),
    (dy) => {
      const dx = tape.emptyLike(`d(${x.name})`, x);
      tape.push(kernels.reluBackward(size, { dy, y, dx }, x.shape[0]));
      return [dx];
    },
  );
  return y;
}

/** a + b;  da = db = dy */
export function add(a: Tensor, b: Tensor): Tensor {
  return addScaled(a, b, 1);
}

/**
 * a + scale · b (Eq. 1: L_a + λ·L_e);  da = dy, db = scale · dy
 * @throws RangeError if the shapes or layouts differ.
 */
export function addScaled(a: Tensor, b: Tensor, scale: number): Tensor {
  if (String(a.shape) !== String(b.shape) || a.layout !== b.layout) {
    throw new RangeError(`add: [${a.shape}] in "${a.layout}" and [${b.shape}] in "${b.layout}" differ`);
  }
  const tape = tapeOf(a, b);
  const size = a.paddedSize / 4;
  return tape.record(
    "add",
    [a, b],
    a.shape,
    (sum) => tape.push(kernels.add(size, scale, { a, b, sum }, a.shape[0])),
    (dy) => {
      if (scale === 1 || !b.needsGrad) return [dy, dy];
      const db = tape.emptyLike(`d(${b.name})`, b);
      tape.push(kernels.scale(size, scale, { x: dy, y: db }, b.shape[0]));
      return [dy, db];
    },
  );
}
