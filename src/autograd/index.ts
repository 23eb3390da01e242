/** Automatic differentiation over recorded, replayable steps. */
export { type BatchNorm, type BatchNormOptions, batchNorm } from "./ops/batch-norm.ts";
export { conv2d } from "./ops/conv2d.ts";
export { add, addScaled, relu } from "./ops/elementwise.ts";
export { type Fusion, fuse } from "./ops/fuse.ts";
export { linear } from "./ops/linear.ts";
export { binaryCrossEntropyWithLogits, softmaxCrossEntropy } from "./ops/losses.ts";
export { globalAveragePool, type MaxPoolOptions, maxPool2d } from "./ops/pool.ts";
export { preprocess } from "./ops/preprocess.ts";
export { stitch } from "./ops/stitch.ts";
export { concatStreams } from "./ops/streams.ts";
export { type MemoryPlan, planMemory } from "./planner.ts";
export { type NonFinite, Program } from "./program.ts";
export type { ProgramOptions, ProgramPlan } from "./program-plan.ts";
export { type Gradients, Tape, type TapeOptions } from "./tape.ts";
export { type DType, type Layout, Parameter, type Precision, RunningStatistic, Storage, Tensor } from "./tensor.ts";
