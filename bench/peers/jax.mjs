/** jax-js on WebGPU: ResNet50 from its operations, compiled by jit. Arrays are moved unless `.ref` keeps them. */
import { readFileSync } from "node:fs";
import "./webgpu-shim.mjs";
import { serve, sleeping } from "./protocol.mjs";
import { layers, walk } from "./resnet.mjs";

const {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  lax,
  nn,
  numpy: np,
  random,
  valueAndGrad,
} = await import("@jax-js/jax");
const { version } = JSON.parse(readFileSync(new URL("node_modules/@jax-js/jax/package.json", import.meta.url), "utf8"));

const classes = 8;

await serve(async ({ kind, batch, size }, [mode]) => {
  const best = mode === "best";
  const available = await init("webgpu");
  if (!available.includes("webgpu")) throw new Error("its WebGPU backend does not start");
  defaultDevice("webgpu");
  const normal = (shape, deviation) => random.normal(random.key(shape.length), shape).mul(deviation);
  // One flat list of arrays; a layer knows the places of its own.
  const values = [];
  const hold = (value) => values.push(value) - 1;
  const { stem, blocks, features } = layers();
  const make = (layer) => {
    const { kernel, input, output } = layer;
    const weight = hold(normal([output, input, kernel, kernel], Math.sqrt(2 / (kernel * kernel * input))));
    return { ...layer, weight, gamma: hold(np.ones([1, output, 1, 1])), beta: hold(np.zeros([1, output, 1, 1])) };
  };
  const network = {
    stem: make(stem),
    blocks: blocks.map(({ convolutions, shortcut }) => ({
      convolutions: convolutions.map(make),
      shortcut: shortcut && make(shortcut),
    })),
  };
  const head = hold(normal([features, classes], 0.02));
  const x = normal([batch, 3, size, size], 1);

  const logits = (p, image, norm) => {
    const convolve = (y, layer, relu) => {
      const pad = layer.kernel >> 1;
      const padding = [
        [pad, pad],
        [pad, pad],
      ];
      const z = lax.convGeneralDilated(y.ref, p[layer.weight].ref, [layer.stride, layer.stride], padding);
      const n = norm(z, p[layer.gamma], p[layer.beta]);
      return relu ? nn.relu(n) : n;
    };
    const pool = (y) => {
      const padded = np.pad(y, [
        [0, 0],
        [0, 0],
        [1, 1],
        [1, 1],
      ]); // what a ReLU gave is not below the padding's zeros
      return lax.reduceWindow(padded, (window) => np.max(window), [3, 3], [2, 2]);
    };
    const y = walk(network, image, { convolve, pool, add: (a, b) => nn.relu(np.add(a, b.ref)) });
    return np.matmul(np.mean(y, [2, 3]), p[head].ref);
  };
  const folded = (z, _gamma, beta) => z.add(beta.ref);
  const inference = (z, gamma, beta) => z.mul(gamma.ref).add(beta.ref);
  const training = (z, gamma, beta) => {
    const mean = np.mean(z.ref, [0, 2, 3], { keepdims: true });
    const centred = z.sub(mean);
    const variance = np.mean(np.square(centred.ref), [0, 2, 3], { keepdims: true });
    return centred
      .div(np.sqrt(variance.add(1e-5)))
      .mul(gamma.ref)
      .add(beta.ref);
  };
  const wait = (arrays) => (best ? sleeping(blockUntilReady(arrays)) : blockUntilReady(arrays));
  const refs = (arrays) => arrays.map((array) => array.ref);
  if (kind === "forward") {
    const forward = jit((p, image) => logits(p, image, best ? folded : inference));
    return {
      version: `@jax-js/jax ${version}`,
      async run() {
        const y = forward(refs(values), x.ref);
        await wait([y]);
        y.dispose();
      },
    };
  }
  const labels = nn.oneHot(np.array(Array.from({ length: batch }, (_, i) => i % classes)).astype(np.int32), classes);
  const loss = (p, image, targets) =>
    np.sum(nn.logSoftmax(logits(p, image, training), -1).mul(targets)).mul(-1 / batch);
  const step = jit((p, momenta, image, targets) => {
    const [value, gradients] = valueAndGrad(loss)(refs(p), image, targets);
    const velocities = momenta.map((momentum, i) => momentum.mul(0.9).add(gradients[i]));
    return [value, p.map((array, i) => array.sub(velocities[i].ref.mul(1e-4))), velocities];
  });
  let momenta = values.map((array) => np.zeros(array.shape));
  let parameters = values;
  return {
    version: `@jax-js/jax ${version}`,
    async run() {
      const [value, next, velocities] = step(parameters, momenta, x.ref, labels.ref);
      [parameters, momenta] = [next, velocities];
      await wait([value, ...parameters]);
      value.dispose();
    },
  };
});
