/** Small results as an experiment leaves them, with chosen accuracies. */
import type { Cell, RunResult } from "../../src/aenet/experiment/results.ts";
import { Random } from "../../src/random.ts";

export interface RunOptions {
  readonly cell?: Cell;
  readonly fold?: number | null;
  readonly images?: number;
  readonly classes?: readonly string[];
  /** How much the method knows of each task, 0 to 1. */
  readonly skill?: number;
  readonly tasks?: readonly ("aes" | "emo")[];
  readonly groups?: boolean;
  readonly readings?: number;
  readonly paperProtocol?: boolean;
}

const defaultClasses = ["amusement", "excitement", "awe", "contentment", "disgust", "anger", "fear", "sadness"];

/** A run whose images and labels depend on cell, seed and fold alone, as in a paired design. */
export function makeRun(method: string, seed: number, options: RunOptions = {}): RunResult {
  const { cell = { rho: 0.5, size: 512 }, fold = null, images = 60, skill = 0.6 } = options;
  const { classes = defaultClasses, tasks = ["aes", "emo"] } = options;
  const labels = new Random(seed, "fixture labels", JSON.stringify(cell), fold ?? -1);
  const noise = new Random(seed, "fixture predictions", method, JSON.stringify(cell), fold ?? -1);
  const rows = Array.from({ length: images }, (_, i) => {
    const score = Math.min(10, Math.max(1, 5.3 + 1.5 * labels.normal()));
    const emotion = labels.integer(classes.length);
    const aes = 1 / (1 + Math.exp(-(skill * (score - 5) + (1 - skill) * 2 * noise.normal())));
    const powers = classes.map((_, k) => Math.exp((k === emotion ? 3 * skill : 0) + noise.normal()));
    const total = powers.reduce((a, b) => a + b, 0);
    return { i, score, emotion, aes, probabilities: powers.map((power) => power / total) };
  });
  const aes = tasks.includes("aes");
  const emo = tasks.includes("emo");
  const fused = method.startsWith("aenet") && method !== "aenet-fl";
  return {
    format: "aenet-run-result/1",
    method,
    cell,
    seed,
    fold,
    tasks,
    networks: [
      {
        arch: method,
        parameters: 1000 * (method.length + 1),
        config_sha256: "0".repeat(64),
        checkpoint_sha256: "a".repeat(64),
      },
    ],
    pretraining: "A, E: generated, disjoint seeds",
    paper_protocol: options.paperProtocol ?? false,
    readings: options.readings ?? 1,
    settings: { lr: 0.01, lambda: 0.25 },
    classes,
    predictions: {
      image: rows.map(({ i }) => i + (fold ?? 0) * images),
      groups: options.groups ? { names: ["dogs", "lakes", "wars"], of: rows.map(({ i }) => i % 3) } : null,
      aes_prob: aes ? rows.map((row) => row.aes) : null,
      aes_true: rows.map(({ score }) => (score >= 5 ? 1 : 0)),
      aes_score: rows.map(({ score }) => score),
      emo_probs: emo ? rows.flatMap((row) => row.probabilities) : null,
      emotion_true: rows.map(({ emotion }) => emotion),
    },
    history: [
      {
        tasks,
        steps: { step: [1, 2, 3], loss: [3, 2.5, 2.25], loss_aes: [0.7, 0.6, 0.5], loss_emo: [2, 1.9, null] },
        epochs: (["train", "val"] as const).map((split, i) => ({
          split,
          epoch: [1, 2, 3],
          loss: [1.2 + i / 10, 1.1 + i / 8, 1 + i / 7],
          acc_aes: [0.55, 0.6, 0.65 - i / 20],
          acc_emo: [0.2, 0.25, 0.3 - i / 20],
        })),
      },
    ],
    fusion: fused
      ? {
          epoch: [0, 1, 2],
          points: [0, 1, 2, 3, 4],
          alpha_p: [0, 1, 2].map((t) => [0, 1, 2, 3, 4].map((p) => 0.9 - 0.01 * t * p)),
          alpha_s: [0, 1, 2].map((t) => [0, 1, 2, 3, 4].map((p) => 0.1 + 0.02 * t * p)),
          beta_p: [0, 1, 2].map((t) => [0, 1, 2, 3, 4].map((p) => 0.9 + 0.01 * t * p)),
          beta_s: [0, 1, 2].map((t) => [0, 1, 2, 3, 4].map((p) => 0.1 - 0.01 * t * p)),
        }
      : null,
  };
}
