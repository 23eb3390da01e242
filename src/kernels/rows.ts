/**
 * The work of kernels that treat a tensor [streams, rows, channels] row by row: an invocation owns four channels (one
 * vec4f) of every `blocks`-th row, so that it finds its channel with one division, keeps the channel's constants in
 * registers, and neighbours read neighbouring memory.
 */
import { divideUp } from "./kernel.ts";

/** Sizes of a tensor [streams, rows, channels]; `channels4` counts vec4f. */
export interface RowShape {
  readonly streams: number;
  readonly rows: number;
  readonly channels4: number;
}

/** `streamSize` is in vec4f, `threads` counts the invocations for a stream. */
export const rowParams = {
  rows: "u32",
  channels4: "u32",
  streams: "u32",
  streamSize: "u32",
  blocks: "u32",
  threads: "u32",
  groupsPerStream: "u32",
} as const;

export interface RowPlan {
  readonly blocks: number;
  readonly params: Record<keyof typeof rowParams, number>;
  readonly groupsPerStream: number;
}

/** Shares the rows out in `blocks` interleaved blocks. */
export function planRows({ streams, rows, channels4 }: RowShape, blocks: number): RowPlan {
  const threads = blocks * channels4;
  const groupsPerStream = divideUp(threads, 64);
  const streamSize = rows * channels4;
  return {
    blocks,
    groupsPerStream,
    params: { rows, channels4, streams, streamSize, blocks, threads, groupsPerStream },
  };
}

/** Rows of an invocation in kernels that write as much as they read. */
export const rowsPerLane = 4;

/** The plan of a kernel that maps rows to rows. */
export const planMap = (shape: RowShape): RowPlan => planRows(shape, divideUp(shape.rows, rowsPerLane));

/** The plan of a kernel that sums over rows: enough blocks for a GPU, few enough to merge them one after another. */
export const planSum = (shape: RowShape): RowPlan =>
  planRows(shape, Math.min(256, divideUp(shape.rows, shape.rows > 4096 ? 64 : 16)));

/** Declares `thread` (and `stream`, unless one invocation serves all streams) and runs `body` where there is work. */
export function forThread(body: string, { allStreams = false }: { allStreams?: boolean } = {}): string {
  return `
fn run(group: u32, lane: u32) {
  ${allStreams ? "" : "let stream = group / params.groupsPerStream;"}
  let thread = group % params.groupsPerStream * 64u + lane;
  if (thread < params.threads) {
    let channel = thread % params.channels4;
${body}
  }
}`;
}
