/** Gradients of what has parameters (a layer, a whole network with its losses), on the GPU against the reference. */
import { type Measurement, relativeErrorWithout } from "../../autograd/gradcheck/check.ts";
import { Tape, type Tensor } from "../../autograd/index.ts";
import {
  type DirectionalDifferences,
  directionalError,
  type NdArray,
  ndarray,
  relativeError,
  Trace,
} from "../../autograd/reference/index.ts";
import type { Device } from "../../kernels/device.ts";
import { Random } from "../../random.ts";
import type { Parameters } from "../parameters.ts";
import type { TensorData } from "../safetensors.ts";
import { type Context, fromFile } from "./reference.ts";

export interface SubjectInput {
  readonly values: NdArray;
  /** Default "f32". */
  readonly dtype?: "f32" | "i32";
  /** Whether the gradient with respect to it is checked. Default false. */
  readonly differentiate?: boolean;
}

/** What is checked: how it is recorded on a tape, and the same in float64. */
export interface Subject {
  readonly parameters: Parameters;
  readonly inputs: Readonly<Record<string, SubjectInput>>;
  /** Values of the parameters and running statistics, in the files' names and layouts. */
  readonly values: ReadonlyMap<string, TensorData>;
  /** Whether batch norm takes the batch's statistics. */
  readonly training: boolean;
  /**
   * How many channels a parameter of a single number multiplies, by its name. Its gradient is the sum of theirs, which
   * may cancel to nearly nothing; so its error is relative to their norm where that is larger than the sum.
   */
  readonly channels?: ReadonlyMap<string, number>;
  record(inputs: Record<string, Tensor>): Tensor;
  /** The context's tensors are the parameters by name in files, and the inputs by their own names. */
  reference(context: Context): NdArray;
}

export interface SubjectOptions {
  readonly seed: number;
  /** Relative errors above it fail; of outputs, a tenth of it. */
  readonly tolerance: number;
  /** Random directions for each tensor that has more elements than that; null: every element. */
  readonly directions: number | null;
  /** Central differences are taken so far (in ‖·‖₂) ahead and behind. Default 1e-6. */
  readonly step?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The gradient with respect to y of what is differentiated, Σ dy · y; 1 for a loss. */
const outputGradient = (y: NdArray, seed: number): NdArray => {
  if (y.data.length === 1) return ndarray(y.shape, [1]);
  const random = new Random(seed, "dy");
  return ndarray(
    y.shape,
    Float32Array.from(y.data, () => random.normal()),
  );
};

/**
 * Holds y and every gradient against float64, tensor by tensor in the order of the parameters.
 * @throws GpuError if it does not fit the adapter; Error if nearly every direction crosses a kink.
 */
export async function checkSubject(device: Device, subject: Subject, options: SubjectOptions): Promise<Measurement[]> {
  const tensors = referenceTensors(subject);
  const { training } = subject;
  const trace = new Trace((operations) => subject.reference({ operations, tensors, training }));
  const dy = outputGradient(trace.y, options.seed);
  const { y, gradients } = await gradientsOnGpu(device, subject, dy);
  const measurements: Measurement[] = [
    {
      tensor: "y",
      method: "values",
      count: y.length,
      kinks: 0,
      error: relativeError(y, trace.y.data),
      tolerance: options.tolerance / 10,
    },
  ];
  for (const [name, gradient] of gradients) {
    measurements.push(checkTensor(name, gradient, { tensors, trace, dy, channels: subject.channels }, options));
    options.onProgress?.(measurements.length - 1, gradients.size);
  }
  return measurements;
}

function referenceTensors({ parameters, inputs, values }: Subject): Map<string, NdArray> {
  const tensors = inReferenceLayout(parameters, values);
  for (const [name, input] of Object.entries(inputs)) tensors.set(name, input.values);
  return tensors;
}

/** Tensors in the files' layouts in the reference's. */
export function inReferenceLayout(
  { slices }: Parameters,
  tensors: ReadonlyMap<string, TensorData>,
): Map<string, NdArray> {
  const layouts = new Map(slices.map(({ name, fileLayout }) => [name, fileLayout]));
  return new Map(Array.from(tensors, ([name, data]) => [name, fromFile(data, layouts.get(name)!)]));
}

/** One run of the tape; gradients in the reference's layout, by name. */
async function gradientsOnGpu(
  device: Device,
  { parameters, inputs, values, training, record }: Subject,
  dyValues: NdArray,
): Promise<{ y: Float32Array; gradients: Map<string, NdArray> }> {
  const tape = new Tape(device, { training });
  const recorded = Object.fromEntries(
    Object.entries(inputs).map(([name, { values, dtype = "f32", differentiate = false }]) => [
      name,
      tape.input(name, values.shape, { dtype, needsGrad: differentiate }),
    ]),
  );
  const y = record(recorded);
  const dy = tape.input("dy", y.shape);
  tape.backward(y, dy);
  const differentiated = Object.keys(inputs).filter((name) => inputs[name]!.differentiate);
  const inputGradients = differentiated.map((name) => {
    const gradient = tape.gradient(recorded[name]!);
    if (!gradient) throw new Error(`y does not depend on ${name}`);
    return [name, gradient] as const;
  });
  await parameters.allocate(device, { training: true });
  try {
    parameters.write(values);
    const program = await tape.compile([y, ...inputGradients.map(([, gradient]) => gradient)]);
    try {
      for (const [name, tensor] of Object.entries(recorded)) program.write(tensor, inputs[name]!.values.data);
      program.write(dy, dyValues.data);
      program.run();
      const gradients = new Map<string, NdArray>();
      for (const [name, gradient] of inputGradients)
        gradients.set(name, ndarray(gradient.shape, await program.read(gradient)));
      const ofParameters = inReferenceLayout(parameters, await parameters.read("gradients"));
      for (const [name, gradient] of ofParameters) gradients.set(name, gradient);
      return { y: await program.read(y), gradients };
    } finally {
      program.destroy();
    }
  } finally {
    parameters.destroy();
  }
}

interface Reference {
  readonly tensors: Map<string, NdArray>;
  readonly trace: Trace;
  readonly dy: NdArray;
  readonly channels: Subject["channels"];
}

function checkTensor(name: string, gradient: NdArray, reference: Reference, options: SubjectOptions): Measurement {
  const x = reference.tensors.get(name)!;
  const { directions, seed, tolerance, step = 1e-6 } = options;
  const size = x.data.length;
  const random = new Random(seed, "directions", name);
  if (directions !== null && size > directions) {
    const drawn = drawDirections(name, x, reference, directions, random, step);
    const error = directionalError(gradient.data, drawn);
    return { tensor: name, method: "directions", count: directions, kinks: drawn.redrawn, error, tolerance };
  }
  const along = Array.from({ length: size }, (_, element) => {
    const direction = new Float64Array(size);
    direction[element] = 1;
    return difference(name, x, reference, direction, step);
  });
  const slopes = Float64Array.from(along, ({ slope }) => slope);
  const left = along.flatMap(({ crosses }, i) => (crosses ? [i] : []));
  let error = relativeErrorWithout(left, gradient.data, slopes);
  const channels = reference.channels?.get(name);
  if (channels !== undefined && channels > 1 && size === 1 && left.length === 0) {
    const byChannel = ndarray([channels], new Float64Array(channels).fill(x.data[0]!));
    const drawn = drawDirections(name, byChannel, reference, directions ?? channels, random, step);
    const norm = Math.sqrt(drawn.slopes.reduce((sum, slope) => sum + slope ** 2, 0) / drawn.slopes.length);
    if (norm > Math.abs(slopes[0]!)) error = Math.abs(gradient.data[0]! - slopes[0]!) / norm;
  }
  return { tensor: name, method: "elements", count: size - left.length, kinks: left.length, error, tolerance };
}

/** The slope of Σ dy · y at x along a direction, and whether a kink lies within a step. */
function difference(
  name: string,
  x: NdArray,
  { tensors, trace, dy }: Reference,
  direction: Float64Array,
  step: number,
): { slope: number; crosses: boolean } {
  const before = tensors.get(name)!;
  const at = (distance: number) => {
    const moved = x.data.map((value, i) => value + distance * direction[i]!);
    tensors.set(name, ndarray(x.shape, moved));
    const { y, switched } = trace.again();
    return { value: y.data.reduce((sum, value, i) => sum + value * dy.data[i]!, 0), switched };
  };
  const [above, below] = [at(step), at(-step)];
  tensors.set(name, before);
  return { slope: (above.value - below.value) / (2 * step), crosses: above.switched || below.switched };
}

/** Slopes along random signs; directions that cross a kink are drawn anew. @throws Error if nearly all do. */
function drawDirections(
  name: string,
  x: NdArray,
  reference: Reference,
  count: number,
  random: Random,
  step: number,
): DirectionalDifferences {
  const size = x.data.length;
  const directions: Float64Array[] = [];
  const slopes: number[] = [];
  let redrawn = 0;
  while (directions.length < count) {
    const direction = Float64Array.from({ length: size }, () => (random.float() < 0.5 ? -1 : 1));
    const { slope, crosses } = difference(name, x, reference, direction, step / Math.sqrt(size));
    if (crosses) {
      if (++redrawn > 10 * count)
        throw new Error(`${name}: ${redrawn} directions cross a kink within ${step}; a smaller network has fewer`);
      continue;
    }
    directions.push(direction);
    slopes.push(slope);
  }
  return { directions, slopes: Float64Array.from(slopes), redrawn };
}
