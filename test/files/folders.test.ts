/** What cannot be written is named, with the reason. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { openDataSet } from "../../src/aenet/data/data-set.ts";
import { makeFolder, writeFlushed } from "../../src/aenet/durable-file.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-folders-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

it("a folder that cannot be made is named with the reason", async () => {
  await makeFolder(join(root, "a", "b"));
  await makeFolder(join(root, "a", "b")); // is there
  writeFileSync(join(root, "file"), "");
  await expect(makeFolder(join(root, "file", "a", "b"))).rejects.toThrow(/file\/a\/b: cannot be made: ENOTDIR/);
});

it("an error while a file is written has its path", async () => {
  const failing = function* (): Iterable<Uint8Array> {
    yield Buffer.from("some");
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  const file = join(root, "whole");
  await expect(writeFlushed(file, failing())).rejects.toThrow(`${file}: ENOSPC: no space left on device, write`);
});

it("a folder is no manifest", async () => {
  await expect(openDataSet(root)).rejects.toThrow(`manifest ${root}: is a folder; a manifest is a CSV file`);
});
