import { afterEach, expect, it, vi } from "vitest";
import { importCommand } from "../../src/aenet/cli/commands/data-import.ts";
import { type Commands, runProgram } from "../../src/aenet/cli/program.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

it("an import that Ctrl-C ends says that the same command goes on, and ends with 130", async () => {
  const exit = vi.spyOn(process, "exit").mockImplementation((code) => {
    throw new Error(`exit ${code}`);
  });
  const importFi = async () => {
    expect(() => process.emit("SIGINT")).toThrow("exit 130");
    throw new Error("was cut off");
  };
  // biome-ignore lint/suspicious/noExplicitAny: an importer and a check are all of the backend that is used
  const load = async (): Promise<any> => ({ importFi, checkManifestOut: () => {} });
  const commands: Commands = { top: [], data: [importCommand(load)], bench: [], experiment: [] };
  let told = "";
  const err = (text: string) => {
    told += text;
  };
  const before = process.listenerCount("SIGINT");
  const terminal = { out: () => {}, err, interactive: false, columns: 80, environment: {} };
  await runProgram(["data", "import", "fi", "FI", "--out", "fi.csv"], terminal, commands);
  expect(exit).toHaveBeenCalledOnce();
  expect(told).toContain("interrupted; the same command goes on from here");
  expect(process.listenerCount("SIGINT")).toBe(before);
});
