/**
 * The same bytes twice: weights, losses and predictions after 20 steps, on the suite's adapter here and on SwiftShader in
 * a process of its own. (Through files, workers and resumes: evaluation.test.ts, resume.test.ts, kill.test.ts.)
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { sharedTile, tileName } from "../../src/kernels/index.ts";
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";
import { swiftShaderObstacle } from "../../src/node/swiftshader.ts";
import { testDevice } from "../support/device.ts";
import { type Bytes, twentySteps } from "./twenty-steps.ts";

/** Which of the outcomes are other bytes. */
const differing = (a: Bytes, b: Bytes) => (Object.keys(a) as (keyof Bytes)[]).filter((what) => a[what] !== b[what]);

describe("20 steps from a seed", () => {
  it("give the same weights, losses and predictions, byte by byte", async () => {
    const device = await testDevice();
    const first = await twentySteps(device);
    expect(differing(await twentySteps(device), first)).toEqual([]);
    expect(differing(await twentySteps(device, { memory: { reuse: false, poison: true } }), first)).toEqual([]);
    expect(differing(await twentySteps(device, { seed: 1 }), first)).toEqual(["weights", "losses", "predictions"]);
  });

  it("are seen to differ where a single kernel adds in another order", async () => {
    const device = await testDevice();
    const first = await twentySteps(device);
    const compile = device.compile.bind(device);
    let reversed = 0;
    try {
      // The gradient of a head's bias, among others: the sum over the samples, from the last to the first.
      device.compile = (kernel) => {
        if (kernel.name !== "sum_axis") return compile(kernel);
        const wgsl = kernel.wgsl.replace("x[first + d *", "x[first + (params.count - 1u - d) *");
        if (wgsl !== kernel.wgsl) reversed++;
        return compile({ ...kernel, wgsl });
      };
      expect(differing(await twentySteps(device), first)).toEqual(["weights", "losses", "predictions"]);
      expect(reversed).toBeGreaterThan(0);
    } finally {
      device.compile = compile;
    }
    expect(differing(await twentySteps(device), first)).toEqual([]);
  });

  it("are seen to differ where the matrix products take other tiles", async () => {
    const device = await openDevice({ adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto") });
    try {
      const first = await twentySteps(device);
      // An adapter that the table does not know has the shared tiles anyway.
      const isTuned = Object.values(device.tiles.made).some((tile) => tile !== tileName(sharedTile));
      device.tiles.override = () => sharedTile;
      const shared = await twentySteps(device);
      expect(differing(shared, first)).toEqual(isTuned ? ["weights", "losses", "predictions"] : []);
    } finally {
      device.destroy();
    }
  });

  const obstacle = swiftShaderObstacle();
  it.skipIf(obstacle !== null)("give the same bytes on SwiftShader, too", async () => {
    const run = async () => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--import", "tsx", "test/training/twenty-steps-child.ts", "swiftshader"],
        { timeout: 300_000 },
      );
      return JSON.parse(stdout) as Bytes & { adapter: string };
    };
    const [a, b] = [await run(), await run()];
    expect(a.adapter).toBe("swiftshader");
    expect(b).toEqual(a);
  });
});
