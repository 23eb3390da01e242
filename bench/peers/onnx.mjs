/** ResNet50 with its batch norms folded, as the bytes of an ONNX model: the few messages of its protocol that this needs. */
import { build, walk } from "./resnet.mjs";

const varint = (value) => {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
};
const integer = (field, value) => Buffer.concat([varint(8 * field), varint(value)]);
/** A message, a string or bytes: all are a length and that many bytes. */
const block = (field, ...parts) => {
  const content = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
  return Buffer.concat([varint(8 * field + 2), varint(content.length), content]);
};

const tensor = (name, dims, values) =>
  block(5, ...dims.map((dim) => integer(1, dim)), integer(2, 1), block(8, name), block(9, Buffer.from(values.buffer)));
const attribute = (name, values) => block(5, block(1, name), ...values.map((v) => integer(8, v)), integer(20, 7));
const node = (type, inputs, output, attributes = {}) =>
  block(
    1,
    ...inputs.map((input) => block(1, input)),
    block(2, output),
    block(4, type),
    ...Object.entries(attributes).map(([name, values]) => attribute(name, values)),
  );
const valueInfo = (field, name, dims) => {
  const shape = block(2, ...dims.map((dim) => block(1, integer(1, dim))));
  return block(field, block(1, name), block(2, block(1, integer(1, 1), shape)));
};

export function resnet50(batch, size) {
  const nodes = [];
  const tensors = [];
  let count = 0;
  const apply = (type, inputs, attributes) => {
    const output = `t${count++}`;
    nodes.push(node(type, inputs, output, attributes));
    return output;
  };
  const constant = (dims, deviation) => {
    const values = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => (Math.random() - 0.5) * deviation);
    const name = `w${count++}`;
    tensors.push(tensor(name, dims, values));
    return name;
  };
  const network = build(({ kernel, input, output, stride }) => ({
    weight: constant([output, input, kernel, kernel], 3.5 / Math.sqrt(kernel * kernel * input)),
    bias: constant([output], 0.1),
    attributes: { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: Array(4).fill(kernel >> 1) },
  }));
  const y = walk(network, "image", {
    convolve(x, { weight, bias, attributes }, relu) {
      const z = apply("Conv", [x, weight, bias], attributes);
      return relu ? apply("Relu", [z]) : z;
    },
    pool: (x) => apply("MaxPool", [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
    add: (a, b) => apply("Relu", [apply("Add", [a, b])]),
  });
  const features = apply("Flatten", [apply("GlobalAveragePool", [y])]);
  const output = apply("MatMul", [features, constant([network.features, 8], 0.02)]);
  const graph = block(
    7,
    ...nodes,
    block(2, "resnet50"),
    ...tensors,
    valueInfo(11, "image", [batch, 3, size, size]),
    valueInfo(12, output, [batch, 8]),
  );
  return Buffer.concat([integer(1, 8), graph, block(8, block(1, ""), integer(2, 13))]);
}
