/** What any network needs: layers, ResNet, parameters in arenas, SGD, safetensors. */
export { BatchNorm2d, Conv2d, type Conv2dOptions, Linear, type Place } from "./layers.ts";
export { type ParameterOptions, Parameters, type Slice } from "./parameters.ts";
export { ResNet, type ResNetOptions } from "./resnet.ts";
export { parseSafetensors, serializeSafetensors, type TensorData } from "./safetensors.ts";
export { type LearningRates, Sgd, type SgdOptions, stepsInFlight } from "./sgd.ts";
