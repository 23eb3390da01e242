import { describe, expect, it } from "vitest";
import { cases } from "../../src/autograd/gradcheck/cases.ts";
import { checkCase, faultsOf } from "../../src/autograd/gradcheck/check.ts";
import { testDevice } from "../support/device.ts";

/** One test for every case of an op in the table. */
export function testOps(...ops: string[]): void {
  describe.each(ops)("%s", (op) => {
    for (const opCase of cases.filter((opCase) => opCase.op === op)) {
      it(opCase.name, async () => {
        expect(faultsOf(await checkCase(await testDevice(), opCase))).toEqual([]);
      });
    }
  });
}
