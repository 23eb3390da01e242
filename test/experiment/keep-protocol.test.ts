import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, it } from "vitest";
import { registeredProtocol } from "../../src/aenet/experiment/generated/protocol.ts";
import { keepProtocol } from "../../src/aenet/experiment/keep-protocol.ts";
import { oasisProtocol } from "../../src/aenet/experiment/oasis/plan.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-protocol-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(root, "out-"));
});
const kept = () => readFileSync(join(out, "protocol.json"), "utf8");

it.each([
  ["generated-2027", registeredProtocol],
  ["oasis", oasisProtocol],
])("experiments/%s is gone on with as it was written", async (name, protocol) => {
  copyFileSync(join("experiments", name, "protocol.json"), join(out, "protocol.json"));
  const before = kept();
  await keepProtocol(out, protocol);
  expect(kept()).toBe(before);
  rmSync(join(out, "protocol.json"));
  await keepProtocol(out, protocol);
  expect(kept()).toBe(before);
});

it("files are added, and never changed", async () => {
  await keepProtocol(out, { seed: 1 }, { "--a": "1".repeat(64), "--init": null });
  await keepProtocol(out, { seed: 1 }, { "--b": "2".repeat(64) });
  expect(JSON.parse(kept())).toEqual({
    seed: 1,
    contents: { "--a": "1".repeat(64), "--init": null, "--b": "2".repeat(64) },
  });
  const before = kept();
  await expect(keepProtocol(out, { seed: 2 }, { "--c": "3" })).rejects.toThrow(
    /^--out .*: holds an experiment of other/,
  );
  await expect(keepProtocol(out, { seed: 1 }, { "--c": "3", "--a": "4" })).rejects.toThrow(
    /^--a: .* begins 4, not 111111111111$/,
  );
  await expect(keepProtocol(out, { seed: 1 }, { "--a": null })).rejects.toThrow(/^--a: is missing/);
  await expect(keepProtocol(out, { seed: 1 }, { "--init": "5" })).rejects.toThrow(/^--init: .* began without it$/);
  expect(kept()).toBe(before);
});
