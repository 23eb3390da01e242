export * from "./factors.ts";
export {
  defaultLabelOptions,
  drawRaters,
  type Emotion,
  emotionOf,
  emotions,
  type LabelOptions,
  type Labels,
  type Latents,
  labelScene,
  latents,
  positiveEmotions,
  sharedDirections,
} from "./labels.ts";
export { paintScene, renderScene, type SceneLayout } from "./scene.ts";
export {
  describeScene,
  drawScene,
  type Scene,
  type Split,
  type SynthOptions,
  type SynthReport,
  splitOf,
  synthesize,
} from "./synthesize.ts";
