/** This project, by the protocol of the peers. */

import { createArchitecture } from "../../src/aenet/architecture.ts";
import { noise, StepRunner } from "../../src/aenet/bench/step.ts";
import { resizedSide } from "../../src/aenet/data/augment.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { Inference } from "../../src/aenet/inference.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";
// @ts-expect-error: the peers' own side is plain JavaScript
import { serve } from "./protocol.mjs";
import type { Task } from "./tasks.ts";

await serve(async ({ kind, network: name, batch, size, precision = "f32" }: Task, [adapter]: string[]) => {
  const device = await openDevice({ adapter: parseAdapterChoice(adapter ?? "auto"), robustness: false });
  const arch = name === "aenet" ? "aenet" : "resnet50-emo";
  if (kind === "step") {
    const runner = await StepRunner.create(device, { arch, batchSize: batch, imageSize: size, precision });
    return { version: `${runner.gpuBytes}`, run: () => runner.run() };
  }
  const network = createNetwork(createArchitecture(arch, EIGHT_EMOTIONS));
  const preprocessing = { ...defaultPreprocessing, imageSize: size };
  const options = { batchSize: batch, decodedSize: resizedSide(size), preprocessing, precision };
  const inference = await Inference.create(device, network, options);
  network.parameters.write(network.parameters.initialValues(0));
  const { images, crops } = noise({ batchSize: batch, imageSize: size });
  return { version: "", run: () => inference.run(images, crops) };
});
