/** Building an ONNX model, node by node. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
import type { TensorData } from "../../nn/index.ts";
import { bytes, float, integer, integers, type Message, message, text } from "./protobuf.ts";

/** Version of the operators, and of the file format that goes with it. */
export const opset = 17;
const irVersion = 8;

const [floatType, int64Type] = [1, 7];

/** The name of what a node puts out. */
export type Value = string;

/** Integers, or a float as an object, since 1 and 1.0 are the same number here. */
export type Attribute = number | readonly number[] | { readonly float: number };

export class Graph {
  readonly #tensors: ReadonlyMap<string, TensorData>;
  readonly #nodes: Message[] = [];
  readonly #initializers = new Map<string, Message>();
  readonly #inputs: Message[] = [];
  readonly #outputs = new Map<string, Message>();

  /** @param tensors Weights by name; those that are used go into the model under the same names. */
  constructor(tensors: ReadonlyMap<string, TensorData>) {
    this.#tensors = tensors;
  }

  /** A float32 input; a dimension that is a text is free. */
  input(name: string, shape: readonly (number | string)[]): Value {
    this.#inputs.push(message(11, valueInfo(name, shape)));
    return name;
  }

  output(name: Value, shape: readonly (number | string)[]): void {
    this.#outputs.set(name, message(12, valueInfo(name, shape)));
  }

  /** Names of the outputs so far. */
  get outputs(): string[] {
    return [...this.#outputs.keys()];
  }

  /** Adds a node with one output, called as the node. */
  node(
    op: string,
    name: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value {
    this.#nodes.push(
      message(
        1,
        ...inputs.map((input) => text(1, input)),
        text(2, name),
        text(3, name),
        text(4, op),
        ...Object.entries(attributes).map(([key, value]) => attribute(key, value)),
      ),
    );
    return name;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** A weight by its name. @throws Error where there is none. */
  tensor(name: string): TensorData {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`onnx: there is no tensor ${name}`);
    return tensor;
  }

  /** A weight as a node's input, under another shape or with other data if those are given. */
  weight(name: string, { shape, data }: Partial<TensorData> = {}): Value {
    shape ??= this.tensor(name).shape;
    data ??= this.tensor(name).data;
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.set(name, initializer(name, floatType, shape, raw));
    return name;
  }

  /** A list of integers as a node's input. */
  integers(name: string, values: readonly number[]): Value {
    const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.#initializers.set(name, initializer(name, int64Type, [values.length], raw));
    return name;
  }

  /** The ModelProto, in pieces. The metadata's keys and values go into it, in their order. */
  model(name: string, metadata: Readonly<Record<string, string>>): Message {
    const initializers = this.#initializers.values();
    return [
      ...integer(1, irVersion),
      ...text(2, "aenet-webgpu"),
      ...message(7, ...this.#nodes, text(2, name), ...initializers, ...this.#inputs, ...this.#outputs.values()),
      ...message(8, text(1, ""), integer(2, opset)),
      ...Object.entries(metadata).flatMap(([key, value]) => message(14, text(1, key), text(2, value))),
    ];
  }
}

function attribute(name: string, value: Attribute): Message {
  const [floatKind, intKind, intsKind] = [1, 2, 7];
  if (typeof value === "number") return message(5, text(1, name), integer(3, value), integer(20, intKind));
  if ("float" in value) return message(5, text(1, name), float(2, value.float), integer(20, floatKind));
  return message(5, text(1, name), integers(8, value), integer(20, intsKind));
}

function initializer(name: string, type: number, shape: readonly number[], raw: Uint8Array): Message {
  return message(5, integers(1, shape), integer(2, type), text(8, name), bytes(9, raw));
}

function valueInfo(name: string, shape: readonly (number | string)[]): Message {
  const dimensions = shape.map((size) => message(1, typeof size === "number" ? integer(1, size) : text(2, size)));
  const tensorType = message(1, integer(1, floatType), message(2, ...dimensions));
  return [...text(1, name), ...message(2, tensorType)];
}
