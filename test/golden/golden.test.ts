/** The engine beside PyTorch: every reference of every fixture. */
import { describe, expect, it } from "vitest";
import { testDevice } from "../support/device.ts";
import { boundOf, disagreements } from "./fixture.ts";
import { runs } from "./runs.ts";

describe("the engine agrees with PyTorch's float64", () => {
  it.each(runs.map((run) => [run.name, run] as const))("%s", async (_, { fixture, results }) => {
    const found = await results(await testDevice());
    expect(disagreements(fixture, found)).toEqual([]);
    // That this could fail: every tensor in turn, off by a little more than its bound, is reported, and only it.
    for (const [name, reference] of fixture.references) {
      const off = 1 + 2.5 * boundOf(reference);
      const spoilt = new Map([...found, [name, Float64Array.from(found.get(name)!, (value) => value * off)]]);
      const reported = disagreements(fixture, spoilt);
      expect(reported.length === 1 && reported[0]!.startsWith(`${name}: `), name).toBe(true);
    }
  });
});
