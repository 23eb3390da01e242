import { expect, test } from "vitest";
import { withEnvironment } from "../../src/node/environment.ts";

const name = "AENET_TEST_VARIABLE";

test("variables are set for the body alone, one body at a time, and restored when it throws", async () => {
  process.env[name] = "before";
  const seen: (string | undefined)[] = [];
  const look = async () => {
    seen.push(process.env[name]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    seen.push(process.env[name]);
  };
  const failing = withEnvironment({ [name]: "one" }, async () => {
    await look();
    throw new Error("failed");
  });
  const unset = withEnvironment({ [name]: undefined }, look);
  await expect(failing).rejects.toThrow("failed");
  await unset;
  expect(seen).toEqual(["one", "one", undefined, undefined]);
  expect(process.env[name]).toBe("before");
  delete process.env[name];
});
