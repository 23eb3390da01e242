/** IEEE 754 binary16 (f16): 1 sign, 5 exponent and 10 fraction bits. */

/** A value's relative error in f16 is at most this (half a unit in the last place), from 2⁻¹⁴ to 65504. */
export const halfRounding: number = 2 ** -11;

const float = new Float32Array(1);
const bitsOfFloat = new Uint32Array(float.buffer);

/** The bits of the nearest f16 of a float32, ties to even; an infinity from 65520. */
export function toHalf(value: number): number {
  float[0] = value;
  const bits = bitsOfFloat[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
  const units = Math.abs(float[0]!) * 2 ** 24; // below 2⁻¹⁴ in steps of 2⁻²⁴
  const low = Math.floor(units);
  const rest = units - low;
  return sign | (rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low);
}

/** The value of an f16's bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * (1024 + fraction) * 2 ** (exponent - 25) : sign * fraction * 2 ** -24;
}
