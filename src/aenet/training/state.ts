/**
 * `last.state.safetensors`: what a run needs beside its weights to go on as if it had never stopped.
 *
 * Tensors are the momentum, each under `momentum.` and its weight's name, so that the file can never be taken for a
 * checkpoint. Everything else is metadata: numbers are JSON, which gives every finite float64 back exactly.
 */
import type { SafetensorsFile, TensorData } from "../../nn/safetensors.ts";
import type { Best, ScheduleState } from "./schedule.ts";

export interface TrainingState {
  /** Updates made so far. */
  readonly step: number;
  readonly epoch: number;
  /** Samples of the epoch's permutation that are used up. */
  readonly position: number;
  readonly schedule: ScheduleState;
  /** Dynamic loss scale; 1 where none is used. */
  readonly lossScale: number;
  /** Whatever else is counted or summed (skipped images, steps since the scale last changed, sums of the epoch). */
  readonly counters: Readonly<Record<string, number>>;
  readonly configSha256: string;
  readonly dataSha256: string;
  /** Momentum by the weights' names, in the checkpoint's layout. */
  readonly momentum: ReadonlyMap<string, TensorData>;
}

/** How a state belongs to its folder: the weights it goes with, and the records that were written before it. */
export interface StateLink {
  /** SHA-256 of the weights file's bytes, hexadecimal. */
  readonly weightsSha256: string;
  /** Lines of metrics.jsonl that belong to this state; later ones are cut off on resume. */
  readonly metricsLines: number;
}

const version = "1";
const prefix = "momentum.";

/** The tensors and metadata of the file. */
export function stateFile(
  state: TrainingState,
  link: StateLink,
): { tensors: Map<string, TensorData>; metadata: Record<string, string> } {
  return {
    tensors: new Map([...state.momentum].map(([name, tensor]) => [prefix + name, tensor])),
    metadata: {
      state_version: version,
      weights_sha256: link.weightsSha256,
      config_sha256: state.configSha256,
      data_sha256: state.dataSha256,
      metrics_lines: String(link.metricsLines),
      step: String(state.step),
      epoch: String(state.epoch),
      position: String(state.position),
      loss_scale: exactJson("loss scale", state.lossScale),
      schedule: exactJson("schedule", state.schedule),
      counters: exactJson("counters", state.counters),
    },
  };
}

/**
 * Reads what {@link stateFile} made.
 *
 * @throws Error naming the file and what in it is missing or malformed.
 */
export function parseState(path: string, { metadata, tensors }: SafetensorsFile): TrainingState & StateLink {
  const fail = (what: string): never => {
    throw new Error(`${path}: ${what}`);
  };
  const text = (key: string) => metadata[key] ?? fail(`has no ${key}; it is not the state of a run`);
  const count = (key: string) =>
    /^\d{1,15}$/.test(text(key)) ? Number(text(key)) : fail(`${key} ${text(key)} is not a whole number`);
  const sha256 = (key: string) =>
    /^[0-9a-f]{64}$/.test(text(key)) ? text(key) : fail(`${key} ${text(key)} is not 64 hexadecimal digits`);
  const json = (key: string): unknown => {
    try {
      return JSON.parse(text(key));
    } catch {
      return fail(`${key} is not JSON`);
    }
  };
  if (text("state_version") !== version)
    fail(`is of version ${text("state_version")}, but this program reads version ${version}`);
  const foreign = [...tensors.keys()].find((name) => !name.startsWith(prefix));
  if (foreign !== undefined) fail(`tensor ${foreign} is no momentum`);
  const lossScale = json("loss_scale");
  const schedule = json("schedule");
  const counters = json("counters");
  if (!isNumber(lossScale) || lossScale <= 0) return fail(`loss_scale ${text("loss_scale")} is not a positive number`);
  if (!isSchedule(schedule)) return fail(`schedule ${text("schedule")} is not a schedule's state`);
  if (!isNumbers(counters)) return fail(`counters ${text("counters")} are not numbers by name`);
  return {
    step: count("step"),
    epoch: count("epoch"),
    position: count("position"),
    schedule,
    lossScale,
    counters,
    configSha256: sha256("config_sha256"),
    dataSha256: sha256("data_sha256"),
    weightsSha256: sha256("weights_sha256"),
    metricsLines: count("metrics_lines"),
    momentum: new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor])),
  };
}

/** JSON that parses back to the same numbers, or an error: JSON.stringify would turn NaN and Infinity into null. */
function exactJson(what: string, value: unknown): string {
  return JSON.stringify(value, (key, member: unknown) => {
    if (typeof member === "number" && !Number.isFinite(member))
      throw new Error(`training state: ${what} ${key} is ${member}, which cannot be resumed from`);
    return member;
  });
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is Record<string, number> {
  return isRecord(value) && Object.values(value).every(isNumber);
}

function isBest(value: unknown): value is Best | null {
  return value === null || (isRecord(value) && [value.epoch, value.step, value.value].every(isNumber));
}

function isSchedule(value: unknown): value is ScheduleState {
  return (
    isRecord(value) &&
    [value.lr, value.fusionLr, value.badEvaluations, value.evaluationsSinceBest].every(isNumber) &&
    (value.plateauLoss === null || isNumber(value.plateauLoss)) &&
    [value.best, value.bestAes, value.bestEmo].every(isBest)
  );
}
