/** A checkpoint as an ONNX file. Node only. */
import { resolve } from "node:path";
import { checkpointMetadata } from "../checkpoint.ts";
import { replaceSharedFile } from "../durable-file.ts";
import { type CheckpointOverrides, loadNetwork } from "../load-network.ts";
import { Graph, opset } from "./graph.ts";
import { addNetwork } from "./network.ts";
import { byteLength, joinSmall } from "./protobuf.ts";

export interface ExportOptions extends Omit<CheckpointOverrides, "resize"> {
  readonly checkpoint: string;
  /** The file to write, or to replace. */
  readonly onnx: string;
}

export interface ExportReport {
  readonly checkpoint: string;
  readonly onnx: string;
  readonly arch: string;
  readonly opset: number;
  readonly image_size: number;
  /** Of emo_prob's columns; empty without that output. */
  readonly classes: readonly string[];
  readonly outputs: readonly string[];
  readonly bytes: number;
}

/** What a protobuf message may take. */
const largestModel = 2 ** 31 - 1;

/**
 * Writes the network of a checkpoint: input `image` [N, 3, S, S], float32 and normalised as the checkpoint says; outputs
 * `aes_prob` [N] and `emo_prob` [N, K], as far as the network has them. The checkpoint's metadata goes with it.
 *
 * The file is there whole or not at all, and equal checkpoints give equal bytes.
 *
 * @throws Error for a checkpoint that cannot be used, and for a model beyond ONNX's 2 GiB.
 */
export async function exportOnnx({ checkpoint, onnx, ...overrides }: ExportOptions): Promise<ExportReport> {
  if (resolve(checkpoint) === resolve(onnx)) throw new Error(`--onnx ${onnx}: would replace the checkpoint itself`);
  const { info, tensors } = await loadNetwork(checkpoint, overrides);
  const { architecture, preprocessing } = info;
  const { arch, classes } = architecture;
  const graph = new Graph(tensors);
  addNetwork(graph, architecture, preprocessing.imageSize);
  const model = graph.model(arch, checkpointMetadata(info));
  const bytes = byteLength(model);
  if (bytes > largestModel) throw new Error(`${onnx}: ${bytes} bytes, where ONNX allows ${largestModel} in a file`);

  await replaceSharedFile(onnx, joinSmall(model));
  return {
    checkpoint,
    onnx,
    arch,
    opset,
    image_size: preprocessing.imageSize,
    classes: graph.outputs.includes("emo_prob") ? classes : [],
    outputs: graph.outputs,
    bytes,
  };
}
