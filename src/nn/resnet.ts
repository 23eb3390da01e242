/** ResNet with bottleneck blocks (He et al. 2016; torchvision's V1.5: the stride stands on the 3×3), stacked by stream. */
import { type Fusion, maxPool2d, type Tensor } from "../autograd/index.ts";
import { BatchNorm2d, Conv2d, type Place } from "./layers.ts";

export interface ResNetOptions {
  /** Blocks of layer1 to layer4. ResNet50: 3, 4, 6, 3. */
  readonly depth: readonly number[];
  /** Channels of the stem. */
  readonly baseChannels: number;
  /** Width of the 3×3 convolutions for 64 planes; 64 in ResNet50, 128 in wide_resnet50_2. */
  readonly baseWidth: number;
}

/** Channels of a block's output for each of its planes. */
const expansion = 4;

/** conv1 1×1, conv2 3×3 with the stride, conv3 1×1, and a shortcut, which is projected where the shapes differ. */
export class Bottleneck {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: { conv: Conv2d; bn: BatchNorm2d } | null;

  constructor(place: Place, name: string, inChannels: number, planes: number, baseWidth: number, stride: number) {
    const width = Math.floor((planes * baseWidth) / 64);
    const outChannels = planes * expansion;
    this.conv1 = new Conv2d(place, `${name}.conv1`, { inChannels, outChannels: width, kernelSize: 1 });
    this.bn1 = new BatchNorm2d(place, `${name}.bn1`, width);
    const middle = { inChannels: width, outChannels: width, kernelSize: 3, stride, padding: 1 };
    this.conv2 = new Conv2d(place, `${name}.conv2`, middle);
    this.bn2 = new BatchNorm2d(place, `${name}.bn2`, width);
    this.conv3 = new Conv2d(place, `${name}.conv3`, { inChannels: width, outChannels, kernelSize: 1 });
    this.bn3 = new BatchNorm2d(place, `${name}.bn3`, outChannels);
    this.downsample =
      stride === 1 && inChannels === outChannels
        ? null
        : {
            conv: new Conv2d(place, `${name}.downsample.0`, { inChannels, outChannels, kernelSize: 1, stride }),
            bn: new BatchNorm2d(place, `${name}.downsample.1`, outChannels),
          };
  }

  /** x [G, N, H, W, Cin] → [G, N, H/stride, W/stride, 4·planes], fused if this block ends at a fusion point. */
  forward(x: Tensor, fusion?: Fusion): Tensor {
    let y = this.bn1.forward(this.conv1.forward(x), { relu: true });
    y = this.bn2.forward(this.conv2.forward(y), { relu: true });
    y = this.conv3.forward(y);
    const residual = this.downsample ? this.downsample.bn.forward(this.downsample.conv.forward(x)) : x;
    return this.bn3.forward(y, { residual, relu: true, fusion });
  }
}

export class ResNet {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  /** layer1 to layer4. */
  readonly layers: readonly (readonly Bottleneck[])[];
  /** Channels after layer4. */
  readonly features: number;

  constructor(place: Place, { depth, baseChannels, baseWidth }: ResNetOptions) {
    this.conv1 = new Conv2d(place, "conv1", {
      inChannels: 3,
      outChannels: baseChannels,
      kernelSize: 7,
      stride: 2,
      padding: 3,
    });
    this.bn1 = new BatchNorm2d(place, "bn1", baseChannels);
    let inChannels = baseChannels;
    this.layers = depth.map((blocks, i) => {
      const planes = baseChannels * 2 ** i;
      return Array.from({ length: blocks }, (_, j) => {
        const stride = i > 0 && j === 0 ? 2 : 1;
        const block = new Bottleneck(place, `layer${i + 1}.${j}`, inChannels, planes, baseWidth, stride);
        inChannels = planes * expansion;
        return block;
      });
    });
    this.features = inChannels;
  }

  /** image [1 or G, N, S, S, 3] → [G, N, S/4, S/4, baseChannels], the map after the max pool. */
  stem(image: Tensor, fusion?: Fusion): Tensor {
    const x = this.bn1.forward(this.conv1.forward(image), { relu: true });
    return maxPool2d(x, { kernelSize: 3, stride: 2, padding: 1, fusion });
  }

  /** Layer 1 to 4 on the map before it. */
  layer(number: number, x: Tensor, fusion?: Fusion): Tensor {
    const blocks = this.layers[number - 1]!;
    return blocks.reduce((y, block, i) => block.forward(y, i === blocks.length - 1 ? fusion : undefined), x);
  }
}
