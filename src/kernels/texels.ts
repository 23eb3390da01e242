/**
 * Tensors that a kernel reads through a texture, into which they are copied before it runs. lavapipe reads a storage buffer
 * lane by lane and float by float, each index compared with the buffer's size, but from a texture four floats at once: a
 * fourth of the instructions. The copy pays where a tensor is read several times (docs/performance.md).
 *
 * A tensor lies in a texture as in memory, a row behind the other, four floats a texel.
 */
import type { Kernel } from "./kernel.ts";

const format = "rgba32float";

/** Texels in a row, a power of two. Rows up to WebGPU's least limit hold 128 MiB. */
const rowLength = 1024;
const texelBytes = 16;
const rowBytes = rowLength * texelBytes;

/**
 * The kernel with its inputs `names` read through textures; none give the kernel itself.
 * @throws Error for what is no input of open storage: WGSL has to read it by `load_<name>` alone.
 */
export function withTexels<K extends Kernel>(kernel: K, names: readonly string[]): K {
  if (names.length === 0) return kernel;
  const fixed = names.find((name) => kernel.inputs[name] !== "vec4");
  if (fixed !== undefined) throw new Error(`${kernel.name}: ${fixed} cannot be read through a texture`);
  const texels = Object.fromEntries(names.map((name) => [name, "texels"] as const));
  return { ...kernel, name: `${kernel.name}_texels_${names.join("_")}`, inputs: { ...kernel.inputs, ...texels } };
}

/** The kernel with all its inputs in buffers again. */
export function withoutTexels(kernel: Kernel): Kernel {
  const inputs = Object.entries(kernel.inputs).map(
    ([name, type]) => [name, type === "texels" ? "vec4" : type] as const,
  );
  return { ...kernel, inputs: Object.fromEntries(inputs) };
}

/** The declaration of a binding. */
export const declareTexels = (binding: number, name: string): string =>
  `@group(0) @binding(${binding}) var ${name}: texture_storage_2d<${format}, read>;`;

/** WGSL for the four floats at `i`. */
export const loadTexel = (name: string, i: string): string =>
  `textureLoad(${name}, vec2u(${i} & ${rowLength - 1}u, ${i} >> ${Math.log2(rowLength)}u))`;

/** What a bind group layout says of such a binding. */
export const texelLayout: GPUStorageTextureBindingLayout = { access: "read-only", format };

/** Bytes of a texture that holds tensors of up to `bytes`. */
export const wholeTexture = (bytes: number): number => rowBytes * Math.ceil(bytes / rowBytes);

/** The most bytes of such a texture, where an adapter allows so many rows. */
export const mostTexelBytes = ({ maxTextureDimension2D }: { maxTextureDimension2D: number }): number =>
  rowBytes * maxTextureDimension2D;

/** That texture. */
export const texelTexture = (bytes: number): GPUTextureDescriptor => ({
  size: [rowLength, Math.ceil(bytes / rowBytes)],
  format,
  usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
});

export const texelTextureBytes = ({ width, height }: GPUTexture): number => texelBytes * width * height;

/** The arguments of a `copyBufferToTexture`. */
export type TexelCopy = readonly [GPUTexelCopyBufferInfo, GPUTexelCopyTextureInfo, readonly [number, number]];

/**
 * The copies that bring a tensor, whose size is a multiple of 16 bytes, from a buffer into a texture: whole rows, and what is
 * left. Where the buffer goes on, one call takes a whole row for that, too: what comes with it is never read.
 */
export function copiesToTexels(
  { buffer, offset, size }: Required<GPUBufferBinding>,
  texture: GPUTexture,
): readonly TexelCopy[] {
  const rows = Math.floor(size / rowBytes);
  const rest = (size - rows * rowBytes) / texelBytes;
  const from = (row: number) => ({ buffer, offset: offset + row * rowBytes, bytesPerRow: rowBytes });
  const lastRow: TexelCopy = [from(rows), { texture, origin: [0, rows] }, [rest, 1]];
  if (rows === 0) return [lastRow];
  const copyRows = (count: number): TexelCopy => [from(0), { texture }, [rowLength, count]];
  if (rest === 0) return [copyRows(rows)];
  return offset + wholeTexture(size) <= buffer.size ? [copyRows(rows + 1)] : [copyRows(rows), lastRow];
}
