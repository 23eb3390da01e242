/** Fixtures that test/golden/make.py made with PyTorch, and the comparison of results with them. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { relativeError } from "../../src/autograd/reference/index.ts";
import type { TensorData } from "../../src/nn/index.ts";

/**
 * Which bound holds for a reference: an operation's or a network's output, a gradient (and what gradients made, the
 * weights after some steps), a loss on the way.
 */
type Kind = "output" | "gradient" | "loss";

export interface Reference {
  readonly kind: Kind;
  /** ‖x − r‖₂ / ‖r‖₂ of PyTorch's own float32. */
  readonly float32Error: number;
  readonly shape: readonly number[];
  /** Float64. */
  readonly data: Float64Array;
}

/** A tensor that is given to both sides. */
export interface Given {
  readonly shape: number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

export interface Fixture<Settings> {
  readonly settings: Settings;
  readonly inputs: ReadonlyMap<string, Given>;
  readonly references: ReadonlyMap<string, Reference>;
}

/** What our side has computed, by the references' names. */
export type Results = ReadonlyMap<string, ArrayLike<number>>;

/** The largest relative error that is accepted. */
export function boundOf({ kind, float32Error }: Pick<Reference, "kind" | "float32Error">): number {
  return kind === "output" ? 1e-5 : kind === "loss" ? 1e-4 : Math.max(1e-4, 3 * float32Error);
}

export interface Comparison {
  readonly name: string;
  readonly error: number;
  readonly bound: number;
  readonly reference: Reference;
}

/** Every reference beside its result. @throws Error where the names or the sizes of both are not the same. */
export function compare({ references }: Fixture<unknown>, results: Results): Comparison[] {
  const alone = [...results.keys()].filter((name) => !references.has(name));
  if (alone.length > 0) throw new Error(`no reference for ${alone.join(", ")}`);
  return [...references].map(([name, reference]) => {
    const values = results.get(name);
    if (!values) throw new Error(`${name} was not computed`);
    return { name, error: relativeError(values, reference.data), bound: boundOf(reference), reference };
  });
}

/** Results that are further from their references than is accepted, in words. */
export function disagreements(fixture: Fixture<unknown>, results: Results): string[] {
  return compare(fixture, results)
    .filter(({ error, bound }) => !(error <= bound))
    .map(({ name, error, bound }) => `${name}: relative error ${error.toExponential(2)} > ${bound.toExponential(2)}`);
}

/** Views of a file's bytes, by safetensors' names of their types. */
const views = { F32: Float32Array, F64: Float64Array, I32: Int32Array, U8: Uint8Array } as const;

/**
 * Reads `fixtures/NAME.safetensors`. Not with the project's own reader, which has no float64, and so that a fault in
 * that one does not hide another.
 */
export function readFixture<Settings>(name: string): Fixture<Settings> {
  const file = readFileSync(new URL(`fixtures/${name}.safetensors`, import.meta.url));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header: Record<string, { dtype: keyof typeof views; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(file.toString("utf8", 8, 8 + headerBytes));
  const { __metadata__: metadata, ...tensors } = header;
  const { settings, references: described } = metadata as unknown as Record<"settings" | "references", string>;
  const kinds: Record<string, Pick<Reference, "kind" | "float32Error">> = JSON.parse(described);
  const inputs = new Map<string, Given>();
  const references = new Map<string, Reference>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(tensors)) {
    const [begin, end] = data_offsets.map((offset) => 8 + headerBytes + offset) as [number, number];
    // A copy starts on an aligned address, whatever the lengths before it were.
    const data = new views[dtype](new Uint8Array(file.subarray(begin, end)).buffer);
    if (!kinds[name]) inputs.set(name, { shape, data: data as Given["data"] });
    else references.set(name, { ...kinds[name], shape, data: data as Float64Array });
  }
  return { settings: JSON.parse(settings), inputs, references };
}

/** The inputs that a network's parameters take, by their names in checkpoints. */
export function stateOf({ inputs }: Fixture<unknown>, names: Iterable<string>): Map<string, TensorData> {
  return new Map(
    [...names].flatMap((name): [string, TensorData][] => {
      const given = inputs.get(name);
      return given ? [[name, { shape: given.shape, data: given.data as Float32Array }]] : [];
    }),
  );
}

/** The folder of shared test data, or undefined where there is none. */
export const sharedFolder: string | undefined = [
  process.env.AENET_SHARED,
  fileURLToPath(new URL("../../../shared", import.meta.url)),
].find((folder) => folder && existsSync(`${folder}/weights`));
