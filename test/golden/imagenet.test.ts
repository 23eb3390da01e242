/** torchvision's pretrained weights are ours to use. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { testDevice } from "../support/device.ts";
import { disagreements, sharedFolder } from "./fixture.ts";
import { decodePhotograph, fixture, layer2, readWeights } from "./imagenet.ts";

describe.skipIf(!sharedFolder)("torchvision's ImageNet weights on a photograph", () => {
  it("start from the pixels that torchvision was given", async () => {
    const pixels = await decodePhotograph();
    expect(createHash("sha256").update(pixels).digest("hex")).toBe(fixture.settings.sha256);
  });

  it.each([["resnet50-emo", 1] as const, ["aenet-fl", 3] as const])(
    "give torchvision's layer2 in every stream of %s",
    async (arch, count) => {
      const streams = await layer2(await testDevice(), arch, await decodePhotograph(), readWeights());
      expect(streams).toHaveLength(count);
      for (const y of streams) expect(disagreements(fixture, new Map([["layer2", y]]))).toEqual([]);
    },
  );

  it("do not, if a single weight of layer2 is another", async () => {
    const weights = readWeights();
    const { shape, data } = weights.get("layer2.3.bn3.weight")!;
    const spoilt = data.slice();
    spoilt[17]! *= 1.01;
    weights.set("layer2.3.bn3.weight", { shape, data: spoilt });
    const [y] = await layer2(await testDevice(), "resnet50-emo", await decodePhotograph(), weights);
    expect(disagreements(fixture, new Map([["layer2", y!]]))).toHaveLength(1);
  });
});
