/**
 * Floats looked at by their bits: WGSL lets a compiler assume that NaN and infinity do not occur, and so fold comparisons
 * that would find them. Bits of positive floats order as the floats do, and NaN's lie above infinity's.
 */

/** WGSL for the bits of |x|, of a vec4f. */
export const magnitudeBits = (x: string): string => `(bitcast<vec4u>(${x}) & vec4u(0x7fffffffu))`;

/** The bits of infinity. */
export const infinityBits = "0x7f800000u";
