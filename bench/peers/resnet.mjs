/** ResNet50 (V1.5) as a walk over its convolutions, for engines to put their own operations in. */

/** Kernel size, input and output channels, stride of every convolution in order; a block's shortcut is its last. */
export function layers() {
  const stem = { kernel: 7, input: 3, output: 64, stride: 2 };
  const blocks = [];
  let input = 64;
  for (const [planes, count, firstStride] of [
    [64, 3, 1],
    [128, 4, 2],
    [256, 6, 2],
    [512, 3, 2],
  ]) {
    for (let i = 0; i < count; i++) {
      const stride = i === 0 ? firstStride : 1;
      blocks.push({
        convolutions: [
          { kernel: 1, input, output: planes, stride: 1 },
          { kernel: 3, input: planes, output: planes, stride },
          { kernel: 1, input: planes, output: 4 * planes, stride: 1 },
        ],
        shortcut: i === 0 ? { kernel: 1, input, output: 4 * planes, stride } : null,
      });
      input = 4 * planes;
    }
  }
  return { stem, blocks, features: input };
}

/** All layers with what `make` makes of each. */
export function build(make) {
  const { stem, blocks, features } = layers();
  return {
    stem: make(stem),
    blocks: blocks.map(({ convolutions, shortcut }) => ({
      convolutions: convolutions.map(make),
      shortcut: shortcut && make(shortcut),
    })),
    features,
  };
}

/** The output before the head: convolve(x, layer, relu), pool(x), add(a, b) with its ReLU. */
export function walk({ stem, blocks }, x, { convolve, pool, add }) {
  let y = pool(convolve(x, stem, true));
  for (const { convolutions, shortcut } of blocks) {
    const [first, second, third] = convolutions;
    const z = convolve(convolve(convolve(y, first, true), second, true), third, false);
    y = add(z, shortcut ? convolve(y, shortcut, false) : y);
  }
  return y;
}
