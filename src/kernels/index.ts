/** WGSL kernels and the device they run on; the only layer that names GPU types. */
export * from "./batch-norm.ts";
export * from "./conv2d.ts";
export { Device, GpuError, type Platform } from "./device.ts";
export * from "./elementwise.ts";
export * from "./fusion.ts";
export { type GemmTile, gemm, gridOf } from "./gemm/core.ts";
export { chooseTile } from "./gemm/tiles.ts";
export { type Dispatch, defineKernel, dispatch, type Kernel } from "./kernel.ts";
export * from "./linear.ts";
export * from "./losses.ts";
export * from "./pool.ts";
export * from "./preprocess.ts";
export * from "./sgd.ts";
export * from "./stitch.ts";
