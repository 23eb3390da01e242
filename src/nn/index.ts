/** What any network needs: layers, ResNet, parameters in arenas, SGD, weights' files. */
export { BatchNorm2d, Conv2d, type Conv2dOptions, Linear, type Place } from "./layers.ts";
export {
  defaultLossScale,
  type LossScaleOptions,
  type LossScaleState,
  largestLossScale,
} from "./loss-scale.ts";
export { type ParameterOptions, Parameters, type Slice } from "./parameters.ts";
export { PthError, type PthFault, parsePth } from "./pth/pth.ts";
export { ResNet, type ResNetOptions } from "./resnet.ts";
export { parseSafetensors, serializeSafetensors, type TensorData } from "./safetensors.ts";
export { type LearningRates, Sgd, type SgdOptions, type StepStatus, stepsInFlight } from "./sgd.ts";
export type { StoredTensor, TensorFile } from "./tensor-file.ts";
export { parseWeights } from "./weights.ts";
