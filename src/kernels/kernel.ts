/**
 * A kernel states its bindings and parameters once; the WGSL declarations, the bind group layout and the packing of
 * the parameters all follow from that one description, so host and shader cannot disagree.
 */

import type { EpilogueCall } from "./epilogue.ts";
import type { ObserverCall } from "./observer.ts";
import { declareTexels, loadTexel } from "./texels.ts";

/**
 * Element type of a storage binding, as WGSL's array<…> sees it; or "vec4": four floats as the tensor stores them, vec4f or
 * vec4h. WGSL then reads `vec4f(x[i])` and stores `y[i] = as_y(value)`, and computes in f32 either way. An input that is
 * read by `load_x(i)` alone may be a texture's "texels" as well (texels.ts).
 */
export type ElementType = "vec4" | "vec4f" | "vec4h" | "texels" | "f32" | "u32" | "i32" | "atomic<u32>";
export type ParamType = "u32" | "i32" | "f32";

type Elements = Readonly<Record<string, ElementType>>;

/**
 * The description of a kernel. `wgsl` defines `fn run(group: u32, lane: u32)`: one call for each invocation, `group`
 * counting workgroups along one axis however many there are, `lane` counting invocations in the workgroup.
 */
export interface KernelDescription<
  I extends Elements,
  O extends Elements,
  P extends Readonly<Record<string, ParamType>>,
> {
  readonly name: string;
  /** Bound read-only. */
  readonly inputs: I;
  /** Bound read_write: results, or state that the kernel updates in place. */
  readonly outputs: O;
  readonly params: P;
  /** Invocations in a workgroup. Default 64. */
  readonly workgroupSize?: number;
  /** The kernel uses subgroup operations and expects a workgroup to be one subgroup. */
  readonly subgroups?: boolean;
  /**
   * A workgroup is of several subgroups, each of so many lanes, whose lanes are to follow each other: nothing says that they
   * do so by their index in the workgroup. Needs WGSL's subgroup_id.
   */
  readonly subgroupLanes?: number;
  /** WGSL extensions that the code enables itself, such as f16. */
  readonly extensions?: readonly string[];
  readonly wgsl: string;
}

export interface Kernel<B extends string = string, P extends string = string> {
  readonly name: string;
  readonly inputs: Elements;
  readonly outputs: Elements;
  readonly params: Readonly<Record<string, ParamType>>;
  readonly workgroupSize: number;
  readonly subgroups: boolean;
  readonly subgroupLanes?: number;
  readonly extensions?: readonly string[];
  readonly wgsl: string;
  /** How a matrix product is computed (`gemm/core.ts`), for the profiler; absent in all else. */
  readonly strategy?: string;
  /** Names only for the type checker. */
  readonly $types?: { bindings: B; params: P };
}

export function defineKernel<
  const I extends Elements,
  const O extends Elements,
  const P extends Readonly<Record<string, ParamType>>,
>(description: KernelDescription<I, O, P>): Kernel<(keyof I | keyof O) & string, keyof P & string> {
  return { workgroupSize: 64, subgroups: false, ...description };
}

interface Streams<B extends string = string> {
  readonly count: number;
  readonly bindings: readonly B[];
  readonly parameters?: readonly B[];
}

/** One call of a kernel on handles of type T (GPU buffers, or the symbolic tensors of a recorded step). */
export interface Dispatch<T> {
  readonly kernel: Kernel;
  readonly bindings: Readonly<Record<string, T>>;
  readonly params: Readonly<Record<string, number>>;
  readonly workgroups: number;
  /** Multiplications and additions, for the profiler and for sharing out submits. */
  readonly operations: number;
  /** Bytes read and written, for the profiler, where that is not simply everything that is bound. */
  readonly bytes?: number;
  /**
   * Where the streams can be computed one by one: their number, and the bindings that are sliced. The kernel counts
   * streams from 0 within the slices; `params.firstStream` is what to add for bindings that stay whole. `parameters`
   * may be either, all alike; where there are any, firstStream is for them alone.
   */
  readonly streams?: Streams;
  /** This dispatch as the epilogue of the one that wrote its input, where it maps that elementwise. */
  readonly asEpilogue?: EpilogueCall<T>;
  /** This dispatch with an epilogue in its store, where its kernel can take one. */
  readonly withEpilogue?: (call: EpilogueCall<T>) => Dispatch<T>;
  /** This dispatch as the observer of the one that wrote its input. */
  readonly asObserver?: ObserverCall<T>;
  /** This dispatch with an observer; null where its kernel cannot take that one. */
  readonly withObserver?: (call: ObserverCall<T>) => Dispatch<T> | null;
}

export function dispatch<T, B extends string, P extends string>(
  kernel: Kernel<B, P>,
  bindings: { readonly [K in NoInfer<B>]: T },
  params: { readonly [K in NoInfer<P>]: number },
  workgroups: number,
  more: { operations?: number; bytes?: number; streams?: Streams<NoInfer<B>> } & Pick<
    Dispatch<T>,
    "asEpilogue" | "withEpilogue" | "asObserver" | "withObserver"
  > = {},
): Dispatch<T> {
  const { operations = 0, streams, ...rest } = more;
  const plain = { kernel: kernel as Kernel, bindings, params, workgroups, operations, ...rest };
  return streams && streams.count > 1 ? { ...plain, streams } : plain;
}

export interface Binding {
  readonly name: string;
  readonly type: ElementType;
  readonly access: "read" | "read_write";
}

/** The storage bindings in order; binding 0 is the uniform with the parameters, so these start at 1. */
export function bindingsOf(kernel: Kernel): Binding[] {
  const list = (elements: Elements, access: Binding["access"]) =>
    Object.entries(elements).map(([name, type]) => ({ name, type, access }));
  return [...list(kernel.inputs, "read"), ...list(kernel.outputs, "read_write")];
}

const variants = new WeakMap<Kernel, Map<string, Kernel>>();

/**
 * The kernel with its bindings `halves` stored as f16. The same names give the same object; none give the kernel itself.
 * @throws Error for a binding whose storage the kernel does not leave open.
 */
export function withHalves(kernel: Kernel, halves: readonly string[]): Kernel {
  if (halves.length === 0) return kernel;
  const open = bindingsOf(kernel).flatMap(({ name, type }) => (type === "vec4" ? name : []));
  const fixed = halves.find((name) => !open.includes(name));
  if (fixed !== undefined) throw new Error(`${kernel.name}: ${fixed} cannot be stored as f16`);
  const key = halves.join(" ");
  const known = variants.get(kernel) ?? new Map<string, Kernel>();
  variants.set(kernel, known);
  let variant = known.get(key);
  if (!variant) {
    const stored = (elements: Elements): Elements =>
      Object.fromEntries(
        Object.entries(elements).map(([name, type]) => [name, halves.includes(name) ? "vec4h" : type]),
      );
    const suffix = open.every((name) => halves.includes(name)) ? "" : `_${halves.join("_")}`;
    const { inputs, outputs } = kernel;
    variant = { ...kernel, name: `${kernel.name}_f16${suffix}`, inputs: stored(inputs), outputs: stored(outputs) };
    known.set(key, variant);
  }
  return variant;
}

/** Most bytes that the parameters of a kernel take, and the distance of two dispatches' parameters. */
export const paramsStride = 256;

/**
 * The parameters as the uniform buffer holds them: the workgroup count, the stream that stream 0 of a sliced binding
 * is (streams computed one by one), then the fields in their order.
 */
export function packParams(
  kernel: Kernel,
  params: Readonly<Record<string, number>>,
  workgroups: number,
  firstStream: number,
): ArrayBuffer {
  const names = Object.keys(kernel.params);
  const packed = new ArrayBuffer(paramsStride);
  const view = new DataView(packed);
  view.setUint32(0, workgroups, true);
  view.setUint32(4, firstStream, true);
  names.forEach((name, i) => {
    const value = params[name]!;
    const type = kernel.params[name]!;
    if (type !== "f32" && !Number.isInteger(value)) {
      throw new RangeError(`${kernel.name}: parameter ${name} is ${value}, not an integer`);
    }
    if (type === "u32") view.setUint32(4 * (i + 2), value, true);
    else if (type === "i32") view.setInt32(4 * (i + 2), value, true);
    else view.setFloat32(4 * (i + 2), value, true);
  });
  return packed;
}

/**
 * `divide(a, b)`: a / b for b > 0 and quotients below 2^22. Integer division is dear everywhere (a software driver does
 * it lane by lane, a GPU in some thirty instructions); a quotient in floats is off by a few at most and is put right.
 */
const divide = /* wgsl */ `
fn divide(a: u32, b: u32) -> u32 {
  let inverse = 1.0 / f32(b);
  let near = u32(f32(a) * inverse);
  let left = i32(a - near * b);
  let q = u32(i32(near) + i32(f32(left) * inverse));
  let rest = i32(a - q * b);
  return select(select(q, q + 1u, rest >= i32(b)), q - 1u, rest < 0);
}`;

/** The same by the adapter's own division, to the same bits. */
const integerDivide = /* wgsl */ `
fn divide(a: u32, b: u32) -> u32 {
  return a / b;
}`;

/**
 * From f32 to the nearest f16. WGSL leaves open how an adapter rounds, and one that rounds towards zero would make the
 * largest f16 of whatever is larger: such values become infinities first, so that an overflow is never mistaken for a value.
 */
const toHalf = /* wgsl */ `
fn toHalf(v: vec4f) -> vec4h {
  return vec4h(select(v, v * 0x1p+120f, abs(v) >= vec4f(65520.0)));
}`;

/** Declares `as_<name>` for the stores of a binding whose storage is open. */
function declareStore({ name, type }: Pick<Binding, "name" | "type">): string {
  return type === "vec4h" ? `fn as_${name}(v: vec4f) -> vec4h { return toHalf(v); }` : `alias as_${name} = vec4f;`;
}

/** Declares `load_<name>` for the loads of an input of four floats, however it is bound. */
const declareLoad = ({ name, type }: Pick<Binding, "name" | "type">): string =>
  `fn load_${name}(i: u32) -> vec4f { return ${type === "texels" ? loadTexel(name, "i") : `vec4f(${name}[i])`}; }`;

/** The entry point's parameters that tell invocations apart, and the lane by them. */
function invocationOf({ subgroups, subgroupLanes }: Kernel): [parameters: string, lane: string] {
  if (subgroupLanes) {
    const parameters = "@builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) place: u32";
    return [parameters, `subgroup * ${subgroupLanes}u + place`];
  }
  return [`@builtin(${subgroups ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32`, "lane"];
}

/** The whole WGSL module of a kernel. `integerDivision` where the adapter's own is the faster one. */
export function moduleSource(kernel: Kernel, { integerDivision = false }: { integerDivision?: boolean } = {}): string {
  const fields = Object.entries(kernel.params).map(([name, type]) => `  ${name}: ${type},`);
  const elements = bindingsOf(kernel);
  const bindings = elements.map(({ name, type, access }, i) => {
    if (type === "texels") return declareTexels(i + 1, name);
    const stored = type === "vec4" ? "vec4f" : type;
    return `@group(0) @binding(${i + 1}) var<storage, ${access}> ${name}: array<${stored}>;`;
  });
  const stores = elements.filter(({ type, access }) => access === "read_write" && /^vec4h?$/.test(type));
  const loads = elements.filter(({ name }) => kernel.wgsl.includes(`load_${name}(`));
  const hasHalves = elements.some(({ type }) => type === "vec4h");
  const [invocation, lane] = invocationOf(kernel);
  const extensions = new Set([...(hasHalves ? ["f16"] : []), ...(kernel.extensions ?? [])]);
  const enabled = [...extensions].map((name) => `enable ${name};\n`).join("");
  return `${enabled}${kernel.subgroups ? "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n" : ""}
struct Params {
  workgroups: u32,
  firstStream: u32,
${fields.join("\n")}
}
@group(0) @binding(0) var<uniform> params: Params;
${bindings.join("\n")}
${hasHalves ? toHalf : ""}
${stores.map(declareStore).join("\n")}
${loads.map(declareLoad).join("\n")}
${integerDivision ? integerDivide : divide}
${kernel.wgsl}
@compute @workgroup_size(${kernel.workgroupSize})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) count: vec3u, ${invocation}) {
  // Counts beyond the limit of one axis are folded onto y; the last row may overshoot.
  let group = id.x + id.y * count.x;
  if (group < params.workgroups) {
    run(group, ${lane});
  }
}
`;
}

/** Folds a workgroup count onto two axes within the limit of one. */
export function foldWorkgroups(workgroups: number, limit: number): [number, number] {
  if (workgroups <= limit) return [workgroups, 1];
  const y = Math.ceil(workgroups / limit);
  return [Math.ceil(workgroups / y), y];
}

/** Repeats a piece of WGSL for i = 0 … count − 1: Tint does not unroll loops itself. */
export function unroll(count: number, body: (i: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, i) => body(i)).join(separator);
}

export function divideUp(a: number, b: number): number {
  return Math.ceil(a / b);
}
