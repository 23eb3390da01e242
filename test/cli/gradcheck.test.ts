import { describe, expect, it } from "vitest";
import { gradcheckCommand } from "../../src/aenet/cli/commands/gradcheck.ts";
import { runProgram } from "../../src/aenet/cli/program.ts";
import * as gradcheck from "../../src/aenet/gradcheck/index.ts";
import type { Device } from "../../src/kernels/device.ts";
import { openDevice } from "../../src/node/index.ts";

/** A device on which one kernel is wrong: a piece of its WGSL is replaced. */
async function sabotaged(device: Device, name: string, piece: string, by: string): Promise<Device> {
  const compile = device.compile.bind(device);
  device.compile = (kernel) => {
    if (kernel.name !== name) return compile(kernel);
    if (!kernel.wgsl.includes(piece)) throw new Error(`${name} has no ${piece}`);
    return compile({ ...kernel, wgsl: kernel.wgsl.replaceAll(piece, by) });
  };
  return device;
}

/** What `aenet gradcheck` prints and ends with, on a sound device or on one with a wrong kernel. */
async function run(args: readonly string[], sabotage?: [name: string, piece: string, by: string]) {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = {
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
    interactive: false,
    columns: 80,
    environment: process.env.AENET_ADAPTER ? { AENET_ADAPTER: process.env.AENET_ADAPTER } : {},
  };
  const command = gradcheckCommand(async () => ({
    ...gradcheck,
    openDevice: async (options) => {
      const device = await openDevice(options);
      return sabotage ? sabotaged(device, ...sabotage) : device;
    },
  }));
  const code = await runProgram(["gradcheck", ...args], terminal, {
    top: [command],
    data: [],
    bench: [],
    experiment: [],
  });
  return { code, out: out.join(""), err: err.join("") };
}

const small = ["--arch", "aenet", "--fusion-points", "0", "--directions", "3", "--batch-size", "8"];

describe("aenet gradcheck", () => {
  it("checks an op, and a layer, against float64", async () => {
    const { code, out } = await run(["fuse", "--json", "--seed", "7"]);
    const report = JSON.parse(out);
    expect(code).toBe(0);
    expect(report).toMatchObject({ seed: 7, tolerance: null, passed: true });
    expect(report.cases.length).toBeGreaterThan(5);
    for (const { measurements } of report.cases) {
      expect(measurements.map(({ tensor }: { tensor: string }) => tensor)).toEqual(["y", "d(x)", "d(fusion)"]);
    }
    const linear = await run(["Linear"]);
    expect([linear.code, linear.out]).toEqual([0, expect.stringContaining("head.weight")]);
  });

  it("checks every tensor of a network, and prints the settings", async () => {
    const { code, out } = await run([...small, "--json"]);
    const report = JSON.parse(out);
    expect(code).toBe(0);
    expect(report).toMatchObject({ arch: "aenet", baseChannels: 4, fusionPoints: [0], directions: 3, batchSize: 8 });
    const [network] = report.cases;
    const tensors = network.measurements.map(({ tensor }: { tensor: string }) => tensor);
    for (const name of ["y", "a.conv1.weight", "e.layer4.0.bn3.bias", "fusion.0.alpha_s", "head.emo.weight"])
      expect(tensors).toContain(name);
    expect(tensors).toHaveLength(1 + 3 * 51 + 4 + 4);
    const { out: text } = await run([...small, "--directions", "1"]);
    const flags = ["--depth 1,1,1,1", "--base-channels 4", "--base-width 64", "--image-size 32", "--lambda 0.25"];
    for (const flag of [...flags, "--seed 0"]) expect(text).toContain(flag);
  });

  it("ends with 1 where a kernel gives a wrong gradient, and says which", async () => {
    const scaled = await run(["relu"], ["relu_backward", "dy[i]", "1.001 * dy[i]"]);
    expect(scaled.code).toBe(1);
    expect(scaled.out).toMatch(
      /^FAILED {2}relu \[2,2,3,4,5\]: d\(x\) has the error 1\.0e-3, the tolerance is 1\.0e-4$/m,
    );
    // The path from the fused streams to f_s, left out: only what lies before it in S is wrong.
    const pathless = [
      "fuse_backward",
      "df[params.streamSize + i] = as_df(g1)",
      "df[params.streamSize + i] = as_df(d1)",
    ] as const;
    expect((await run(["fuse"], [...pathless])).code).toBe(1);
    const network = await run([...small, "--json"], [...pathless]);
    expect(network.code).toBe(1);
    const wrong = JSON.parse(network.out).cases[0].measurements.filter(
      ({ error, tolerance }: { error: number; tolerance: number }) => !(error <= tolerance),
    );
    expect(wrong.map(({ tensor }: { tensor: string }) => tensor)).toEqual([
      "s.conv1.weight",
      "s.bn1.weight",
      "s.bn1.bias",
    ]);
  });

  it("ends with 1 where the tolerance asked for is too small for float32", async () => {
    const { code, out } = await run(["linear", "--tolerance", "1e-12"]);
    expect([code, out]).toEqual([1, expect.stringContaining("FAILED")]);
  });

  it.each([
    [["nonsense"], /nonsense: is no op or layer; there are .*conv2d.*Bottleneck/],
    [["relu", "--arch", "aenet"], /--arch aenet: cannot go with the op relu/],
    [["relu", "--image-size", "8"], /--image-size: is of a network/],
    [["--arch", "aenet", "--fusion-points", "7"], /--fusion-points 7/],
    [["--seed", "x"], /--seed x/],
  ])("ends with 2 for %j", async (args, message) => {
    const { code, err } = await run(args);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });
});
