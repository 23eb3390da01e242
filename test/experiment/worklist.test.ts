import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { inShard, parseShard, type Shard } from "../../src/aenet/experiment/shard.ts";
import { type Job, WorkFolder, waitingForOthers, work } from "../../src/aenet/experiment/worklist.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-worklist-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folder: WorkFolder;
let ran: string[];
let count = 0;
beforeEach(() => {
  folder = new WorkFolder(join(root, String(count++)));
  ran = [];
});

const job = (id: string, needs: string[] = [], more: Partial<Job> = {}): Job => ({
  id,
  needs,
  lane: 0,
  cost: 1,
  run: async () => {
    ran.push(id);
    return { id };
  },
  ...more,
});

const never = new AbortController().signal;
const run = (jobs: Job[], more: { shard?: Shard; signal?: AbortSignal } = {}) =>
  work(jobs, folder, { signal: never, ...more });

describe("a work list", () => {
  test("does what is needed first, and nothing twice", async () => {
    const jobs = [job("c", ["b"]), job("a"), job("b", ["a"])];
    expect(await run(jobs)).toEqual({ failed: [], left: 0 });
    expect(ran).toEqual(["a", "b", "c"]);
    expect(await folder.read("b")).toEqual({ id: "b" });
    await work(jobs, new WorkFolder(folder.path), { signal: never });
    expect(ran).toHaveLength(3);
  });

  test("begins a job anew that was cut off, and goes on behind one that failed", async () => {
    let healthy = false;
    const failing = job("b", [], {
      run: async ({ folder: path }) => {
        writeFileSync(join(path, "half"), "");
        if (!healthy) throw new Error("broken");
        return {};
      },
    });
    const jobs = [job("a"), failing, job("c", ["b"]), job("d")];
    const first = await run(jobs);
    expect(first.failed.map(({ id, error }) => [id, error.message])).toEqual([["b", "broken"]]);
    expect(first.left).toBe(2);
    expect(ran).toEqual(["a", "d"]);
    healthy = true;
    expect((await run(jobs)).left).toBe(0);
    expect(ran).toEqual(["a", "d", "c"]);
  });

  test("a shard does its own lanes, and leaves what waits for another's", async () => {
    const lanes = [0, 1, 2, 3].map((lane) => job(`lane-${lane}`, [], { lane }));
    const jobs = [
      ...lanes,
      job(
        "all",
        lanes.map(({ id }) => id),
      ),
      job("after", ["all"]),
    ];
    const [one, two] = [parseShard("1/2"), parseShard("2/2")];
    expect((await run(jobs, { shard: one })).left).toBe(4);
    expect(ran).toEqual(["lane-0", "lane-2"]);
    const waiting = (shard: Shard) => waitingForOthers(jobs, folder, shard).map(({ id }) => id);
    expect([waiting(one), waiting(two)]).toEqual([["all", "after"], []]);
    expect((await run(jobs, { shard: two })).left).toBe(2); // "all" and what follows are the first shard's
    expect(ran.slice(2)).toEqual(["lane-1", "lane-3"]);
    expect((await run(jobs, { shard: one })).left).toBe(0);
    expect(waitingForOthers(jobs, folder, one)).toEqual([]);
    for (const { lane } of lanes) expect(Number(inShard({ lane }, one)) + Number(inShard({ lane }, two))).toBe(1);
    for (const text of ["0/2", "3/2", "1", "1/0", "a/b"]) expect(() => parseShard(text)).toThrow(RangeError);
  });

  test("what a living process does is waited for; a dead one's lock is taken over", { timeout: 30_000 }, async () => {
    const path = folder.folderOf("a");
    mkdirSync(path, { recursive: true });
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await once(other, "spawn");
    const holder = { pid: other.pid, host: hostname(), start: null };
    writeFileSync(join(path, "lock"), JSON.stringify(holder));
    const working = run([job("a")]);
    await sleep(700);
    expect(ran).toEqual([]);
    other.kill("SIGKILL");
    await once(other, "exit");
    expect(await working).toEqual({ failed: [], left: 0 });
    expect(ran).toEqual(["a"]);
    expect(existsSync(join(path, "lock"))).toBe(false);
  });

  test("two workers of one folder do every job once", async () => {
    const slow = (id: string) =>
      job(id, [], {
        run: async () => {
          ran.push(id);
          await sleep(5);
          return {};
        },
      });
    const jobs = Array.from({ length: 20 }, (_, i) => slow(`job-${i}`));
    const both = await Promise.all([run(jobs), work(jobs, new WorkFolder(folder.path), { signal: never })]);
    expect(both.map(({ left }) => left)).toEqual([0, 0]);
    expect([...ran].sort()).toEqual(jobs.map(({ id }) => id).sort());
  });

  test("the signal ends it with Interrupted, and no job that was under way counts as done", async () => {
    const controller = new AbortController();
    const stopped = job("b", ["a"], {
      run: async ({ signal }) => {
        controller.abort();
        signal.throwIfAborted();
        return {};
      },
    });
    await expect(run([job("a"), stopped], { signal: controller.signal })).rejects.toMatchObject({
      name: "Interrupted",
    });
    expect([folder.isDone("a"), folder.isDone("b")]).toEqual([true, false]);
  });

  test("a list that needs what it does not have is refused", async () => {
    await expect(run([job("a", ["b"])])).rejects.toThrow("a needs b, which is not in the list");
    await expect(run([job("a"), job("a")])).rejects.toThrow("two jobs have the same id");
  });
});
