/**
 * Every operation once more, plainly, in float64 on the CPU: what the kernels are held against. Forward only; gradients
 * are central differences of it. Runs wherever JavaScript does.
 */
export * from "./conv.ts";
export * from "./dense.ts";
export * from "./differences.ts";
export * from "./fusion.ts";
export * from "./loss.ts";
export * from "./ndarray.ts";
export * from "./norm.ts";
export * from "./pointwise.ts";
export * from "./pool.ts";
export * from "./preprocess.ts";
export * from "./sgd.ts";
export * from "./stitch.ts";
export * from "./trace.ts";
