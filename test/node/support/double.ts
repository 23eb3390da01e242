import type { Device } from "../../../src/kernels/device.ts";

/** Doubles numbers on the GPU, after `detours` of doubling and halving that only take time. */
export async function double(device: Device, numbers: Float32Array<ArrayBuffer>, detours = 0): Promise<Float32Array> {
  const { gpu } = device;
  const code = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var y = x[id.x];
  for (var step = 0u; step < ${2 * detours}u; step++) {
    y = select(y * 2.0, y * 0.5, (step & 1u) == 1u);
  }
  x[id.x] = y * 2.0;
}`;
  const module = gpu.createShaderModule({ code });
  const pipeline = gpu.createComputePipeline({ layout: "auto", compute: { module } });
  const size = numbers.byteLength;
  const x = gpu.createBuffer({
    size,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  const result = gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  gpu.queue.writeBuffer(x, 0, numbers);
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [{ binding: 0, resource: { buffer: x } }];
  pass.setBindGroup(0, gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(numbers.length / 64);
  pass.end();
  encoder.copyBufferToBuffer(x, 0, result, 0, size);
  gpu.queue.submit([encoder.finish()]);
  await device.wait(result.mapAsync(GPUMapMode.READ));
  const doubled = new Float32Array(result.getMappedRange().slice(0));
  x.destroy();
  result.destroy();
  return doubled;
}
