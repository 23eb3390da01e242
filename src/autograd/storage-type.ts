/** Which variant of a kernel a dispatch needs: that follows from how the tensors that it binds are stored. */
import { bindingsOf, type Dispatch, withHalves } from "../kernels/kernel.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The dispatch with its kernel for f16 where its tensors are.
 * @throws Error for a tensor in f16 that the kernel takes in f32 only, naming both.
 */
export function asStored<D extends Dispatch<Tensor>>(dispatch: D): D {
  const { kernel, bindings } = dispatch;
  const halves = bindingsOf(kernel).flatMap(({ name, type }) =>
    type !== "vec4h" && bindings[name]!.dtype === "f16" ? name : [],
  );
  return halves.length === 0 ? dispatch : { ...dispatch, kernel: withHalves(kernel, halves) };
}
