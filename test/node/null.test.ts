import { expect, test } from "vitest";
import { createInstance } from "../../src/node/dawn.ts";
import { openNullDevice } from "../../src/node/index.ts";

test("the null backend compiles with every feature that kernels may use, and finds errors", async () => {
  const device = await openNullDevice();
  expect(device.platform.kind).toBe("null");
  const messages = async (code: string) => {
    device.gpu.pushErrorScope("validation");
    const info = await device.gpu.createShaderModule({ code }).getCompilationInfo();
    await device.gpu.popErrorScope();
    return info.messages.filter(({ type }) => type === "error").map(({ message }) => message);
  };
  const matrices = /* wgsl */ `
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read_write> x: array<f16>;
@compute @workgroup_size(32) fn main() {
  let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&x, 0, 16);
  subgroupMatrixStore<row_major>(&x, 256, subgroup_matrix_result<f16, 16, 16>(), 16);
  x[0] = subgroupAdd(x[1]);
}`;
  expect(await messages(matrices)).toEqual([]);
  expect(await messages("@compute @workgroup_size(1) fn main() { undefined(); }")).not.toEqual([]);
});

test("an adapter is found by a part of its name; where none has it, those that there are are listed", async () => {
  const named = async (name: string) =>
    (await createInstance("null", { enable: [], disable: [] }, name)).requestAdapter();
  expect(await named("Null")).not.toBeNull();
  await expect(named("RTX")).rejects.toThrow(/no adapter .*RTX.*found\s+Available adapters:\s.*Null backend/);
});
