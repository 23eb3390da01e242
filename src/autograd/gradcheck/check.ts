/** Runs a case of the op table on the GPU and holds all that it gives against the float64 reference. */

import type { Device } from "../../kernels/device.ts";
import { Random } from "../../random.ts";
import { type Program, Tape, Tensor } from "../index.ts";
import {
  centralDifferences,
  directionalDifferences,
  directionalError,
  type NdArray,
  ndarray,
  relativeError,
} from "../reference/index.ts";
import { pad } from "../tensor.ts";
import { drawInputs, isDifferentiated, type OpCase, rounded, type Values } from "./case.ts";

/** The op's output and its gradients, by name: "y", "d(x)". */
export type Results = Map<string, Float32Array>;

interface Run {
  results: Results;
  /** What is wrong apart from the numbers: pads that are not zero, a replay that differs. */
  faults: string[];
}

/** The float64 side of a case. */
interface Expected {
  inputs: Values;
  y: NdArray;
  /** Σ dy · y is what is differentiated. */
  dy: NdArray;
}

/** How one tensor of the GPU's compares with its float64 reference. */
export interface Measurement {
  /** "y", "d(x)", or a parameter's name in files. */
  readonly tensor: string;
  /** "values" of an output; a gradient's "elements", each against its difference; or its slopes along "directions". */
  readonly method: "values" | "elements" | "directions";
  /** How many of them were compared. */
  readonly count: number;
  /** Elements left out, or directions drawn anew, because a kink lies within a step of them. */
  readonly kinks: number;
  /** ‖x − r‖₂ / ‖r‖₂, estimated where only directions are compared; see `directionalError`. */
  readonly error: number;
  readonly tolerance: number;
}

export interface CaseCheck {
  readonly measurements: readonly Measurement[];
  /** What is wrong apart from the numbers: pads that are not zero, memory or a replay that changes bits. */
  readonly faults: readonly string[];
}

export interface CheckOptions {
  /** Of the inputs, of dy and of the directions. Default 0. */
  readonly seed?: number;
  /** Of gradients, instead of the case's own. */
  readonly tolerance?: number | undefined;
}

/** A case forward and backward on the GPU: its numbers, and its bits when memory is not shared and was full of NaN. */
export async function checkCase(device: Device, opCase: OpCase, options: CheckOptions = {}): Promise<CaseCheck> {
  const expected = drawExpected(opCase, options.seed);
  const { results, faults } = await runOnGpu(device, opCase, expected, { reuse: true, poison: false });
  const apart = await runOnGpu(device, opCase, expected, { reuse: false, poison: true });
  faults.push(...apart.faults.map((fault) => `without reuse, poisoned: ${fault}`));
  for (const [name, values] of results) {
    if (!sameBits(values, apart.results.get(name)!)) faults.push(`${name} differs without reuse, poisoned`);
  }
  return { measurements: compare(opCase, expected, results, options), faults };
}

/** Everything that is wrong, in words; nothing if all is well. No element may have been left out. */
export function faultsOf({ measurements, faults }: CaseCheck): string[] {
  return [
    ...faults,
    ...measurements.flatMap(({ tensor, method, kinks }) =>
      method === "elements" && kinks > 0 ? [`${tensor}: ${kinks} differences cross a kink`] : [],
    ),
    ...measurements
      .filter((measurement) => !isWithin(measurement))
      .map(({ tensor, error, tolerance }) => `${tensor}: relative error ${error.toExponential(2)} > ${tolerance}`),
  ];
}

/** Whether a measurement passes: within its tolerance, and of more than it left out. */
export function isWithin({ error, tolerance, count, kinks, method }: Measurement): boolean {
  return error <= tolerance && (method !== "elements" || kinks <= count / 10);
}

/** The reference's output, and dy drawn for it. */
export function drawExpected(opCase: OpCase, seed = 0): Expected {
  const inputs = drawInputs(opCase, seed);
  const y = opCase.reference(inputs, inputs);
  const random = new Random(seed, opCase.name, "dy");
  return {
    inputs,
    y,
    dy: ndarray(
      y.shape,
      Float32Array.from(y.data, () => (opCase.precision === "f16" ? rounded(random.normal()) : random.normal())),
    ),
  };
}

/** The GPU's results beside the reference. */
export function compare(
  opCase: OpCase,
  { inputs, y, dy }: Expected,
  results: Results,
  { seed = 0, tolerance }: CheckOptions = {},
): Measurement[] {
  const { forward = 1e-5, gradient: backward = 1e-4 } = opCase.tolerance ?? {};
  const measurements: Measurement[] = [
    {
      tensor: "y",
      method: "values",
      count: y.data.length,
      kinks: 0,
      error: relativeError(flushed(results.get("y")!), flushed(y.data)),
      tolerance: forward,
    },
  ];
  for (const [name, spec] of Object.entries(opCase.inputs)) {
    const values = results.get(`d(${name})`);
    if (!isDifferentiated(spec) || !values) continue;
    const { step = 1e-6, differentiateAt = (x) => x } = spec;
    const at = { ...inputs, [name]: differentiateAt(inputs[name]) };
    const f = (x: NdArray): number => {
      const output = opCase.reference({ ...at, [name]: x }, at);
      return output.data.reduce((sum, value, i) => sum + value * dy.data[i], 0);
    };
    const x = ndarray(at[name].shape, at[name].data);
    const gradient = flushed(values);
    const common = { tensor: `d(${name})`, tolerance: tolerance ?? backward };
    if (opCase.directions && x.data.length > opCase.directions) {
      const differences = directionalDifferences(f, x, { count: opCase.directions, seed, step: step / 10 });
      const error = directionalError(gradient, differences);
      const { redrawn: kinks } = differences;
      measurements.push({ ...common, method: "directions", count: opCase.directions, kinks, error });
    } else {
      const differences = centralDifferences(f, x, step);
      const error = relativeErrorWithout(differences.kinks, gradient, flushed(differences.gradient));
      const kinks = differences.kinks.length;
      measurements.push({ ...common, method: "elements", count: x.data.length - kinks, kinks, error });
    }
  }
  return measurements;
}

/** The relative error without the elements at some indices. */
export function relativeErrorWithout(
  indices: readonly number[],
  values: Float64Array,
  reference: Float64Array,
): number {
  const left = new Set(indices);
  const [x, r] = [values, reference].map((all) => all.filter((_, i) => !left.has(i)));
  return relativeError(x, r);
}

/** Runs the case twice in one program. */
export async function runOnGpu(
  device: Device,
  opCase: OpCase,
  { inputs, dy: dyValues }: Expected,
  options: { reuse: boolean; poison: boolean },
): Promise<Run> {
  const { training = true, precision = "f32" } = opCase;
  const tape = new Tape(device, { training, precision });
  const tensors = Object.fromEntries(
    Object.entries(opCase.inputs).map(([name, spec]) => {
      const { shape, dtype = "f32", layout } = spec;
      const needsGrad = isDifferentiated(spec);
      return [name, tape.input(name, shape, { dtype, needsGrad, ...(layout && { layout }) })];
    }),
  );
  const y = opCase.record(tensors);
  const shape = String(dyValues.shape);
  if (String(y.shape) !== shape) throw new Error(`y has shape [${y.shape}], expected [${shape}]`);
  const outputs = new Map([["y", y]]);
  const differentiated = Object.keys(tensors).filter((name) => tensors[name].needsGrad);
  const dy = differentiated.length > 0 ? tape.input("dy", y.shape, { dtype: y.dtype }) : null;
  if (dy) tape.backward(y, dy);
  const faults: string[] = [];
  for (const name of differentiated) {
    const gradient = tape.gradient(tensors[name]);
    if (gradient) outputs.set(`d(${name})`, gradient);
    else faults.push(`d(${name}) is missing`);
  }
  const program = await tape.compile([...outputs.values()], options);
  try {
    for (const [name, tensor] of Object.entries(tensors)) program.write(tensor, inputs[name].data);
    if (dy) program.write(dy, dyValues.data);
    program.run();
    const results: Results = new Map();
    for (const [name, tensor] of outputs) {
      results.set(name, await program.read(tensor));
      if (await hasDirtyPads(program, tensor)) faults.push(`${name} has pads that are not zero`);
    }
    program.run();
    for (const [name, tensor] of outputs) {
      if (!sameBits(results.get(name)!, await program.read(tensor))) faults.push(`${name} differs in a second run`);
    }
    return { results, faults };
  } finally {
    program.destroy();
  }
}

/** Whether what lies beside a tensor's logical values in memory has left zero. */
async function hasDirtyPads(program: Program, tensor: Tensor): Promise<boolean> {
  if (tensor.paddedSize === tensor.size) return false;
  const { name, storage, padded, dtype } = tensor;
  const memory = await program.read(new Tensor({ name, storage, shape: padded, layout: "flat", dtype }));
  const isValue = new Uint8Array(tensor.paddedSize);
  pad(new Uint8Array(tensor.size).fill(1), tensor.shape, tensor.layout, isValue);
  return memory.some((value, index) => isValue[index] === 0 && value !== 0);
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  const [aBits, bBits] = [a, b].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length));
  return aBits.length === bBits.length && aBits.every((bits, i) => bits === bBits[i]);
}

/** Values with those that a GPU may take for zero, the subnormal ones of float32, as zeros. */
function flushed(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values, (value) => (Math.abs(value) < 2 ** -126 ? 0 : value));
}
