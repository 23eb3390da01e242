/** A whole network with its losses, as one thing whose gradients are checked. */
import { addScaled, binaryCrossEntropyWithLogits, softmaxCrossEntropy } from "../../autograd/index.ts";
import { map, ndarray, Trace } from "../../autograd/reference/index.ts";
import { drawNormal, drawValues } from "../../nn/gradcheck/layers.ts";
import { tensorOf } from "../../nn/gradcheck/reference.ts";
import { inReferenceLayout, type Subject } from "../../nn/gradcheck/subject.ts";
import { Random } from "../../random.ts";
import type { Network } from "../model.ts";
import { referenceLogits } from "./reference.ts";

export interface NetworkSubjectOptions {
  readonly batchSize: number;
  readonly imageSize: number;
  readonly lambda: number;
  readonly seed: number;
  /** Default true. */
  readonly training?: boolean;
}

/** Images are moved by so much to see whether float32's rounding could switch a ReLU or a max pool. */
const nearness = 3e-6;
/** Most images drawn; a network of millions of ReLUs has some near its switch whatever the images. */
const mostDraws = 20;

/**
 * L = L_a + λ·L_e of noise images with drawn labels; where there are two samples or more, the last lacks its aesthetics
 * label and the last but one its emotion. Images are drawn anew while a ReLU or a max pool stands too near its switch;
 * `redrawn` counts how often.
 */
export function networkSubject(network: Network, options: NetworkSubjectOptions): Subject & { redrawn: number } {
  for (let draw = 0; ; draw++) {
    const subject = drawSubject(network, options, draw);
    if (draw === mostDraws || !isNearSwitch(subject)) return { ...subject, redrawn: draw };
  }
}

/**
 * Whether some ReLU or max pool stands so near its switch that float32 may take the other side than float64, which no
 * gradient of a function with kinks survives.
 */
function isNearSwitch(subject: Subject): boolean {
  const { parameters, values, inputs, training } = subject;
  const tensors = inReferenceLayout(parameters, values);
  for (const [name, input] of Object.entries(inputs)) tensors.set(name, input.values);
  const trace = new Trace((operations) => subject.reference({ operations, tensors, training }));
  const { image } = inputs;
  return [0, 1, 2].some((trial) => {
    const noise = drawNormal(image!.values.shape, trial, "nearness").data;
    return [nearness, -nearness].some((distance) => {
      tensors.set(
        "image",
        map(image!.values, (value, i) => value + distance * noise[i]!),
      );
      return trace.again().switched;
    });
  });
}

function drawSubject(
  network: Network,
  { batchSize, imageSize, lambda, seed, training = true }: NetworkSubjectOptions,
  draw: number,
): Subject {
  const { architecture, parameters } = network;
  const random = new Random(seed, "gradcheck", "labels");
  const classes = architecture.classes.length;
  const aes = Array.from({ length: batchSize }, (_, i) => (i > 0 && i === batchSize - 1 ? -1 : random.integer(2)));
  const emo = Array.from({ length: batchSize }, (_, i) =>
    i > 0 && i === batchSize - 2 ? -1 : random.integer(Math.max(classes, 1)),
  );
  const counted = (labels: number[]) => ndarray([1], [labels.filter((label) => label >= 0).length]);
  return {
    parameters,
    training,
    values: drawValues(parameters, seed),
    channels: new Map(
      parameters.slices.flatMap(({ name, group }) => {
        const point = /^fusion\.(\d)\./.exec(name);
        return group === "fusion" && point ? [[name, mapChannels(architecture)[Number(point[1])]!]] : [];
      }),
    ),
    inputs: {
      image: { values: drawNormal([1, batchSize, imageSize, imageSize, 3], seed, `image ${draw}`) },
      aesLabels: { values: ndarray([batchSize], aes) },
      aesCount: { values: counted(aes) },
      emoLabels: { values: ndarray([batchSize], emo), dtype: "i32" },
      emoCount: { values: counted(emo) },
    },
    record(t) {
      const logits = network.forward(t.image!);
      const lossAes = logits.aes && binaryCrossEntropyWithLogits(logits.aes, t.aesLabels!, t.aesCount!);
      const lossEmo = logits.emo && softmaxCrossEntropy(logits.emo, t.emoLabels!, t.emoCount!);
      return lossAes && lossEmo ? addScaled(lossAes, lossEmo, lambda) : (lossAes ?? lossEmo)!;
    },
    reference(context) {
      const r = context.operations;
      const t = (name: string) => tensorOf(context, name);
      const logits = referenceLogits(context, architecture, t("image"));
      const lossAes = logits.aes && r.binaryCrossEntropyWithLogits(logits.aes, t("aesLabels"), t("aesCount"));
      const lossEmo = logits.emo && r.softmaxCrossEntropy(logits.emo, t("emoLabels"), t("emoCount"));
      return lossAes && lossEmo ? r.addScaled(lossAes, lossEmo, lambda) : (lossAes ?? lossEmo)!;
    },
  };
}

/** Channels of the maps at the fusion points. */
const mapChannels = ({ baseChannels }: Network["architecture"]) =>
  [1, 4, 8, 16, 32].map((times) => times * baseChannels);
