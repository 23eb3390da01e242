/** AENet: the networks, their data, training, evaluation and prediction. Node only. */
export { type Architecture, createArchitecture, streamsOf, tasksOf } from "./architecture.ts";
export { type CheckpointInfo, checkpointMetadata, describeCheckpoint } from "./checkpoint.ts";
export * from "./data/index.ts";
export { type EvaluateOptions, type EvaluationReport, evaluate } from "./evaluate.ts";
export { type BatchLogits, Inference, type InferenceOptions } from "./inference.ts";
export { type CheckpointOverrides, type LoadedNetwork, loadNetwork, readWeights } from "./load-network.ts";
export { type Metrics, MetricsSum, sigmoid, softmax } from "./metrics.ts";
export { AENet, createNetwork, type Logits, type Network, SingleStream } from "./model.ts";
export { type Prediction, type PredictOptions, predict } from "./predict.ts";
export { defaultPreprocessing, type Preprocessing } from "./preprocessing.ts";
export { defaultTrainConfig, type TrainConfig } from "./training/config.ts";
export { type StepInput, type StepLosses, type StepOptions, TrainingStep } from "./training/step.ts";
export {
  type DryRun,
  dryRun,
  NonFiniteError,
  resumeTraining,
  type TrainEvents,
  type TrainResult,
  type TrainSettings,
  train,
} from "./training/train.ts";
