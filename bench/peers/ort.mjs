/** onnxruntime-node with its WebGPU or its CPU provider. */
import { availableParallelism } from "node:os";
import ort from "onnxruntime-node";
import { resnet50 } from "./onnx.mjs";
import { serve } from "./protocol.mjs";

await serve(async ({ batch, size }, [provider]) => {
  const session = await ort.InferenceSession.create(resnet50(batch, size), {
    executionProviders: [provider === "webgpu" ? "webgpu" : "cpu"],
    ...(provider === "cpu-threads" ? { intraOpNumThreads: availableParallelism() } : {}),
  });
  const dims = [batch, 3, size, size];
  const image = new ort.Tensor("float32", new Float32Array(batch * 3 * size * size).fill(0.1), dims);
  return {
    version: `onnxruntime-node ${ort.env.versions?.node ?? ""}`.trim(),
    run: () => session.run({ image }),
  };
});
