import { expect, it } from "vitest";
import { generatedCommand } from "../../src/aenet/cli/commands/experiment-generated.ts";
import { type Commands, runProgram } from "../../src/aenet/cli/program.ts";
import type { WorkedOff } from "../../src/aenet/experiment/work-off.ts";

/** What the command says of a run that ended so. */
async function told(worked: WorkedOff, ...more: (string | Record<string, string>)[]) {
  const args = more.filter((word) => typeof word === "string");
  const environment = more.find((word) => typeof word !== "string") ?? {};
  const backend = { runGenerated: async () => worked, listGenerated: () => [] };
  const commands: Commands = { top: [], data: [], bench: [], experiment: [generatedCommand(async () => backend)] };
  let [out, err] = ["", ""];
  const terminal = {
    ...{ interactive: false, columns: 80, environment },
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const code = await runProgram(["experiment", "generated", "--out", "x", ...args], terminal, commands);
  return { code, out, err };
}

const done: WorkedOff = { failed: [], left: 0, waiting: 0, reading: 1 };

it("a shard that waits for others says so and ends with 0", async () => {
  const { code, err } = await told({ ...done, left: 7, waiting: 3 }, "--shard", "1/2");
  expect([code, err]).toEqual([
    0,
    expect.stringContaining("3 jobs of this shard wait for other shards; the same command"),
  ]);
  expect((await told(done, "--shard", "1/2")).err).not.toContain("wait");
});

it("a run that is whole names the command that makes its report; one that is not does not", async () => {
  expect((await told(done)).err).toContain("aenet experiment report x makes its tables");
  expect((await told({ ...done, left: 1 })).err).not.toContain("report");
  expect((await told({ ...done, reading: 0 })).err).not.toContain("report"); // pre-training alone has none
});

it("a child process leaves the telling to its parent", async () => {
  const failed = [{ id: "a", error: new Error("broken") }];
  const child = await told({ ...done, failed }, ...["--jobs", "2"]);
  expect([child.code, child.err]).toEqual([1, expect.stringContaining("broken")]);
  const environment = { AENET_EXPERIMENT_CHILD: "1/2" };
  expect(await told({ ...done, failed, waiting: 1 }, environment)).toEqual({ code: 1, out: "", err: "" });
});

it("readings are told where there are any", async () => {
  expect((await told({ ...done, reading: 2 })).out).toMatch(/readings of the test split +2/);
  expect((await told({ ...done, reading: 0 })).out).not.toContain("readings");
});
