/** WGSL kernels and the device they run on; the only layer that names GPU types. */
export * from "./batch-norm.ts";
export * from "./conv2d.ts";
export { Device, GpuError, type Platform } from "./device.ts";
export * from "./elementwise.ts";
export * from "./fusion.ts";
export { TileChoices } from "./gemm/choices.ts";
export { type GemmTile, gemm, gridOf } from "./gemm/core.ts";
export { type Product, productName, shapeClass } from "./gemm/product.ts";
export { sharedTile, tileName } from "./gemm/tiles.ts";
export { createTuner, memoryStore, type TileStore, type TunerOptions } from "./gemm/tuner.ts";
export { type Dispatch, defineKernel, dispatch, type Kernel } from "./kernel.ts";
export * from "./linear.ts";
export * from "./losses.ts";
export * from "./pool.ts";
export * from "./preprocess.ts";
export * from "./sgd.ts";
export * from "./stitch.ts";
