/** TensorFlow.js on WebGPU or WebAssembly: ResNet50 from its operations. Bundled by run.ts before it is run. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import "./webgpu-shim.mjs";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops";
import "@tensorflow/tfjs-backend-webgpu";
import { setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { serve, sleeping } from "./protocol.mjs";
import { build, walk } from "./resnet.mjs";

const classes = 8;

await serve(async ({ kind, batch, size }, [backend, mode]) => {
  const best = mode === "best";
  if (backend === "wasm") {
    // The bundle lies in node_modules/.bundle.
    setWasmPaths(fileURLToPath(new URL("../@tensorflow/tfjs-backend-wasm/wasm-out/", import.meta.url)));
    if (best) setThreadsCount(availableParallelism());
  }
  if (!(await tf.setBackend(backend))) throw new Error(`the backend ${backend} does not start`);
  await tf.ready();
  const x = tf.randomNormal([batch, size, size, 3]);
  const weight = ({ kernel, input, output }) =>
    tf.variable(tf.randomNormal([kernel, kernel, input, output], 0, Math.sqrt(2 / (kernel * kernel * input))));
  const network = build((layer) => ({
    ...layer,
    weight: weight(layer),
    gamma: tf.variable(tf.ones([layer.output])),
    beta: tf.variable(tf.zeros([layer.output])),
    mean: tf.zeros([layer.output]),
    variance: tf.ones([layer.output]),
  }));
  const head = tf.variable(tf.randomNormal([network.features, classes], 0, 0.02));
  const bias = tf.variable(tf.zeros([classes]));

  const logits = (convolve) => {
    const pool = (y) => tf.maxPool(y, 3, 2, 1);
    const y = walk(network, x, { convolve, pool, add: (a, b) => tf.relu(tf.add(a, b)) });
    return tf.add(tf.matMul(tf.mean(y, [1, 2]), head), bias);
  };
  const padding = (layer) => layer.kernel >> 1;
  const norm = (training) => (y, layer, relu) => {
    const z = tf.conv2d(y, layer.weight, layer.stride, padding(layer));
    const { mean, variance } = training ? tf.moments(z, [0, 1, 2]) : layer;
    const n = tf.batchNorm(z, mean, variance, layer.beta, layer.gamma, 1e-5);
    return relu ? tf.relu(n) : n;
  };
  const folded = (y, layer, relu) =>
    tf.fused.conv2d({
      x: y,
      filter: layer.weight,
      strides: layer.stride,
      pad: padding(layer),
      bias: layer.beta,
      ...(relu ? { activation: "relu" } : {}),
    });
  const labels = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: batch }, (_, i) => i % classes),
      "int32",
    ),
    classes,
  );
  const optimizer = tf.train.momentum(1e-4, 0.9);
  const compute =
    kind === "forward"
      ? () => tf.tidy(() => logits(best ? folded : norm(false)))
      : () => optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, logits(norm(true))), true);
  const wait = best && backend === "webgpu" ? sleeping : (promise) => promise;
  return {
    version: `@tensorflow/tfjs-core ${tf.version_core}`,
    async run() {
      const y = compute();
      await wait(y.data());
      y.dispose();
    },
  };
});
