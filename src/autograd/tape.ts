/**
 * The tape: model code runs once on symbolic tensors, every operation appends its kernel calls, and backward appends
 * those of the gradients in reverse. What comes out is a flat list of dispatches for the planner.
 */
import { type Device, GpuError } from "../kernels/device.ts";
import { accumulate, add, scale } from "../kernels/elementwise.ts";
import type { Dispatch } from "../kernels/kernel.ts";
import type { GradientWatch } from "../kernels/watch.ts";
import { Program } from "./program.ts";
import { type ProgramOptions, type ProgramPlan, planProgram } from "./program-plan.ts";
import { type DType, isFloat, type Layout, Parameter, type Precision, Tensor } from "./tensor.ts";

/** One gradient (or null where there is none to give) for each input of an operation. */
export type Gradients<Inputs extends readonly Tensor[]> = { [I in keyof Inputs]: Tensor | null };

interface Operation {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  readonly backward: ((dOutput: Tensor) => readonly (Tensor | null)[]) | null;
}

/** A dispatch with the operation that it belongs to, which names it in errors and profiles. */
export interface RecordedDispatch extends Dispatch<Tensor> {
  readonly operation: string;
  /** The operation that looks at what this one writes, and what it finds. */
  readonly observed?: { readonly operation: string; readonly finds: readonly Tensor[] };
}

export interface TapeOptions {
  /** Batch norm uses the batch's statistics (and updates the running ones), instead of the running ones. */
  readonly training?: boolean;
  /** Parameter gradients are added to what is there instead of replacing it (micro-batches). */
  readonly accumulateGradients?: boolean;
  /** Of activations and their gradients. Default f32. */
  readonly precision?: Precision;
  /** Kernels that can shall watch the gradients that they store. */
  readonly watch?: GradientWatch<Tensor> | null;
}

export class Tape {
  readonly device: Device;
  readonly training: boolean;
  readonly precision: Precision;
  readonly dispatches: RecordedDispatch[] = [];
  readonly inputs: Tensor[] = [];
  readonly watch: GradientWatch<Tensor> | null;
  /** The gradients of parameters that were watched when they were stored, and not changed since. */
  readonly watched: Set<Tensor> = new Set();
  readonly #accumulateGradients: boolean;
  readonly #operations: Operation[] = [];
  readonly #gradients = new Map<Tensor, Tensor>();
  #scopes: string[] = [];
  #recording = "";

  /** @throws GpuError for f16 on an adapter without it. */
  constructor(device: Device, options: TapeOptions = {}) {
    this.device = device;
    this.training = options.training ?? false;
    this.precision = options.precision ?? "f32";
    this.watch = options.watch ?? null;
    this.#accumulateGradients = options.accumulateGradients ?? false;
    if (this.precision === "f16" && !device.hasHalves) {
      throw new GpuError(`--precision f16: the adapter (${device.platform.description}) has no shader-f16; f32 runs`);
    }
  }

  /** A tensor that the host writes before a run. */
  input(
    name: string,
    shape: readonly number[],
    options: { needsGrad?: boolean; dtype?: DType; layout?: Layout } = {},
  ): Tensor {
    const tensor = new Tensor({ name, shape, tape: this, ...options });
    this.inputs.push(tensor);
    return tensor;
  }

  /** A tensor that a kernel will write; `name` is for errors and profiles. */
  empty(
    name: string,
    shape: readonly number[],
    options: { layout?: Layout; dtype?: DType; needsGrad?: boolean } = {},
  ): Tensor {
    return new Tensor({ name, shape, tape: this, ...options });
  }

  /** A tensor that a kernel will write, of the shape of x and stored as x is: its gradient, above all. */
  emptyLike(name: string, { shape, layout, dtype }: Tensor): Tensor {
    return this.empty(name, shape, { layout, dtype });
  }

  /** The place for the gradient of a parameter, in f32: a parameter's own, if this is the first and only contribution. */
  emptyGradient(x: Tensor): Tensor {
    if (x instanceof Parameter && !this.#gradients.has(x) && !this.#accumulateGradients) return x.grad;
    return this.empty(`d(${x.name})`, x.shape, { layout: x.layout });
  }

  /** Names the operations recorded within, for errors and profiles: "layer1.0.conv1". */
  scope<T>(name: string, record: () => T): T {
    this.#scopes.push(name);
    try {
      return record();
    } finally {
      this.#scopes.pop();
    }
  }

  /** Appends kernel calls. */
  push(...dispatches: Dispatch<Tensor>[]): void {
    for (const dispatch of dispatches) {
      this.dispatches.push({ ...dispatch, operation: this.#recording || dispatch.kernel.name });
    }
  }

  /**
   * Records an operation that has its output from `forward` and the gradients of its inputs from `backward`. The output is
   * stored as the first input is, unless `dtype` says otherwise.
   * @throws RangeError if it has gradients, but an input of integers or of a layout that no kernel of one reads.
   */
  record<const Inputs extends readonly Tensor[]>(
    name: string,
    inputs: Inputs,
    shape: readonly number[],
    forward: (y: Tensor) => void,
    backward: ((dy: Tensor) => Gradients<Inputs>) | null,
    { dtype = inputs[0]?.dtype === "f16" ? "f16" : "f32" }: { dtype?: Precision } = {},
  ): Tensor {
    const label = [...this.#scopes, name].join(".");
    if (backward) checkOperands(label, inputs);
    const y = this.empty(label, shape, { needsGrad: inputs.some((x) => x.needsGrad), dtype });
    this.#within(label, () => forward(y));
    this.#operations.push({ name: label, inputs, output: y, backward });
    return y;
  }

  #within<T>(label: string, run: () => T): T {
    const outer = this.#recording;
    this.#recording = label;
    try {
      return run();
    } finally {
      this.#recording = outer;
    }
  }

  /**
   * Records the gradients of y with respect to everything it depends on, given dy (the same shape as y). Once on a tape: of
   * several outputs, take the gradient of their sum.
   * @throws RangeError if the shapes differ; Error the second time.
   */
  backward(y: Tensor, dy: Tensor): void {
    if (this.#gradients.size > 0) throw new Error(`backward: ${y.name}: this tape has recorded gradients already`);
    if (String(y.shape) !== String(dy.shape)) {
      throw new RangeError(`backward: dy has shape [${dy.shape}] but y has [${y.shape}]`);
    }
    this.#gradients.set(y, dy);
    for (const operation of this.#operations.toReversed()) {
      const dOutput = this.#gradients.get(operation.output);
      if (!dOutput || !operation.output.needsGrad) continue;
      if (!operation.backward) throw new Error(`backward: ${operation.name} has no gradient`);
      const { name, inputs, backward } = operation;
      const gradients = this.#within(`${name} backward`, () => backward(dOutput));
      inputs.forEach((x, i) => {
        const dx = gradients[i];
        if (dx && x.needsGrad) this.#within(`${x.name}.sum of gradients`, () => this.#addGradient(x, dx));
      });
    }
  }

  #addGradient(x: Tensor, dx: Tensor): void {
    const former = this.#gradients.get(x);
    if (x instanceof Parameter) {
      const size = x.paddedSize / 4;
      // Weights have a part for each stream, as convolutions have.
      const streams = x.layout === "weight" ? x.shape[0] : 1;
      if (former || this.#accumulateGradients) {
        this.push(accumulate(size, { x: dx, total: x.grad }, streams));
        this.watched.delete(x.grad);
      } else if (dx !== x.grad) this.push(scale(size, 1, { x: dx, y: x.grad }, streams));
      this.#gradients.set(x, x.grad);
    } else if (former) {
      const sum = this.emptyLike(`d(${x.name})`, x);
      this.push(add(x.paddedSize / 4, 1, { a: former, b: dx, sum }, x.shape[0]));
      this.#gradients.set(x, sum);
    } else {
      this.#gradients.set(x, dx);
    }
  }

  /** The gradient of a tensor after backward, or null if y does not depend on it. */
  gradient(x: Tensor): Tensor | null {
    return this.#gradients.get(x) ?? null;
  }

  /** What `compile` would need, without allocating anything. @throws GpuError if it does not fit the adapter. */
  plan(outputs: readonly Tensor[], options: ProgramOptions = {}): ProgramPlan {
    return planProgram(this.device, this.dispatches, this.inputs, outputs, options);
  }

  /** Plans memory for everything recorded and builds the program; `outputs` stay readable after a run. */
  compile(outputs: readonly Tensor[], options: ProgramOptions = {}): Promise<Program> {
    return Program.build(this.device, this.dispatches, this.inputs, outputs, options);
  }
}

function checkOperands(operation: string, [first, ...others]: readonly Tensor[]): void {
  const isRead = ({ dtype, layout }: Tensor, layouts: readonly Layout[]) => isFloat(dtype) && layouts.includes(layout);
  const wrong = !first || isRead(first, ["channels"]) ? others.find((x) => !isRead(x, ["channels", "weight"])) : first;
  if (!wrong) return;
  const { name, shape, dtype, layout } = wrong;
  throw new RangeError(
    `${operation}: ${name} [${shape}] is ${dtype} in the layout "${layout}"; it has to be floats in "channels"`,
  );
}

/** The tape of the first tensor that has one. @throws Error if none has. */
export function tapeOf(...tensors: (Tensor | undefined)[]): Tape {
  const tape = tensors.find((t) => t?.tape)?.tape;
  if (!tape) throw new Error("an operation needs at least one tensor that was made on a tape");
  return tape;
}
