import { expect, it, vi } from "vitest";
import { importFolder, importIae } from "../../src/aenet/data/index.ts";
import { gradient, temporaryFolder, write } from "./images.ts";

const loaded = vi.fn();
vi.mock("h5wasm/node", () => {
  loaded();
  return { ready: Promise.resolve({}), File: null, Dataset: null };
});

it("h5wasm is loaded for HDF5 files alone", async () => {
  const folder = await temporaryFolder();
  await write(folder, "set/awe/1.jpg", await gradient(9, 9).jpeg().toBuffer());
  await importFolder(`${folder}/set`, { out: `${folder}/set.csv` });
  expect(loaded).not.toHaveBeenCalled();
  await write(folder, "x.h5", "");
  await expect(importIae(`${folder}/x.h5`, { out: `${folder}/x.csv` })).rejects.toThrow();
  expect(loaded).toHaveBeenCalled();
});
