/** `aenet gradcheck`: gradients on the adapter at hand against float64 differences on the CPU. */
import { cases } from "../../autograd/gradcheck/cases.ts";
import { checkCase, isWithin, type Measurement } from "../../autograd/gradcheck/check.ts";
import type { Device } from "../../kernels/device.ts";
import { layerCases } from "../../nn/gradcheck/layers.ts";
import { checkSubject } from "../../nn/gradcheck/subject.ts";
import type { Architecture } from "../architecture.ts";
import { createNetwork } from "../model.ts";
import { networkSubject } from "./network.ts";

export interface CheckedCase {
  /** An op's, a layer's or an architecture's name. */
  readonly of: string;
  readonly name: string;
  readonly passed: boolean;
  readonly measurements: readonly Measurement[];
  /** What is wrong apart from the numbers, such as a pad that is not zero. */
  readonly faults: readonly string[];
  /** Why the case has a tolerance of its own. */
  readonly reason?: string;
  /** How often a network's images were drawn anew, because float32 might take another side of a kink with them. */
  readonly imagesRedrawn?: number;
}

export interface CheckSettings {
  readonly seed: number;
  /** Of gradients; null: 1e-4, or what a case says for itself. */
  readonly tolerance: number | null;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What can be checked by name: ops, then layers. */
export const checkNames: readonly string[] = [
  ...new Set([
    // An op without gradients is of no interest here.
    ...cases.filter(({ op }) => op !== "preprocess").map(({ op }) => op),
    ...layerCases.map(({ layer }) => layer),
  ]),
];

const defaultTolerance = 1e-4;

/** The cases of some ops and layers, element by element; large cases along random directions. */
export async function checkCases(
  device: Device,
  names: readonly string[],
  { seed, tolerance, onProgress }: CheckSettings,
): Promise<CheckedCase[]> {
  const ops = cases.filter(({ op }) => names.includes(op));
  const layers = layerCases.filter(({ layer }) => names.includes(layer));
  const checked: CheckedCase[] = [];
  const add = (found: Omit<CheckedCase, "passed">) => {
    checked.push({ ...found, passed: found.faults.length === 0 && found.measurements.every(isWithin) });
    onProgress?.(checked.length, ops.length + layers.length);
  };
  for (const opCase of ops) {
    const { measurements, faults } = await checkCase(device, opCase, { seed, tolerance: tolerance ?? undefined });
    const reason = opCase.tolerance?.reason;
    add({ of: opCase.op, name: opCase.name, measurements, faults, ...(reason !== undefined && { reason }) });
  }
  for (const { layer, name, create } of layers) {
    const options = { seed, tolerance: tolerance ?? defaultTolerance, directions: null };
    add({ of: layer, name, measurements: await checkSubject(device, create(seed), options), faults: [] });
  }
  return checked;
}

export interface NetworkSettings extends CheckSettings {
  readonly batchSize: number;
  readonly imageSize: number;
  readonly lambda: number;
  /** For each tensor. */
  readonly directions: number;
}

/** A whole network in training mode, every parameter tensor along random directions. */
export async function checkNetwork(
  device: Device,
  architecture: Architecture,
  settings: NetworkSettings,
): Promise<CheckedCase> {
  const { seed, tolerance, directions, onProgress } = settings;
  const subject = networkSubject(createNetwork(architecture), settings);
  const options = { seed, tolerance: tolerance ?? defaultTolerance, directions, ...(onProgress && { onProgress }) };
  const measurements = await checkSubject(device, subject, options);
  const { arch } = architecture;
  const name = `${arch}, ${subject.parameters.count} parameters in ${measurements.length - 1} tensors`;
  return {
    of: arch,
    name,
    passed: measurements.every(isWithin),
    measurements,
    faults: [],
    imagesRedrawn: subject.redrawn,
  };
}
