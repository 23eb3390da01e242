/** Weights from whatever format holds them: safetensors, or a file of torch.save. */
import { isPth, parsePth } from "./pth/pth.ts";
import { parseSafetensors } from "./safetensors.ts";
import type { TensorFile } from "./tensor-file.ts";

/**
 * Parses a whole file, whose first bytes tell its format.
 *
 * @throws SafetensorsError or PthError naming the fault.
 */
export function parseWeights(bytes: Uint8Array): TensorFile {
  return isPth(bytes) ? parsePth(bytes) : parseSafetensors(bytes);
}
