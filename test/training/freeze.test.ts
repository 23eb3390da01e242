import { expect, it } from "vitest";
import { type ArchName, createArchitecture } from "../../src/aenet/architecture.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { frozenBy } from "../../src/aenet/training/freeze.ts";

const namesOf = (arch: ArchName) =>
  createNetwork(
    createArchitecture(arch, ["x", "y"], { depth: [1, 1, 1, 1], baseChannels: 4 }),
  ).parameters.trainable.map(({ name }) => name);

it.each([
  ["aenet", ["fusion"], /^fusion\./],
  ["csnet", ["fusion"], /^stitch\./],
  ["csnet", ["a", "heads"], /^(a|head)\./],
  ["csnet", ["stitch.3", "e.layer1"], /^(stitch\.3\.|e\.layer1\.)/],
  ["ssnet", ["heads", "conv1", "bn1", "layer1."], /^(head|conv1|bn1|layer1)\./],
  ["wrn-emo", ["layer4.0.conv2"], /^layer4\.0\.conv2\.weight$/],
] as const)("--freeze in %s: %j", (arch, freeze, expected) => {
  const names = namesOf(arch);
  expect(names.filter(frozenBy(freeze, names))).toEqual(names.filter((name) => expected.test(name)));
  expect(names.some((name) => expected.test(name))).toBe(true);
});

it.each([
  ["csnet", "s", "s."],
  ["ssnet", "fusion", "fusion. or stitch."],
  ["wrn-aes", "a", "a."],
  ["aenet", "layer1", "layer1"],
  ["aenet", "constructor", "constructor"],
] as const)("--freeze in %s of what it does not have is refused: %s", (arch, entry, prefix) => {
  expect(() => frozenBy([entry], namesOf(arch))).toThrow(
    `--freeze ${entry}: the network has no parameter that begins with ${prefix}`,
  );
});
