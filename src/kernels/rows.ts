/**
 * The work of kernels that treat a tensor [streams, rows, channels] row by row: an invocation owns four channels (one
 * vec4f) of some rows, so that it finds its channel with one division and keeps the channel's constants in registers.
 * Neighbours own neighbouring channels, and an invocation's rows follow each other. There are enough of them to pay for what
 * it does before the first: a software driver finds its own place in some thousand instructions, with two dozen divisions.
 */
import { divideUp } from "./kernel.ts";

/** Sizes of a tensor [streams, rows, channels]; `channels4` counts vec4f. */
export interface RowShape {
  readonly streams: number;
  readonly rows: number;
  readonly channels4: number;
  /** Workgroups that keep the adapter busy. Where they are exceeded, invocations of a map have more rows. */
  readonly busy?: number;
}

/** `streamSize` is in vec4f, `threads` counts the invocations for a stream, each of which has `perThread` rows or what is left. */
export const rowParams = {
  rows: "u32",
  channels4: "u32",
  streams: "u32",
  streamSize: "u32",
  perThread: "u32",
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

function planRows({ streams, rows, channels4 }: RowShape, perThread: number): RowPlan {
  const blocks = divideUp(rows, perThread);
  const threads = blocks * channels4;
  const groupsPerStream = divideUp(threads, 64);
  const streamSize = rows * channels4;
  const params = { rows, channels4, streams, streamSize, perThread, blocks, threads, groupsPerStream };
  return { blocks, groupsPerStream, params };
}

/**
 * Rows of an invocation that maps them: the most that leave half of what keeps the adapter busy, as no workgroup takes longer
 * than another, or the last. Measured on lavapipe.
 */
const mappedRows = [64, 32, 16];

/** The plan of a kernel that maps rows to rows. */
export function planMap(shape: RowShape): RowPlan {
  const { streams, busy = Number.POSITIVE_INFINITY } = shape;
  const plans = mappedRows.map((rows) => planRows(shape, rows));
  return plans.find(({ groupsPerStream }) => 2 * streams * groupsPerStream >= busy) ?? plans.at(-1)!;
}

/** Rows that an invocation sums over, unless there are very many. */
export const summedRows = 16;

/**
 * The plan of a kernel that sums over rows: at most 256 blocks, as one invocation merges a channel's. (For a large GPU they
 * may be too few: see docs/performance.md.)
 */
export const planSum = (shape: RowShape): RowPlan =>
  planRows(shape, Math.max(shape.rows > 4096 ? 4 * summedRows : summedRows, divideUp(shape.rows, 256)));

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
    let firstRow = block * params.perThread;
    let first = streamBase + firstRow * params.channels4 + channel;
${body}
  }
}`;
}

/** Declares `count`, the rows of an invocation. */
export const countRows = "let count = min(params.perThread, params.rows - firstRow);";

/**
 * Runs `code` for each `row` of an invocation; `i` is its index. In a loop: copies of `code` are slower on lavapipe, and take
 * long to compile.
 */
export function loopRows(code: string): string {
  return `
    ${countRows}
    var i = first;
    for (var row = firstRow; row < firstRow + count; row++) {
      ${code}
      i += params.channels4;
    }`;
}
