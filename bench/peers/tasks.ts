/** The work that ours and the peers all do. */
export interface Task {
  readonly name: string;
  /** A pass in evaluation mode, or forward, backward and SGD with momentum. */
  readonly kind: "forward" | "step";
  readonly network: "resnet50" | "aenet";
  readonly batch: number;
  /** Side of the images. */
  readonly size: number;
}

export const tasks: readonly Task[] = [
  { name: "ResNet50 forward, 4×64×64", kind: "forward", network: "resnet50", batch: 4, size: 64 },
  { name: "ResNet50 forward, 1×224×224", kind: "forward", network: "resnet50", batch: 1, size: 224 },
  { name: "ResNet50 training step, 4×64×64", kind: "step", network: "resnet50", batch: 4, size: 64 },
  { name: "AENet training step, 4×64×64", kind: "step", network: "aenet", batch: 4, size: 64 },
  { name: "AENet training step, 2×224×224", kind: "step", network: "aenet", batch: 2, size: 224 },
];

/** Memory of AENet's step is compared at this size, outside of the timing. */
export const memoryTask: Task = {
  name: "AENet training step, 8×64×64",
  kind: "step",
  network: "aenet",
  batch: 8,
  size: 64,
};

export interface Peer {
  readonly name: string;
  /** How it is run: as its users would, or at its best. */
  readonly variant: string;
  readonly program: "node" | "tfjs" | "python";
  readonly file: string;
  readonly arguments: readonly string[];
  readonly runs: (task: Task) => boolean;
  /** Where the target stands: our time over theirs at most. */
  readonly target?: (task: Task) => number | undefined;
}

const resnet = ({ network }: Task) => network === "resnet50";
const forward = (task: Task) => resnet(task) && task.kind === "forward";
const atLeast = (small: number, large: number, step?: number) => (task: Task) =>
  task.kind === "step" ? step && 1 / step : 1 / (task.size === 64 ? small : large);

export const peers: readonly Peer[] = [
  {
    name: "tfjs-webgpu",
    variant: "as used",
    program: "tfjs",
    file: "tfjs.mjs",
    arguments: ["webgpu", "plain"],
    runs: resnet,
    target: atLeast(12, 6, 20),
  },
  {
    name: "tfjs-webgpu",
    variant: "main thread asleep, batch norm folded in evaluation",
    program: "tfjs",
    file: "tfjs.mjs",
    arguments: ["webgpu", "best"],
    runs: resnet,
    target: atLeast(12, 6, 20),
  },
  {
    name: "tfjs-wasm",
    variant: "as used",
    program: "tfjs",
    file: "tfjs.mjs",
    arguments: ["wasm", "plain"],
    runs: resnet,
  },
  {
    name: "tfjs-wasm",
    variant: "a thread a processor, batch norm folded in evaluation",
    program: "tfjs",
    file: "tfjs.mjs",
    arguments: ["wasm", "best"],
    runs: resnet,
  },
  { name: "jax-js", variant: "jit", program: "node", file: "jax.mjs", arguments: ["plain"], runs: resnet },
  {
    name: "jax-js",
    variant: "jit, main thread asleep, batch norm folded in evaluation",
    program: "node",
    file: "jax.mjs",
    arguments: ["best"],
    runs: resnet,
  },
  {
    name: "onnxruntime WebGPU",
    variant: "batch norm folded",
    program: "node",
    file: "ort.mjs",
    arguments: ["webgpu"],
    runs: forward,
    target: atLeast(9, 6),
  },
  {
    name: "onnxruntime CPU",
    variant: "batch norm folded",
    program: "node",
    file: "ort.mjs",
    arguments: ["cpu"],
    runs: forward,
  },
  {
    name: "onnxruntime CPU",
    variant: "a thread a processor, batch norm folded in evaluation",
    program: "node",
    file: "ort.mjs",
    arguments: ["cpu-threads"],
    runs: forward,
  },
  {
    name: "PyTorch",
    variant: "as used",
    program: "python",
    file: "pytorch.py",
    arguments: ["plain"],
    runs: () => true,
    target: ({ network }) => (network === "aenet" ? 2 : undefined),
  },
  {
    name: "PyTorch",
    variant: "a thread a processor, channels last, frozen in evaluation",
    program: "python",
    file: "pytorch.py",
    arguments: ["best"],
    runs: () => true,
    target: ({ network }) => (network === "aenet" ? 2 : undefined),
  },
];
