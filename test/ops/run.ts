import { describe, expect, it } from "vitest";
import { testDevice } from "../support/device.ts";
import { cases } from "./cases.ts";
import { checkCase } from "./check.ts";

/** One test for every case of an op in the table. */
export function testOps(...ops: string[]): void {
  describe.each(ops)("%s", (op) => {
    for (const opCase of cases.filter((opCase) => opCase.op === op)) {
      it(opCase.name, async () => {
        expect(await checkCase(await testDevice(), opCase)).toEqual([]);
      });
    }
  });
}
