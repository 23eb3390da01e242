import { gpuStepTarget } from "../targets.ts";

/** The work that ours and the peers all do. */
export interface Task {
  readonly name: string;
  /** A pass in evaluation mode, or forward, backward and SGD with momentum. */
  readonly kind: "forward" | "step";
  readonly network: "resnet50" | "aenet";
  readonly batch: number;
  /** Side of the images. */
  readonly size: number;
  /** Ours as `--precision` says, PyTorch's f16 as automatic mixed precision. Default f32. */
  readonly precision?: "f32" | "f16";
  /** Too much for a processor, ours on it too: only where the adapter is a GPU, against engines on that card. */
  readonly needsGpu?: boolean;
}

export const tasks: readonly Task[] = [
  { name: "ResNet50 forward, 4×64×64", kind: "forward", network: "resnet50", batch: 4, size: 64 },
  { name: "ResNet50 forward, 1×224×224", kind: "forward", network: "resnet50", batch: 1, size: 224 },
  { name: "ResNet50 training step, 4×64×64", kind: "step", network: "resnet50", batch: 4, size: 64 },
  { name: "AENet training step, 4×64×64", kind: "step", network: "aenet", batch: 4, size: 64 },
  { name: "AENet training step, 2×224×224", kind: "step", network: "aenet", batch: 2, size: 224 },
  ...(["f32", "f16"] as const).flatMap((precision) => [
    gpuStep(`ResNet50 training step, 64×224×224, ${precision}`, "resnet50", precision),
    gpuStep(`AENet training step, 64×224×224, ${precision}`, "aenet", precision),
  ]),
];

function gpuStep(name: string, network: Task["network"], precision: "f32" | "f16"): Task {
  return { name, kind: "step", network, batch: 64, size: 224, precision, needsGpu: true };
}

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
  /** `adapter` is the kind of ours. */
  readonly runs: (task: Task, adapter: string) => boolean;
  /** Where the target stands: our time over theirs at most. */
  readonly target?: (task: Task) => number | undefined;
}

const small = ({ needsGpu }: Task) => !needsGpu;
const resnet = (task: Task) => small(task) && task.network === "resnet50";
const onCuda = (precision: "f32" | "f16") => (task: Task, adapter: string) =>
  adapter === "gpu" && (task.precision ?? "f32") === precision;
const cudaTarget = ({ network, precision, needsGpu }: Task) =>
  needsGpu && network === "aenet" ? gpuStepTarget[precision ?? "f32"] : undefined;
const forward = (task: Task) => resnet(task) && task.kind === "forward";
const atLeast = (at64: number, at224: number, step?: number) => (task: Task) =>
  task.kind === "step" ? step && 1 / step : 1 / (task.size === 64 ? at64 : at224);

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
    runs: small,
    target: ({ network }) => (network === "aenet" ? 2 : undefined),
  },
  {
    name: "PyTorch",
    variant: "a thread a processor, channels last, frozen in evaluation",
    program: "python",
    file: "pytorch.py",
    arguments: ["best"],
    runs: small,
    target: ({ network }) => (network === "aenet" ? 2 : undefined),
  },
  {
    name: "PyTorch CUDA",
    variant: "eager f32, no TF32",
    program: "python",
    file: "pytorch.py",
    arguments: ["cuda"],
    runs: onCuda("f32"),
    target: cudaTarget,
  },
  {
    name: "PyTorch CUDA",
    variant: "automatic mixed precision in f16, channels last",
    program: "python",
    file: "pytorch.py",
    arguments: ["cuda-amp"],
    runs: onCuda("f16"),
    target: cudaTarget,
  },
];
