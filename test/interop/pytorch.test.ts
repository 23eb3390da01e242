/** PyTorch loads our checkpoints by the text of docs/interop.md and gets our logits; we load the weights it saves. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createArchitecture } from "../../src/aenet/architecture.ts";
import { EIGHT_EMOTIONS } from "../../src/aenet/data/classes.ts";
import { readWeights } from "../../src/aenet/load-network.ts";
import { findPyTorch } from "../golden/python.ts";
import { noiseImages, normalised, ourLogits, temporaryFolder, writeCheckpoint } from "../support/checkpoint.ts";

const document = readFileSync(new URL("../../docs/interop.md", import.meta.url), "utf8");
const snippets = [...document.matchAll(/^```python\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);

const python = findPyTorch();
const folder = temporaryFolder();
const [size, count] = [64, 3];
const images = noiseImages(count, size);

/** Runs the document's Python and then `more`, whose last expression printed as JSON is returned. */
function run(more: string, code = snippets.join("\n")): unknown {
  writeFileSync(join(folder, "images.f32"), normalised(images, size));
  const prepare = `import torch, json\ntorch.set_num_threads(2)\nimage = torch.from_file("images.f32", size=${images.length}).reshape(${count}, 3, ${size}, ${size})\n`;
  const output = execFileSync(python!, ["-c", `${code}\n${prepare}${more}`], {
    cwd: folder,
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return JSON.parse(output.toString());
}

/** ‖x − r‖₂ / ‖r‖₂ */
function error(x: ArrayLike<number>, r: readonly number[]): number {
  const norm = (values: number[]) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(r.map((value, i) => x[i]! - value)) / norm([...r]);
}

it("docs/interop.md has both snippets", () => {
  expect(snippets).toHaveLength(2);
});

describe.skipIf(!python)("the Python of docs/interop.md", () => {
  it("gets our logits, from a ResNet50 and from AENet", async () => {
    const full = createArchitecture("resnet50-emo", EIGHT_EMOTIONS);
    const depth = process.env.AENET_FIGURES ? [3, 4, 6, 3] : [1, 2, 1, 1];
    const three = createArchitecture("aenet", EIGHT_EMOTIONS, { depth });
    const [resnet, aenet] = ["resnet50-emo", "aenet"].map((name) => join(folder, `${name}.safetensors`)) as [
      string,
      string,
    ];
    writeCheckpoint(resnet, full, size);
    writeCheckpoint(aenet, three, size);
    const theirs = run(`
both = lambda dtype: [y.flatten().tolist() for y in (model.to(dtype)(image.to(dtype)), *aenet.to(dtype)(image.to(dtype)))]
with torch.no_grad(): print(json.dumps([both(torch.float32), both(torch.float64)]))`) as number[][][];
    const [one, both] = [await ourLogits(resnet, images, size), await ourLogits(aenet, images, size)];
    const ours = [one.emo!, both.aes!, both.emo!];
    ["resnet50-emo", "AENet, aesthetics", "AENet, emotion"].forEach((name, i) => {
      const [float32, float64] = [theirs[0]![i]!, theirs[1]![i]!];
      const found = { ours: error(ours[i]!, float64), pytorch: error(float32, float64) };
      if (process.env.AENET_FIGURES) console.log(name, found);
      expect(found.ours, name).toBeLessThan(1e-5);
    });
    // The images are told apart by more than that.
    expect(error(ours[0]!.subarray(0, 8), [...ours[0]!.subarray(8, 16)])).toBeGreaterThan(1e-2);
  });

  it("notices a weight that is missing, strict or not", () => {
    const checkpoint = join(folder, "resnet50-emo.safetensors");
    writeCheckpoint(checkpoint, createArchitecture("resnet50-emo", EIGHT_EMOTIONS, { depth: [1, 1, 1, 1] }), size);
    expect(run("print(1)", snippets[0])).toBe(1);
    // Another name of the same length: one tensor is missing and one unexpected.
    const text = readFileSync(checkpoint).toString("latin1");
    writeFileSync(checkpoint, Buffer.from(text.replace('"layer1.0.bn1.bias"', '"layer1.0.bn1.base"'), "latin1"));
    expect(() => run("print(1)", snippets[0])).toThrow("AssertionError");
  });
});

describe.skipIf(!python)("torchvision's ResNet50 as torch.save writes it", () => {
  it.each(["zip", "legacy"])("loads bit by bit: %s", async (format) => {
    const legacy = format === "legacy" ? ", _use_new_zipfile_serialization=False" : "";
    const about = run(
      `
import torchvision
state = torchvision.models.resnet50().state_dict()
torch.save({"state_dict": state, "epoch": 90}, "r50.pth"${legacy})
open("r50.f32", "wb").write(b"".join(v.float().numpy().tobytes() for v in state.values()))
print(json.dumps([[name, list(v.shape)] for name, v in state.items()]))`,
      "",
    ) as [string, number[]][];
    const { tensors } = await readWeights(join(folder, "r50.pth"));
    expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual(about);
    const bytes = readFileSync(join(folder, "r50.f32"));
    let at = 0;
    for (const [name, { data }] of tensors) {
      const ours = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      expect(ours.equals(bytes.subarray(at, at + ours.length)), name).toBe(true);
      at += ours.length;
    }
    expect(at).toBe(bytes.length);
  });
});
