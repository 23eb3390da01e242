import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { allowReading, lastReading, readFrozen, readingOf, recordReading } from "../../src/aenet/experiment/frozen.ts";
import { type RunResult, resultFile, writeRunResult } from "../../src/aenet/experiment/results.ts";
import { makeRun } from "./fixture.ts";

const root = mkdtempSync(join(tmpdir(), "aenet-frozen-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "folder-"));
});

const result: RunResult = makeRun("aenet", 0);
let read = 0;
const reading = (number = 1) =>
  recordReading(folder, "job", number, [result], async () => {
    read++;
    await writeRunResult(folder, { ...result, readings: number });
  });

describe("the record of readings", () => {
  test("a reading is done once: its result stands, or another one is asked for", async () => {
    read = 0;
    expect(await lastReading(folder)).toBe(0);
    expect(await reading()).toEqual({ reading: 1 });
    expect(await reading()).toEqual({ reading: 1 });
    expect(read).toBe(1);
    expect(await allowReading(folder)).toBe(2);
    expect(await lastReading(folder)).toBe(1); // allowed, and not begun yet
    await reading(2);
    expect(await lastReading(folder)).toBe(2);
    await expect(reading(1)).rejects.toThrow(/--again reads it once more/); // what stands there is the second's
    rmSync(resultFile(folder, result));
    await expect(reading(2)).rejects.toThrow(/--again reads it once more/);
    expect(read).toBe(2);
  });

  test("a test set counts its own readings; where sets had no names, what was allowed counts for all", async () => {
    expect([await allowReading(folder, "iae"), await allowReading(folder, "iae")]).toEqual([2, 3]);
    expect([await readingOf(folder, "iae"), await readingOf(folder, "ava"), await readingOf(folder)]).toEqual([
      3, 1, 1,
    ]);
    await allowReading(folder);
    expect([await readingOf(folder, "iae"), await readingOf(folder, "ava"), await readingOf(folder)]).toEqual([
      3, 2, 2,
    ]);
  });

  test("a line that was cut off says nothing, and takes no other with it", async () => {
    read = 0;
    await reading();
    await allowReading(folder);
    const file = join(folder, "readings.jsonl");
    const whole = readFileSync(file, "utf8");
    for (const cut of ['{"event":"allowed","job":"","rea', '{"event":"read","job":"job{}']) {
      writeFileSync(file, whole);
      appendFileSync(file, cut);
      expect(await readingOf(folder)).toBe(2);
      expect(await allowReading(folder)).toBe(3);
      expect(await readingOf(folder)).toBe(3);
      await reading(3);
      expect(readFileSync(file, "utf8").split("\n").at(-2)).toBe('{"event":"read","job":"job","reading":3}');
    }
  });

  test("frozen.json is read whether or not it says with what its networks were trained", async () => {
    writeFileSync(join(folder, "frozen.json"), '{"format": "aenet-frozen/1", "runs": []}');
    expect(await readFrozen(folder)).toEqual({ format: "aenet-frozen/1", runs: [] });
  });
});
