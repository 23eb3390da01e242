/**
 * Every network as an ONNX graph, in evaluation mode. Shapes here are ONNX's: [N, C, H, W].
 *
 * Batch norm stays a node of its own: the weights keep their names and bits, and runtimes fold it by themselves.
 */
import { type Architecture, type ArchName, inStream, streamsOf, type Task } from "../architecture.ts";
import type { Graph, Value } from "./graph.ts";

const eps = 1e-5;

/** The streams' maps, in the order of `streamsOf`, joined after a point. */
type Join = (graph: Graph, point: number, f: readonly Value[]) => readonly Value[];

/** What distinguishes the networks: how the streams are joined, and the streams that a head reads, in this order. */
const plans: Record<ArchName, { join?: Join; heads: Partial<Record<Task, readonly number[]>> }> = {
  aenet: { join: fuse, heads: { aes: [1, 0], emo: [1, 2] } },
  "aenet-fl": { heads: { aes: [1, 0], emo: [1, 2] } },
  csnet: { join: stitch, heads: { aes: [0], emo: [1] } },
  ssnet: { heads: { aes: [0], emo: [0] } },
  "resnet50-aes": { heads: { aes: [0] } },
  "resnet50-emo": { heads: { emo: [0] } },
  "wrn-aes": { heads: { aes: [0] } },
  "wrn-emo": { heads: { emo: [0] } },
};

/**
 * Adds a network to the graph: input `image` [N, 3, S, S], outputs `aes_prob` [N] and `emo_prob` [N, K] as far as it has
 * them.
 */
export function addNetwork(graph: Graph, architecture: Architecture, imageSize: number): void {
  const { arch, depth, fusionPoints, classes } = architecture;
  const { join, heads } = plans[arch];
  const streams = streamsOf(arch);
  const joined = (point: number, f: readonly Value[]) =>
    join && fusionPoints.includes(point) ? join(graph, point, f) : f;

  const image = graph.input("image", ["N", 3, imageSize, imageSize]);
  let f = joined(
    0,
    streams.map((stream) => stem(graph, stream, image)),
  );
  depth.forEach((blocks, i) => {
    f = joined(
      i + 1,
      f.map((x, s) => layer(graph, inStream(streams[s]!, `layer${i + 1}`), x, blocks)),
    );
  });
  const v = f.map((x, s) => {
    const pooled = graph.node("GlobalAveragePool", inStream(streams[s]!, "avgpool"), [x]);
    return graph.node("Flatten", inStream(streams[s]!, "v"), [pooled], { axis: 1 });
  });
  if (heads.aes) {
    const logit = head(
      graph,
      "head.aes",
      heads.aes.map((s) => v[s]!),
    );
    const probability = graph.node("Sigmoid", "head.aes.sigmoid", [logit]);
    graph.node("Squeeze", "aes_prob", [probability, graph.integers("head.aes.axes", [1])]);
    graph.output("aes_prob", ["N"]);
  }
  if (heads.emo) {
    const logits = head(
      graph,
      "head.emo",
      heads.emo.map((s) => v[s]!),
    );
    graph.node("Softmax", "emo_prob", [logits], { axis: 1 });
    graph.output("emo_prob", ["N", classes.length]);
  }
}

function stem(graph: Graph, stream: string, image: Value): Value {
  const name = (part: string) => inStream(stream, part);
  const x = relu(graph, batchNorm(graph, name("bn1"), conv(graph, name("conv1"), image, 2)));
  return graph.node("MaxPool", name("maxpool"), [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
}

/** layer1 keeps the map's size, the others halve it in their first block. */
function layer(graph: Graph, name: string, x: Value, blocks: number): Value {
  for (let block = 0; block < blocks; block++)
    x = bottleneck(graph, `${name}.${block}`, x, block === 0 && !name.endsWith("layer1") ? 2 : 1);
  return x;
}

function bottleneck(graph: Graph, name: string, x: Value, stride: number): Value {
  let y = relu(graph, batchNorm(graph, `${name}.bn1`, conv(graph, `${name}.conv1`, x)));
  y = relu(graph, batchNorm(graph, `${name}.bn2`, conv(graph, `${name}.conv2`, y, stride)));
  y = batchNorm(graph, `${name}.bn3`, conv(graph, `${name}.conv3`, y));
  const residual = graph.has(`${name}.downsample.0.weight`)
    ? batchNorm(graph, `${name}.downsample.1`, conv(graph, `${name}.downsample.0`, x, stride))
    : x;
  return relu(graph, graph.node("Add", `${name}.add`, [y, residual]));
}

/** Without bias, padded so that stride 1 keeps the map's size. */
function conv(graph: Graph, name: string, x: Value, stride = 1): Value {
  const [, , height, width] = graph.tensor(`${name}.weight`).shape as [number, number, number, number];
  const pads = [height, width, height, width].map((size) => (size - 1) / 2);
  const attributes = { kernel_shape: [height, width], strides: [stride, stride], pads };
  return graph.node("Conv", name, [x, graph.weight(`${name}.weight`)], attributes);
}

function batchNorm(graph: Graph, name: string, x: Value): Value {
  const weights = ["weight", "bias", "running_mean", "running_var"].map((part) => graph.weight(`${name}.${part}`));
  return graph.node("BatchNormalization", name, [x, ...weights], { epsilon: { float: eps } });
}

const relu = (graph: Graph, x: Value) => graph.node("Relu", `${x}.relu`, [x]);

function head(graph: Graph, name: string, features: readonly Value[]): Value {
  const x = features.length === 1 ? features[0]! : graph.node("Concat", `${name}.features`, features, { axis: 1 });
  return graph.node("Gemm", name, [x, graph.weight(`${name}.weight`), graph.weight(`${name}.bias`)], { transB: 1 });
}

/** f̃_a = α_p·f_a + α_s·f_s, f_s, f̃_e = β_p·f_e + β_s·f_s (Eq. 2). */
function fuse(graph: Graph, point: number, [a, s, e]: readonly Value[]): readonly Value[] {
  const name = `fusion.${point}`;
  // By channel, [C] stands before height and width.
  const weight = (part: string) => {
    const { shape } = graph.tensor(`${name}.${part}`);
    return graph.weight(`${name}.${part}`, { shape: shape[0] === 1 ? [1] : [...shape, 1, 1] });
  };
  return [
    blend(graph, `${name}.a`, [a!, weight("alpha_p")], [s!, weight("alpha_s")]),
    s!,
    blend(graph, `${name}.e`, [e!, weight("beta_p")], [s!, weight("beta_s")]),
  ];
}

/** [ã; ẽ] = W·[a; e]. */
function stitch(graph: Graph, point: number, [a, e]: readonly Value[]): readonly Value[] {
  const name = `stitch.${point}`;
  const { data } = graph.tensor(`${name}.weight`);
  const weight = (row: number, column: number) =>
    graph.weight(`${name}.weight.${row}.${column}`, {
      shape: [1],
      data: data.slice(2 * row + column, 2 * row + column + 1),
    });
  return ["a", "e"].map((stream, row) => blend(graph, `${name}.${stream}`, [a!, weight(row, 0)], [e!, weight(row, 1)]));
}

/** x·v + y·w. */
function blend(graph: Graph, name: string, [x, v]: [Value, Value], [y, w]: [Value, Value]): Value {
  const products = [graph.node("Mul", `${name}.0`, [x, v]), graph.node("Mul", `${name}.1`, [y, w])];
  return graph.node("Add", name, products);
}
