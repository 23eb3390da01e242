/** The committed fixtures are what test/golden/make.py makes. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readFixture, sharedFolder } from "./fixture.ts";
import { findPyTorch } from "./python.ts";

const python = findPyTorch();

function check(...more: string[]) {
  const script = fileURLToPath(new URL("make.py", import.meta.url));
  const { status, stdout, stderr } = spawnSync(python!, [script, "--check", ...more], { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

describe.skipIf(!python)("test/golden/make.py --check", () => {
  it("finds the fixtures as it makes them", () => {
    const { status, output } = check();
    expect(output).toContain(" 0 faults");
    expect(status, output).toBe(0);
  });

  it.skipIf(!sharedFolder)(
    "finds the fixture of the ImageNet weights as it makes it, and of no other photograph",
    () => {
      const { weights, photograph } = readFixture<{ weights: string; photograph: string }>("imagenet").settings;
      const paths = (name: string) => [
        ...["--weights", `${sharedFolder}/weights/${weights}`],
        ...["--photograph", `${sharedFolder}/data/oasis/${name}`],
      ];
      const { status, output } = check(...paths(photograph));
      expect(status, output).toBe(0);
      const other = check(...paths("Acorns 1.jpg"));
      expect(other.output).toMatch(/layer2 differs by/);
      expect(other.status).toBe(1);
    },
  );
});
