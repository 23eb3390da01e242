import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { acquireLock } from "../../src/aenet/process-lock.ts";
import { commitPair, loadPair } from "../../src/aenet/training/checkpoint-pair.ts";
import { formatRecord, MetricsLog, type StepRecord } from "../../src/aenet/training/metrics-log.ts";
import { RunFolder } from "../../src/aenet/training/run-folder.ts";
import { parseState, stateFile } from "../../src/aenet/training/state.ts";
import { parseSafetensors, safetensorsParts, serializeSafetensors } from "../../src/nn/safetensors.ts";
import { Random } from "../../src/random.ts";
import { checkpointAt, stateAt } from "./run-states.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aenet-run-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const record = (step: number): StepRecord => ({
  type: "step",
  step,
  epoch: 0,
  loss: 0.1 + 0.2,
  loss_aes: null,
  loss_emo: 1e-300,
  lr: 1e-4,
  images_per_s: 12.5,
});

describe("training state", () => {
  const link = { weightsSha256: "e".repeat(64), metricsLines: 7 };

  it("survives its file exactly", () => {
    const { tensors, metadata } = stateFile(stateAt(11), link);
    const file = parseSafetensors(serializeSafetensors(tensors, metadata));
    const { momentum, ...rest } = parseState("f", file);
    const { momentum: expected, ...others } = stateAt(11);
    expect(rest).toEqual({ ...others, ...link });
    expect([...momentum].map(([name, { data }]) => [name, [...data]])).toEqual(
      [...expected].map(([name, { data }]) => [name, [...data]]),
    );
  });

  it.each([
    ["state_version", "2", "f: is of version 2"],
    ["step", "-1", "f: step -1"],
    ["position", "", "f: position"],
    ["weights_sha256", "abc", "f: weights_sha256 abc"],
    ["loss_scale", "0", "f: loss_scale 0"],
    ["schedule", "{}", "f: schedule {}"],
    ["schedule", "{", "f: schedule is not JSON"],
    ["counters", '{"a":"b"}', "f: counters"],
  ])("refuses %s = %s", (key, value, message) => {
    const { tensors, metadata } = stateFile(stateAt(1), link);
    const file = parseSafetensors(serializeSafetensors(tensors, { ...metadata, [key]: value }));
    expect(() => parseState("f", file)).toThrow(message);
  });

  it("is no checkpoint, and a checkpoint is no state", () => {
    const checkpoint = parseSafetensors(serializeSafetensors(checkpointAt(1).tensors));
    expect(() => parseState("f", checkpoint)).toThrow("f: has no state_version");
    expect(() => stateFile({ ...stateAt(1), lossScale: Number.NaN }, link)).toThrow("cannot be resumed from");
    expect(() => stateFile({ ...stateAt(1), counters: { sum: 1 / 0 } }, link)).toThrow("counters sum is Infinity");
  });
});

describe("checkpoint pair", () => {
  const names = { weights: "last.safetensors", state: "last.state.safetensors" };
  const commit = (step: number, bests = checkpointAt(step).bests) =>
    commitPair(
      folder,
      safetensorsParts(checkpointAt(step).tensors, { step: String(step) }),
      (weightsSha256) => {
        const { tensors, metadata } = stateFile(stateAt(step), { weightsSha256, metricsLines: step });
        return safetensorsParts(tensors, metadata);
      },
      bests,
    );
  const bytesOf = (name: string) => readFileSync(join(folder, name));
  const put = (name: string, bytes: Uint8Array) => {
    rmSync(join(folder, name), { force: true });
    writeFileSync(join(folder, name), bytes);
  };

  it("holds the last commit, and leaves nothing else behind", async () => {
    expect(await loadPair(folder)).toBeNull();
    for (const step of [1, 2, 3]) await commit(step);
    const pair = await loadPair(folder);
    expect(pair!.weights.metadata).toEqual({ step: "3" });
    expect(pair!.state.step).toBe(3);
    expect(readdirSync(folder).sort()).toEqual(["best.safetensors", "last.safetensors", "last.state.safetensors"]);
    expect(bytesOf("best.safetensors")).toEqual(bytesOf("last.safetensors"));
  });

  it("never changes a best by writing the next checkpoint, not even after a cut-off commit", async () => {
    await commit(3);
    const best = bytesOf("best.safetensors");
    renameSync(join(folder, names.weights), join(folder, `${names.weights}.next`)); // as if killed before the rename
    await commit(4);
    expect(bytesOf("best.safetensors")).toEqual(best);
    expect((await loadPair(folder))!.state.step).toBe(4);
  });

  it("loads from what a kill at each point of a commit leaves", async () => {
    await commit(1);
    const former = [bytesOf(names.weights), bytesOf(names.state)] as const;
    await commit(2);
    const newer = [bytesOf(names.weights), bytesOf(names.state)] as const;
    // weights, state, weights.next, state.next; and the step that has to be found
    const points: [Uint8Array, Uint8Array | null, Uint8Array | null, Uint8Array | null, number][] = [
      [former[0], former[1], new Uint8Array(0), null, 1],
      [former[0], former[1], newer[0].subarray(0, 100), null, 1],
      [former[0], former[1], newer[0], newer[1].subarray(0, 50), 1],
      [former[0], former[1], newer[0], newer[1], 1],
      [newer[0], former[1], null, newer[1], 2],
      [newer[0], null, null, newer[1], 2], // the very first commit
      [newer[0], newer[1], null, null, 2],
    ];
    for (const [weights, state, nextWeights, nextState, step] of points) {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      put(names.weights, weights);
      if (state) put(names.state, state);
      if (nextWeights) put(`${names.weights}.next`, nextWeights);
      if (nextState) put(`${names.state}.next`, nextState);
      for (let again = 0; again < 2; again++) {
        const pair = await loadPair(folder);
        expect([pair!.state.step, pair!.weights.metadata.step]).toEqual([step, String(step)]);
        expect(readdirSync(folder).sort()).toEqual([names.weights, names.state]);
      }
    }
  });

  it("refuses weights without a state of theirs, naming the files", async () => {
    await commit(1);
    const former = bytesOf(names.state);
    await commit(2);
    put(names.state, former);
    await expect(loadPair(folder)).rejects.toThrow(/last\.state\.safetensors is of other weights/);
    put(names.state, former.subarray(0, 20));
    await expect(loadPair(folder)).rejects.toThrow(/last\.state\.safetensors: safetensors: header beyond the file/);
    rmSync(join(folder, names.state));
    await expect(loadPair(folder)).rejects.toThrow("last.state.safetensors is gone");
    put(names.state, former);
    rmSync(join(folder, names.weights));
    await expect(loadPair(folder)).rejects.toThrow("its weights, last.safetensors, are gone");
    put(names.weights, former);
    await commit(3);
    for (const name of Object.values(names)) rmSync(join(folder, name));
    await expect(loadPair(folder)).rejects.toThrow("holds best.safetensors, but last.safetensors and");
    put(`${names.weights}.next`, former); // as a first commit leaves it
    expect(await loadPair(folder)).toBeNull();
  });

  it("keeps the former pair when a commit fails half-way", async () => {
    await commit(1);
    await expect(
      commitPair(folder, [new Uint8Array(8)], () => {
        throw new Error("no state");
      }),
    ).rejects.toThrow("no state");
    expect((await loadPair(folder))!.state.step).toBe(1);
  });
});

describe("metrics log", () => {
  it("prints numbers that parse back exactly, keys in the contract's order", () => {
    const line = formatRecord({ ...record(1), loss: Math.fround(0.1) });
    expect(line).toBe(
      '{"type":"step","step":1,"epoch":0,"loss":0.10000000149011612,"loss_aes":null,"loss_emo":1e-300,"lr":0.0001,"images_per_s":12.5}\n',
    );
    const epoch = { majority_emo: 0.25, majority_aes: 0.5, acc_emo: 1 / 3, acc_aes: null, loss: Number.NaN } as const;
    expect(formatRecord({ ...epoch, split: "val", epoch: 2, type: "epoch" })).toBe(
      '{"type":"epoch","epoch":2,"split":"val","loss":null,"acc_aes":null,"acc_emo":0.3333333333333333,"majority_aes":0.5,"majority_emo":0.25}\n',
    );
  });

  it("drops a torn last line, is cut back, and goes on behind it", () => {
    const path = join(folder, "metrics.jsonl");
    writeFileSync(path, `${formatRecord(record(1))}${formatRecord(record(2))}{"type":"st`);
    const log = new MetricsLog(path);
    expect(log.lines).toBe(2);
    log.append(record(3), record(4));
    log.cutBack(9);
    expect(log.lines).toBe(4);
    log.cutBack(1);
    log.append(record(2));
    log.close();
    expect(readFileSync(path, "utf8")).toBe(formatRecord(record(1)) + formatRecord(record(2)));
    const again = new MetricsLog(path);
    again.cutBack(0);
    again.close();
    expect(statSync(path).size).toBe(0);
  });
});

describe("run lock", () => {
  const path = () => join(folder, ".lock");
  const holder = (value: object) => writeFileSync(path(), `${JSON.stringify(value)}\n`);

  it("is held by one, and given up", () => {
    const release = acquireLock(path());
    expect(() => acquireLock(path())).toThrow(`process ${process.pid} is writing to this run folder`);
    release();
    expect(readdirSync(folder)).toEqual([]);
    acquireLock(path())();
  });

  it("is taken over from the dead, from a reused pid, and where it says nothing", async () => {
    const dead = spawn(process.execPath, ["-e", ""]);
    await once(dead, "exit");
    holder({ pid: dead.pid, host: hostname(), start: null });
    acquireLock(path())();
    if (process.platform === "linux") {
      holder({ pid: process.pid, host: hostname(), start: "1" });
      acquireLock(path())();
    }
    for (const text of ["", "{", "null", '{"pid":"1"}']) {
      writeFileSync(path(), text);
      acquireLock(path())();
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is left to a holder on another machine", () => {
    holder({ pid: 1, host: `not-${hostname()}`, start: null });
    expect(() => acquireLock(path())).toThrow("if it is not, delete this file");
  });
});

describe("run folder", () => {
  it("has the contract's layout", async () => {
    const run = await RunFolder.create(join(folder, "run"), { overwrite: false });
    await run.writeConfig({ lr: 1e-4, kernels: { gemm: "8x8" } });
    await run.writeEnvironment({ node: process.version });
    for (const split of ["train", "val", "test"] as const) await run.writeSplit(split, "path\n");
    run.log(record(1));
    await run.saveCheckpoint({ ...checkpointAt(1), bests: ["best", "best-aes", "best-emo"] });
    run.log(record(2));
    expect(await run.readConfig()).toEqual({ lr: 1e-4, kernels: { gemm: "8x8" } });
    run.close();
    expect(readdirSync(join(folder, "run"), { recursive: true }).sort()).toEqual(
      [
        "checkpoints",
        ...["best-aes", "best-emo", "best", "last", "last.state"].map((name) => `checkpoints/${name}.safetensors`),
        "config.json",
        "env.json",
        "metrics.jsonl",
        "splits",
        ...["test", "train", "val"].map((name) => `splits/${name}.csv`),
      ].sort(),
    );
    const resumed = await RunFolder.open(join(folder, "run"));
    expect((await resumed.loadCheckpoint())!.state.step).toBe(1);
    resumed.close();
    expect(readFileSync(join(folder, "run", "metrics.jsonl"), "utf8")).toBe(formatRecord(record(1)));
  });

  it("starts over when it was stopped before its first checkpoint", async () => {
    const run = await RunFolder.create(folder, { overwrite: false });
    await run.writeConfig({});
    run.log(record(1));
    run.close();
    const resumed = await RunFolder.open(folder);
    expect(await resumed.loadCheckpoint()).toBeNull();
    resumed.close();
    expect(statSync(join(folder, "metrics.jsonl")).size).toBe(0);
  });

  it("is not replaced without --overwrite, and with it loses only what is ours", async () => {
    const run = await RunFolder.create(folder, { overwrite: false });
    await run.writeConfig({});
    await run.saveCheckpoint(checkpointAt(3));
    await expect(RunFolder.create(folder, { overwrite: true })).rejects.toThrow("is writing to this run folder");
    await expect(RunFolder.open(folder)).rejects.toThrow("is writing to this run folder");
    run.close();
    await expect(RunFolder.create(folder, { overwrite: false })).rejects.toThrow("--overwrite replaces it");
    for (const name of ["notes.txt", "checkpoints/mine.safetensors", "splits/mine.csv"])
      writeFileSync(join(folder, name), "mine");
    (await RunFolder.create(folder, { overwrite: true })).close();
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual([
      "checkpoints",
      "checkpoints/mine.safetensors",
      "metrics.jsonl",
      "notes.txt",
      "splits",
      "splits/mine.csv",
    ]);
    expect(statSync(join(folder, "metrics.jsonl")).size).toBe(0);
  });

  it("is not made where other files are, with or without --overwrite", async () => {
    writeFileSync(join(folder, "thesis.tex"), "");
    writeFileSync(join(folder, "config.json"), "{}");
    for (const overwrite of [false, true])
      await expect(RunFolder.create(folder, { overwrite })).rejects.toThrow("holds thesis.tex and is not a run folder");
    await expect(RunFolder.create(join(folder, "thesis.tex"), { overwrite: true })).rejects.toThrow("is a file");
    await expect(RunFolder.open(join(folder, "nowhere"))).rejects.toThrow("it has no config.json");
    expect(readdirSync(folder).sort()).toEqual(["config.json", "thesis.tex"]);
  });

  it("is made where a run was killed before it had written its settings", async () => {
    mkdirSync(join(folder, "checkpoints"));
    writeFileSync(join(folder, "env.json"), "{}");
    (await RunFolder.create(folder, { overwrite: false })).close();
    writeFileSync(join(folder, "checkpoints", "last.safetensors"), "");
    await expect(RunFolder.create(folder, { overwrite: false })).rejects.toThrow("--overwrite replaces it");
  });

  it("writes one checkpoint at a time", async () => {
    const run = await RunFolder.create(folder, { overwrite: false });
    const first = run.saveCheckpoint(checkpointAt(1));
    await expect(run.saveCheckpoint(checkpointAt(2))).rejects.toThrow("still being written");
    await first;
    await run.saveCheckpoint(checkpointAt(2));
    run.close();
  });
});

describe("SIGKILL while checkpoints are written", () => {
  it("leaves a pair that matches, at 20 random moments", async () => {
    const size = 100_000;
    const path = join(folder, "run");
    const program = join(folder, "writer.mjs");
    await build({
      entryPoints: [fileURLToPath(new URL("run-writer.ts", import.meta.url))],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "esm",
    });
    const first = await RunFolder.create(path, { overwrite: false });
    await first.writeConfig({});
    first.close();

    let saved = 0;
    const points = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const child = spawn(process.execPath, [program, path, String(size)], { stdio: ["ignore", "pipe", "inherit"] });
      const printed = await killAfter(child, 1 + new Random(round, "kill").float() * 60);
      saved = Math.max(saved, printed);
      points.add(readdirSync(join(path, "checkpoints")).sort().join());

      const run = await RunFolder.open(path); // the dead child's lock is taken over
      const pair = (await run.loadCheckpoint())!;
      run.close();
      const { step } = pair.state;
      expect(step).toBeGreaterThanOrEqual(saved);
      expect(step).toBeLessThanOrEqual(saved + 1);
      expect(pair.weights.metadata.step).toBe(String(step));
      for (const { data } of pair.weights.tensors.values()) expect([data[0], data[size - 1]]).toEqual([step, step]);
      for (const { data } of pair.state.momentum.values()) expect(data[size - 1]).toBe(step + 0.5);
      const lines = readFileSync(join(path, "metrics.jsonl"), "utf8").trimEnd().split("\n");
      expect(lines.map((line) => (JSON.parse(line) as StepRecord).step)).toEqual(Array.from(lines, (_, i) => i + 1));
      expect(lines.length).toBe(step);
      if (step >= 3) {
        const best = parseSafetensors(readFileSync(join(path, "checkpoints", "best.safetensors")));
        expect([3 * Math.floor(step / 3), 3 * Math.floor((step + 1) / 3)]).toContain(Number(best.metadata.step));
      }
      saved = step;
    }
    expect(saved).toBeGreaterThan(20);
    expect(points.size).toBeGreaterThan(1);
  }, 60_000);
});

/** Kills a writer some milliseconds after it first printed; the last step that it printed. */
async function killAfter(child: ChildProcess, milliseconds: number): Promise<number> {
  let output = "";
  child.stdout!.on("data", (chunk: Buffer) => {
    if (output === "") setTimeout(() => child.kill("SIGKILL"), milliseconds);
    output += chunk.toString();
  });
  const [, signal] = (await once(child, "close")) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  return Number(output.trimEnd().split("\n").at(-1));
}
