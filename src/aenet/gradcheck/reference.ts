/** The networks in float64, as in the paper's Figure 2, stream by stream. */
import type { NdArray } from "../../autograd/reference/index.ts";
import { type Context, layer, linear, stem, tensorOf } from "../../nn/gradcheck/reference.ts";
import { type Architecture, inStream, streamsOf, tasksOf } from "../architecture.ts";

/** Logits [N, 1] and [N, K]; null for a task that the network lacks. */
export interface ReferenceLogits {
  readonly aes: NdArray | null;
  readonly emo: NdArray | null;
}

/** image [1, N, S, S, 3], normalised. */
export function referenceLogits(context: Context, architecture: Architecture, image: NdArray): ReferenceLogits {
  const streams = streamsOf(architecture.arch).map((stream) => inStream(stream, ""));
  let maps = streams.map((prefix) => stem(context, prefix, image));
  maps = join(context, architecture, 0, maps);
  for (const number of [1, 2, 3, 4]) {
    maps = maps.map((x, g) => layer(context, streams[g]!, number, x));
    maps = join(context, architecture, number, maps);
  }
  const { joinVectors, globalAveragePool } = context.operations;
  const vectors = maps.map((x) => globalAveragePool(x));
  const tasks = tasksOf(architecture.arch);
  const head = (task: "aes" | "emo") =>
    tasks.includes(task) ? linear(context, `head.${task}`, joinVectors(readBy(task, vectors))) : null;
  return { aes: head("aes"), emo: head("emo") };
}

/** The vectors that a head reads: [v_s, v_a] and [v_s, v_e]; of two streams a task's own; the only one. */
function readBy(task: "aes" | "emo", vectors: readonly NdArray[]): NdArray[] {
  const [first, second, third] = vectors;
  if (third) return [second!, task === "aes" ? first! : third];
  return [task === "aes" ? first! : (second ?? first!)];
}

/** What joins the streams at a point: the fusion layer (Eq. 2), the cross-stitch unit, or nothing. */
function join(context: Context, architecture: Architecture, point: number, maps: NdArray[]): NdArray[] {
  const { arch, fusionPoints, detachShared } = architecture;
  const { weightedSum, elementOf, detach } = context.operations;
  if (!fusionPoints.includes(point)) return maps;
  if (arch === "aenet") {
    const [fa, fs, fe] = maps as [NdArray, NdArray, NdArray];
    const weight = (name: string) => tensorOf(context, `fusion.${point}.${name}`);
    const shared = detachShared ? detach(fs) : fs;
    return [
      weightedSum([
        { weight: weight("alpha_p"), x: fa },
        { weight: weight("alpha_s"), x: shared },
      ]),
      fs,
      weightedSum([
        { weight: weight("beta_s"), x: shared },
        { weight: weight("beta_p"), x: fe },
      ]),
    ];
  }
  // [ã; ẽ] = W · [a; e]
  const stitch = tensorOf(context, `stitch.${point}.weight`);
  return [0, 1].map((row) =>
    weightedSum(maps.map((x, column) => ({ weight: elementOf(stitch, 2 * row + column), x }))),
  );
}
