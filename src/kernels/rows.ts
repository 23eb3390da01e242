/**
 * The work of kernels that treat a tensor [streams, rows, channels] row by row: an invocation owns four channels (one
 * vec4f) of some rows, so that it finds its channel with one division and keeps the channel's constants in registers.
 * Neighbours own neighbouring channels. Maps take rows far apart, so that each of their loads runs through memory in
 * order; sums take rows that follow each other, so that one load does. (On lavapipe either is slower the other way.)
 */
import { divideUp } from "./kernel.ts";

/** Sizes of a tensor [streams, rows, channels]; `channels4` counts vec4f. */
export interface RowShape {
  readonly streams: number;
  readonly rows: number;
  readonly channels4: number;
}

/**
 * `streamSize` is in vec4f, `threads` counts the invocations for a stream; a block's first row lies `blockStep` behind
 * that of the block before it, and its rows `rowStep` apart.
 */
export const rowParams = {
  rows: "u32",
  channels4: "u32",
  streams: "u32",
  streamSize: "u32",
  blockStep: "u32",
  rowStep: "u32",
  blocks: "u32",
  threads: "u32",
  groupsPerStream: "u32",
} as const;

export interface RowPlan {
  /** Groups of rows that an invocation owns four channels of. */
  readonly blocks: number;
  readonly params: Record<keyof typeof rowParams, number>;
  readonly groupsPerStream: number;
}

function planRows(
  { streams, rows, channels4 }: RowShape,
  rowsPerThread: number,
  { interleaved }: { interleaved: boolean },
): RowPlan {
  const blocks = divideUp(rows, rowsPerThread);
  const [blockStep, rowStep] = interleaved ? [1, blocks] : [rowsPerThread, 1];
  const threads = blocks * channels4;
  const groupsPerStream = divideUp(threads, 64);
  const streamSize = rows * channels4;
  return {
    blocks,
    groupsPerStream,
    params: { rows, channels4, streams, streamSize, blockStep, rowStep, blocks, threads, groupsPerStream },
  };
}

/** Rows of an invocation in kernels that write as much as they read. */
const rowsPerLane = 4;

/** The plan of a kernel that maps rows to rows. */
export const planMap = (shape: RowShape): RowPlan => planRows(shape, rowsPerLane, { interleaved: true });

/** The plan of a kernel that sums over rows: enough blocks for a GPU, few enough to merge them one after another. */
export const planSum = (shape: RowShape): RowPlan =>
  planRows(shape, Math.max(shape.rows > 4096 ? 64 : 16, divideUp(shape.rows, 256)), { interleaved: false });

/**
 * Declares `thread`, `block`, `channel`, `firstRow` and `first` (its index), and
 * `stream` unless one invocation serves all streams, whose indices then count within the first; runs `body`.
 */
export function forThread(body: string, { allStreams = false }: { allStreams?: boolean } = {}): string {
  const place = allStreams
    ? `
  let inStream = group;
  let streamBase = 0u;`
    : `
  let stream = divide(group, params.groupsPerStream);
  let inStream = group - stream * params.groupsPerStream;
  let streamBase = stream * params.streamSize;`;
  return `
fn run(group: u32, lane: u32) {${place}
  let thread = inStream * 64u + lane;
  if (thread < params.threads) {
    let block = divide(thread, params.channels4);
    let channel = thread - block * params.channels4;
    let firstRow = block * params.blockStep;
    let first = streamBase + firstRow * params.channels4 + channel;
${body}
  }
}`;
}

/**
 * Runs `code` for each `row` of an invocation under planMap; `i` is its index. In a loop: copies of `code` are no faster on
 * lavapipe, and take long to compile.
 */
export function eachRow(code: string): string {
  return `
    let rowEnd = min(params.rows, firstRow + ${rowsPerLane}u * params.rowStep);
    var i = first;
    for (var row = firstRow; row < rowEnd; row += params.rowStep) {
      ${code}
      i += params.threads;
    }`;
}

/** Declares `count`, the rows of an invocation under planSum. */
export const countRows = "let count = min(params.blockStep, params.rows - firstRow);";

/** Runs `code` for each row of an invocation under planSum, one after another; `i` is its index. */
export function loopRows(code: string): string {
  return `
    ${countRows}
    let end = first + count * params.channels4;
    for (var i = first; i < end; i += params.channels4) {
      ${code}
    }`;
}
