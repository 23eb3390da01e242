/** A network's forward pass in evaluation mode, for batches of one size. */
import { type Precision, type Program, type ProgramPlan, preprocess, Tape, type Tensor } from "../autograd/index.ts";
import type { Device } from "../kernels/device.ts";
import type { Logits, Network } from "./model.ts";
import type { Preprocessing } from "./preprocessing.ts";

export interface InferenceOptions {
  readonly batchSize: number;
  /** Side of the decoded images, in pixels. */
  readonly decodedSize: number;
  readonly preprocessing: Preprocessing;
  /** Of activations and of the weights that convolutions read. Default f32. */
  readonly precision?: Precision;
}

/** Logits of a batch: aes [B], emo [B, K]; null for a task that the network lacks. */
export interface BatchLogits {
  readonly aes: Float32Array | null;
  readonly emo: Float32Array | null;
}

interface Recording {
  readonly tape: Tape;
  readonly images: Tensor;
  readonly crops: Tensor;
  readonly logits: Logits;
  readonly outputs: readonly Tensor[];
}

function recordInference(device: Device, network: Network, options: InferenceOptions): Recording {
  const { batchSize, decodedSize, preprocessing, precision = "f32" } = options;
  const tape = new Tape(device, { training: false, precision });
  const images = tape.input("images", [batchSize, decodedSize, decodedSize, 3], { dtype: "u8" });
  const crops = tape.input("crops", [batchSize, 3], { dtype: "i32" });
  const { imageSize: size, mean, deviation } = preprocessing;
  const logits = network.forward(preprocess(images, crops, { size, mean, deviation }));
  const outputs = [logits.aes, logits.emo].filter((t): t is Tensor => t !== null);
  return { tape, images, crops, logits, outputs };
}

export class Inference {
  readonly #program: Program;
  readonly #images: Tensor;
  readonly #crops: Tensor;
  readonly #logits: Logits;

  private constructor(program: Program, images: Tensor, crops: Tensor, logits: Logits) {
    this.#program = program;
    this.#images = images;
    this.#crops = crops;
    this.#logits = logits;
  }

  /** What a batch needs, without allocating anything. @throws GpuError if it does not fit the adapter. */
  static plan(device: Device, network: Network, options: InferenceOptions): ProgramPlan {
    const { tape, outputs } = recordInference(device, network, options);
    return tape.plan(outputs);
  }

  /** Allocates the network's parameters if they have no memory yet. @throws GpuError if it does not fit the adapter. */
  static async create(device: Device, network: Network, options: InferenceOptions): Promise<Inference> {
    const { precision = "f32" } = options;
    const recording = await device.tiles.settle(() => recordInference(device, network, options));
    const { tape, images, crops, logits, outputs } = recording;
    tape.plan(outputs);
    if (!network.parameters.allocated) await network.parameters.allocate(device, { training: false, precision });
    return new Inference(await tape.compile(outputs, { readsInFlight: 1 }), images, crops, logits);
  }

  /** images uint8 RGB [B, R, R, 3], crops [B, 3] = (x, y, flip). */
  async run(images: Uint8Array, crops: Int32Array): Promise<BatchLogits> {
    this.#program.write(this.#images, images);
    this.#program.write(this.#crops, crops);
    this.#program.run();
    const read = (t: Tensor | null) => (t ? this.#program.read(t) : null);
    const [aes, emo] = await Promise.all([read(this.#logits.aes), read(this.#logits.emo)]);
    return { aes, emo };
  }

  destroy(): void {
    this.#program.destroy();
  }
}
