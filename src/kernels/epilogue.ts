/**
 * What a product can do to its values on their way to memory, so that an elementwise operation that follows costs no
 * pass of its own. Any kernel that stores an output once can take an epilogue.
 */
import type { ElementType, ParamType } from "./kernel.ts";

/** The WGSL of an epilogue: y[i] = f(value), four channels (a vec4f) at a time. */
export interface Epilogue {
  /** Appended to the kernel's name. */
  readonly name: string;
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly params: Readonly<Record<string, ParamType>>;
  /** The inputs that are shaped like y; the others hold something for each stream and channel. */
  readonly alongOutput: readonly string[];
  /**
   * Declares what four channels need, once before any of their values: `channel` is their index among a stream's
   * `channels4`, `stream` counts all streams. Both are expressions.
   */
  readonly channel: (stream: string, channel: string, channels4: string) => string;
  /** Stores in `y[i]` (a "vec4") what becomes of `value`, an expression; names that it declares are gone after it. */
  readonly store: (y: string, i: string, value: string) => string;
}

/** Stores values as they are. */
export const noEpilogue: Epilogue = {
  name: "",
  inputs: {},
  params: {},
  alongOutput: [],
  channel: () => "",
  store: (y, i, value) => `${y}[${i}] = as_${y}(${value});`,
};

/** An epilogue with what it reads, on handles of type T. */
export interface EpilogueCall<T> {
  readonly epilogue: Epilogue;
  /** What the values were stored in if there were no epilogue, and what they are stored in now. */
  readonly x: T;
  readonly y: T;
  readonly bindings: Readonly<Record<string, T>>;
  readonly params: Readonly<Record<string, number>>;
}

/** How the bindings of an epilogue are sliced by stream: see Dispatch.streams. */
export function epilogueStreams({ inputs, alongOutput }: Epilogue): { bindings: string[]; parameters: string[] } {
  const parameters = Object.keys(inputs).filter((name) => !alongOutput.includes(name));
  return { bindings: [...alongOutput], parameters };
}
