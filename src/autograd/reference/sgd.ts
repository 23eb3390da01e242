import { expectShape, type NdArray, ndarray } from "./ndarray.ts";

/** One step of SGD as PyTorch takes it: v ← momentum · v + g + weightDecay · w, then w ← w − lr · v. */
export function sgdStep(
  { weight, gradient, velocity }: { weight: NdArray; gradient: NdArray; velocity: NdArray },
  { lr, momentum, weightDecay }: { lr: number; momentum: number; weightDecay: number },
): { weight: NdArray; velocity: NdArray } {
  expectShape("sgdStep", "gradient", gradient.shape, weight.shape);
  expectShape("sgdStep", "velocity", velocity.shape, weight.shape);
  const nextVelocity = ndarray(weight.shape);
  const nextWeight = ndarray(weight.shape);
  weight.data.forEach((w, i) => {
    nextVelocity.data[i] = momentum * velocity.data[i] + gradient.data[i] + weightDecay * w;
    nextWeight.data[i] = w - lr * nextVelocity.data[i];
  });
  return { weight: nextWeight, velocity: nextVelocity };
}
