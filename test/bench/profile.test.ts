import { describe, expect, it } from "vitest";
import { convolutionProduct, convolutionProducts } from "../../src/aenet/bench/convolutions.ts";
import { byKernel, byKind, type ProfileRound, summarize } from "../../src/aenet/bench/profile.ts";
import { toTrace } from "../../src/aenet/bench/trace.ts";
import type { DispatchLabel, ProfiledDispatch } from "../../src/kernels/profiler.ts";

const dispatch = (operation: string, kernel: string, ms: number | null, operations = 0, bytes = 0) => ({
  operation,
  kernel,
  operations,
  bytes,
  strategy: null as string | null,
  time: ms === null ? null : { begin: 1e6, end: 1e6 * (1 + ms) },
});

/** A round on an adapter that computes 1 GFLOP/s and copies 1 GB/s, `pace` times as fast. */
const round = (pace: number, dispatches: ProfiledDispatch[]): ProfileRound => ({
  ceilings: { operationsPerSecond: 1e9 * pace, bytesPerSecond: 1e9 * pace },
  dispatches,
});

describe("a profile's summary", () => {
  it("takes its ratios within each round, so that a machine at half its pace gives the same", () => {
    const step = (slowness: number) => [
      dispatch("a.conv2d", "conv", 4 * slowness, 1e6, 1e3),
      dispatch("b.conv2d", "conv", 4 * slowness, 1e6, 1e3),
      dispatch("b.relu", "relu", 2 * slowness, 0, 1e6),
    ];
    const [conv, relu] = summarize([round(1, step(1)), round(0.5, step(2)), round(0.5, step(2))], byKernel);
    expect(conv).toMatchObject({
      name: "conv",
      dispatches: 2,
      operations: 2e6,
      bytes: 2e3,
      ms: 16,
      bound: "operations",
    });
    expect(conv!.time_share).toBeCloseTo(0.8, 12);
    expect(conv!.peak_share).toBeCloseTo(0.25, 12);
    expect(conv!.ceiling_share).toBeCloseTo(0.25, 12);
    expect(relu).toMatchObject({ name: "relu", peak_share: 0, bound: "bytes" });
    expect(relu!.copy_share).toBeCloseTo(0.5, 12);
  });

  it("has no times where the adapter has no timestamps", () => {
    const [row] = summarize([round(1, [dispatch("relu", "relu", null, 0, 8)])], byKind);
    expect(row).toMatchObject({ ms: null, time_share: null, ceiling_share: null, bytes: 8, dispatches: 1 });
  });

  it("names the strategies of matrix products, and none for what is none", () => {
    const product = (kernel: string, strategy: string | null) => ({ ...dispatch("a.conv2d", kernel, 1), strategy });
    const rounds = [round(1, [product("conv", "subgroup"), product("conv1", "shared"), product("sum", null)])];
    const strategies = (nameOf: (d: DispatchLabel) => string) =>
      Object.fromEntries(summarize(rounds, nameOf).map(({ name, strategy }) => [name, strategy]));
    expect(strategies(byKernel)).toEqual({ conv: "subgroup", conv1: "shared", sum: null });
    expect(strategies(byKind)).toEqual({ conv2d: "shared, subgroup" });
    const { traceEvents } = toTrace("step", rounds[0]!.dispatches);
    expect(traceEvents.find(({ name }) => name === "conv1")!.args).toMatchObject({ strategy: "shared" });
  });

  it("refuses rounds that did not do the same", () => {
    expect(() => summarize([round(1, []), round(1, [dispatch("a", "a", 1)])], byKernel)).toThrow(
      "different dispatches",
    );
  });

  it("knows kinds of operations by the end of their names", () => {
    const names = ["layer1.0.conv2.conv2d backward", "layer1.0.downsample.0.conv2d", "sgd", "a.batchNorm+relu"];
    const kinds = names.map((operation) => byKind(dispatch(operation, "", null)));
    expect(kinds).toEqual(["conv2d backward", "conv2d", "sgd", "batchNorm+relu"]);
  });
});

it("a convolution's helpers count as the product that they help", () => {
  const all: DispatchLabel[] = [
    dispatch("conv1.conv2d", "transform", null),
    dispatch("conv1.conv2d", "conv2d_forward", null),
    dispatch("bn1.batchNorm backward", "sum_partials", null),
    dispatch("conv1.conv2d backward", "conv2d_input_gradient_8x8", null),
    dispatch("conv1.conv2d backward", "sum_rows", null),
    dispatch("conv1.conv2d backward", "conv2d_weight_gradient_8x8", null),
    dispatch("conv1.conv2d backward", "sum_partials", null),
    dispatch("add", "add", null),
  ];
  const [forward, input, weight] = convolutionProducts;
  expect(all.map(convolutionProduct)).toEqual([forward, forward, null, input, input, weight, weight, null]);
});

describe("a trace", () => {
  it("has a span for every kernel, and one for every operation around its kernels", () => {
    const at = (begin: number, end: number) => ({ time: { begin, end } });
    const { traceEvents } = toTrace("step", [
      { ...dispatch("conv1.conv2d", "k1", 0, 2e3), ...at(0, 1000) },
      { ...dispatch("conv1.conv2d", "k2", 0), ...at(1500, 2000) },
      { ...dispatch("bn1.batchNorm", "k3", 0), ...at(2000, 4000) },
    ]);
    const spans = traceEvents.filter(({ ph }) => ph === "X").map(({ name, ts, dur }) => ({ name, ts, dur }));
    expect(spans).toEqual([
      { name: "conv1.conv2d", ts: 0, dur: 2 },
      { name: "bn1.batchNorm", ts: 2, dur: 2 },
      { name: "k1", ts: 0, dur: 1 },
      { name: "k2", ts: 1.5, dur: 0.5 },
      { name: "k3", ts: 2, dur: 2 },
    ]);
    expect(traceEvents.find(({ name }) => name === "k1")!.args).toMatchObject({ operations: 2e3, gflop_per_s: 2 });
  });

  it("is refused where there are no timestamps", () => {
    expect(() => toTrace("step", [dispatch("a", "a", null)])).toThrow("timestamps");
  });
});
