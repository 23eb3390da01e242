/**
 * The first step of a process: every pipeline compiled, with the driver's disk cache off and on. Some drivers compile
 * at the first dispatch, so what counts is building and the first step together, less a step as it is later.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { alignRight } from "../src/aenet/cli/text.ts";
import type { Benchmark } from "./harness.ts";
import { compileTarget, pipelineTarget } from "./targets.ts";

/** What cold-start-child.ts prints. */
export interface ColdStart {
  readonly pipelines: number;
  readonly build_ms: number;
  readonly first_ms: number;
  readonly later_ms: number;
}

const child = fileURLToPath(new URL("cold-start-child.ts", import.meta.url));

export async function coldStart(adapter: string, environment: Record<string, string>): Promise<ColdStart> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child, adapter], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout) as ColdStart;
}

export const coldStarts: Benchmark = {
  name: "cold-start",
  summary: "AENet's first training step in a new process, every pipeline compiled",
  async run(context) {
    const off = await coldStart(context.adapter, { MESA_SHADER_CACHE_DISABLE: "true" });
    await coldStart(context.adapter, {}); // fills the cache
    const on = await coldStart(context.adapter, {});
    const rows = { "disk cache off": off, "disk cache warm": on };
    const seconds = (ms: number) => (ms / 1000).toFixed(2);
    context.print(
      alignRight([
        ["aenet, 2×64²", "pipelines", "build s", "first step s", "later step s", "compiling s"],
        ...Object.entries(rows).map(([name, { pipelines, build_ms, first_ms, later_ms }]) => [
          name,
          `${pipelines}`,
          ...[build_ms, first_ms, later_ms, build_ms + first_ms - later_ms].map(seconds),
        ]),
      ]),
    );
    context.print(`targets: ≤ ${pipelineTarget} pipelines, ≤ ${compileTarget} s with the disk cache off\n`);
    return rows;
  },
};
