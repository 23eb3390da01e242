import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate, setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { TrainConfig } from "../../src/aenet/training/config.ts";
import { train } from "../../src/aenet/training/train.ts";
import { parseSafetensors } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";
import { differingOutcomes, fileOf, temporaryFolder, timelessMetrics, tinyConfig, writeDataSet } from "./runs.ts";
import { settings } from "./settings.ts";

const program = fileURLToPath(new URL("child.ts", import.meta.url));

/** A process that trains, and what it has said so far. */
class Child {
  readonly process: ChildProcess;
  readonly lines: { from?: number; step?: number; end?: number }[] = [];
  readonly ended: Promise<unknown>;

  constructor(path: string, config?: TrainConfig) {
    const parameters = config ? [path, JSON.stringify(config)] : [path];
    this.process = spawn(process.execPath, ["--import", "tsx", program, ...parameters], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    createInterface({ input: this.process.stdout! }).on("line", (line) => this.lines.push(JSON.parse(line)));
    this.ended = once(this.process, "close");
  }

  get steps(): number {
    return this.lines.filter(({ step }) => step !== undefined).length;
  }

  /** Returns when `condition` holds. @throws Error if the process ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.process.exitCode !== null) throw new Error(`the process ended with ${this.process.exitCode}`);
      await setImmediate();
    }
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

it("a run killed at ten moments and resumed each time ends with the bytes of one never stopped", async () => {
  const folder = temporaryFolder();
  const data = await writeDataSet(folder, { train: 19, val: 3 });
  const config = tinyConfig(data, { epochs: 100, maxSteps: 60, checkpointEvery: 2 });
  const whole = join(folder, "whole");
  await train(config, { path: whole, overwrite: false }, settings());

  const path = join(folder, "killed");
  const checkpoints = join(path, "checkpoints");
  /** When a file was begun; one that a killed process left has another time than the one being written now. */
  const begun = (name: string) => statSync(join(checkpoints, name), { throwIfNoEntry: false })?.mtimeMs;
  const [weights, state] = ["last.safetensors.next", "last.state.safetensors.next"] as const;
  const resumedFrom: number[] = [];
  const cutOff: string[] = [];
  for (let round = 0; round < 10; round++) {
    const random = new Random(round, "kill");
    const left = { weights: begun(weights), state: begun(state) };
    const isWriting = [
      () => (begun(weights) ?? left.weights) !== left.weights,
      () => (begun(state) ?? left.state) !== left.state,
      () => (begun(state) ?? left.state) !== left.state && begun(weights) === undefined, // between the two renames
    ][(round >> 1) % 3]!;
    const child = new Child(path, round === 0 ? config : undefined);
    const steps = round === 0 ? 1 : 3 + random.integer(6);
    await child.until(() => child.steps >= steps);
    // Every second time while a checkpoint is being written.
    const atCheckpoint = round % 2 === 1;
    if (atCheckpoint) await child.until(isWriting);
    else await setTimeout(random.uniform(0, 40));
    await child.kill();
    resumedFrom.push(child.lines.find(({ from }) => from !== undefined)?.from ?? 0);
    const leftovers = readdirSync(checkpoints).filter((name) => /\.(next|tmp)$/.test(name));
    if (leftovers.length > 0) cutOff.push(leftovers.join(" and "));
  }
  const last = new Child(path);
  await last.ended;
  resumedFrom.push(last.lines.find(({ from }) => from !== undefined)?.from ?? 0);

  expect(last.lines.at(-1)).toEqual({ end: 60 });
  expect(parseSafetensors(fileOf(path, "last.safetensors")).metadata.step).toBe("60");
  expect(differingOutcomes(path, whole)).toEqual([]);
  expect(timelessMetrics(path)).toEqual(timelessMetrics(whole));
  // It went on from its checkpoints instead of starting over, and kills did fall into their writing.
  expect(resumedFrom).toEqual([...resumedFrom].sort((a, b) => a - b));
  expect(new Set(resumedFrom).size).toBeGreaterThan(6);
  expect(cutOff.length).toBeGreaterThan(2);
});
