import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { measureAlone, tuneIn } from "../../src/aenet/experiment/kernels.ts";
import type { Device } from "../../src/kernels/device.ts";
import type { Tuner } from "../../src/kernels/gemm/choices.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-kernels-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A device that measures as `name` would, unless something is known. */
function deviceOf(name: string, adapter: string): { tiles: Device["tiles"]; found: string[] } {
  const { store } = tuneIn(folder);
  const found: string[] = [];
  const tuner: Tuner = async () => {
    const known = await store!.read(adapter);
    await sleep(300); // as long as another one needs to begin
    if (known === null) await store!.write(adapter, name);
    found.push(known ?? name);
    return new Map();
  };
  const tiles = { tuner } as Device["tiles"];
  measureAlone({ tiles }, folder);
  return { tiles, found };
}

test("processes that begin together take what the first of them measured, each adapter for itself", async () => {
  const devices = [deviceOf("one", "a GPU"), deviceOf("two", "a GPU"), deviceOf("three", "another")];
  await Promise.all(devices.map(({ tiles }) => tiles.tuner!([])));
  const [one, two, three] = devices.map(({ found }) => found[0]);
  expect(one).toBe(two);
  expect(three).toBe("three");
  expect(existsSync(join(folder, "kernels.lock"))).toBe(false);
});

test("a device that measures nothing goes on so", () => {
  const tiles = { tuner: null } as Device["tiles"];
  measureAlone({ tiles }, folder);
  expect(tiles.tuner).toBe(null);
});
