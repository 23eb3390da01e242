import type { Checkpoint } from "../../src/aenet/training/run-folder.ts";
import { startSchedule } from "../../src/aenet/training/schedule.ts";
import type { TrainingState } from "../../src/aenet/training/state.ts";
import type { TensorData } from "../../src/nn/safetensors.ts";

/** A state in which every number follows from the step. */
export function stateAt(step: number, size = 16): TrainingState {
  return {
    step,
    epoch: Math.floor(step / 4),
    position: (step % 4) * 64,
    schedule: { ...startSchedule(1e-4 / (step + 1), 1 / 3), best: { epoch: 0, step, value: 0.1 + 0.2 } },
    lossScale: 65536,
    counters: { skipped: step, sum: Math.sqrt(step + 2) },
    configSha256: "c".repeat(64),
    dataSha256: "d".repeat(64),
    momentum: tensors(step + 0.5, size),
  };
}

/** A checkpoint of that step; every third is a best. */
export function checkpointAt(step: number, size = 16): Checkpoint {
  return {
    tensors: tensors(step, size),
    metadata: { arch: "aenet", step: String(step) },
    state: stateAt(step, size),
    bests: step % 3 === 0 ? ["best"] : [],
  };
}

function tensors(value: number, size: number): Map<string, TensorData> {
  return new Map(
    ["a.conv1.weight", "head.aes.bias"].map((name) => [
      name,
      { shape: [size], data: new Float32Array(size).fill(value) },
    ]),
  );
}
