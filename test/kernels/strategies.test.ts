import { expect, it } from "vitest";
import { cases } from "../../src/autograd/gradcheck/cases.ts";
import { checkCase, faultsOf } from "../../src/autograd/gradcheck/check.ts";
import { sharedTile } from "../../src/kernels/index.ts";
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";

// The strategy for adapters that the table does not know has to be right on the adapter at hand too.
const device = await openDevice({ adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto") });
device.tiles.override = () => sharedTile;

const products = cases.filter(({ op }) => op === "conv2d" || op === "linear");

it.each(products.map((opCase) => [opCase.name, opCase] as const))("shared tiles: %s", async (_, opCase) => {
  expect(faultsOf(await checkCase(device, opCase))).toEqual([]);
});
