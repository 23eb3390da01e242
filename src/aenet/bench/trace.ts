/** A profile as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open: Chrome's trace event format. Pure. */
import type { ProfiledDispatch } from "../../kernels/profiler.ts";

interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly displayTimeUnit: "ns";
  readonly otherData: Readonly<Record<string, string>>;
  readonly traceEvents: readonly TraceEvent[];
}

const [operations, kernels] = [1, 2];

/** Two rows: operations, and the kernels in them. @throws Error where the dispatches have no times. */
export function toTrace(
  title: string,
  dispatches: readonly ProfiledDispatch[],
  otherData: Readonly<Record<string, string>> = {},
): Trace {
  const name = (tid: number, of: string, name: string): TraceEvent => ({
    name: of,
    ph: "M",
    pid: 1,
    tid,
    args: { name },
  });
  const events: TraceEvent[] = [
    name(0, "process_name", title),
    name(operations!, "thread_name", "operations"),
    name(kernels!, "thread_name", "kernels"),
  ];
  const span = (tid: number, cat: string, name: string, begin: number, end: number, args: TraceEvent["args"] = {}) => {
    events.push({ name, cat, ph: "X", pid: 1, tid, ts: begin / 1000, dur: (end - begin) / 1000, args });
  };
  for (let i = 0; i < dispatches.length; ) {
    const { operation } = dispatches[i]!;
    const first = i;
    while (i < dispatches.length && dispatches[i]!.operation === operation) i++;
    span(operations!, "operation", operation, timeOf(dispatches[first]!).begin, timeOf(dispatches[i - 1]!).end);
  }
  for (const dispatch of dispatches) {
    const { begin, end } = timeOf(dispatch);
    const { operation, operations, bytes, strategy } = dispatch;
    const seconds = (end - begin) / 1e9;
    const rates = { gflop_per_s: operations / seconds / 1e9, gb_per_s: bytes / seconds / 1e9 };
    span(kernels!, "kernel", dispatch.kernel, begin, end, { operation, operations, bytes, strategy, ...rates });
  }
  return { displayTimeUnit: "ns", otherData, traceEvents: events };
}

function timeOf({ time }: ProfiledDispatch): { begin: number; end: number } {
  if (!time) throw new Error("a trace needs timestamps, which the adapter does not have");
  return time;
}
