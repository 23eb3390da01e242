import { expect, test } from "vitest";
import { isGpuNode } from "../../src/node/adapter.ts";
import { AdapterError, kindsOf, parseAdapterChoice } from "../../src/node/choice.ts";
import { isLavapipeManifest, isSoftwareManifest, manifestFolders } from "../../src/node/icd.ts";
import { isOldMesa, mesaVersion } from "../../src/node/lavapipe.ts";
import { swiftShaderObstacle } from "../../src/node/swiftshader.ts";
import { tarFiles } from "../../src/node/tar.ts";

test.each([
  ["llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1", "25.0.7"],
  ["Mesa 22.3.6 (LLVM 15.0.6)", "22.3.6"],
  ["\0\x01Mesa 24.2.8-1ubuntu1~24.04.1\0", "24.2.8"],
  ["Mesa 26.0", "26.0"],
  ["Mesa 25.1.0-devel (git-0123456789)", "25.1.0"],
  ["SwiftShader driver 5.0.0", null],
  ["Mesa Gallium", null],
])("the Mesa version in %j is %s", (text, version) => {
  expect(mesaVersion(text)).toBe(version);
});

test("Mesa below 25 is old", () => {
  expect(["22.3.6", "24.3.4", "25.0.0", "25.0.7", "26.1"].map(isOldMesa)).toEqual([true, true, false, false, false]);
});

test("a choice stands for kinds in order", () => {
  expect(kindsOf("auto")).toEqual(["gpu", "lavapipe", "swiftshader"]);
  expect(kindsOf("lavapipe")).toEqual(["lavapipe"]);
  // A card that was asked for by name is never replaced by a processor.
  expect(kindsOf("auto", "RTX")).toEqual(["gpu"]);
  expect(kindsOf("lavapipe", "RTX")).toEqual(["lavapipe"]);
});

test("a wrong choice names the flag, the value and what is allowed", () => {
  expect(() => parseAdapterChoice("llvmpipe")).toThrow(
    "--adapter llvmpipe: expected one of auto, gpu, lavapipe, swiftshader",
  );
  expect(() => parseAdapterChoice("")).toThrow("--adapter");
});

test("a fruitless search tells every attempt", () => {
  const error = new AdapterError("auto", [
    { kind: "gpu", taken: false, detail: "none" },
    { kind: "lavapipe", taken: false, detail: "not installed" },
  ]);
  expect(error.message).toBe(
    "--adapter auto: no adapter could be opened\n  gpu was passed over: none\n  lavapipe was passed over: not installed",
  );
});

test("GPUs are told from displays and other devices by their nodes", () => {
  const nodes = ["renderD128", "nvidia0", "nvidiactl", "dxg", "card0", "null", "nvram", "nvme0", "nvidia-uvm"];
  expect(nodes.filter(isGpuNode)).toEqual(["renderD128", "nvidia0", "nvidiactl", "dxg"]);
});

test("software drivers are known by their manifests", () => {
  const paths = ["/a/lvp_icd.json", "/a/lvp_icd.x86_64.json", "/lvp_icd/radeon_icd.json", "/a/vk_swiftshader_icd.json"];
  expect(paths.map(isLavapipeManifest)).toEqual([true, true, false, false]);
  expect(paths.map(isSoftwareManifest)).toEqual([true, true, false, true]);
});

test("manifests are sought where the XDG rules say, without relative folders", () => {
  const folders = manifestFolders({ HOME: "/home/u", XDG_DATA_DIRS: "/opt/share:relative" });
  expect(folders.slice(0, 5)).toEqual([
    "/home/u/.config/vulkan/icd.d",
    "/etc/xdg/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/home/u/.local/share/vulkan/icd.d",
    "/opt/share/vulkan/icd.d",
  ]);
  expect(folders.every((folder) => folder.startsWith("/"))).toBe(true);
});

test("SwiftShader is for Linux on x64", () => {
  expect(swiftShaderObstacle("linux", "x64")).toBeNull();
  expect(swiftShaderObstacle("linux", "arm64")).toContain("linux on arm64");
  expect(swiftShaderObstacle("darwin", "x64")).toContain("darwin on x64");
});

test("tar: regular files by name, folders skipped, a cut archive is an error", () => {
  const entry = (name: string, type: string, contents: string) => {
    const block = Buffer.alloc(512 + Math.ceil(contents.length / 512) * 512);
    block.write(name, 0, "latin1");
    block.write(contents.length.toString(8).padStart(11, "0"), 124, "latin1");
    block.write(type, 156, "latin1");
    block.write(contents, 512, "latin1");
    return block;
  };
  const long = "x".repeat(513);
  const archive = [entry("folder/", "5", ""), entry("./a", "0", "hello"), entry("b", "0", long), Buffer.alloc(1024)];
  const files = tarFiles(Buffer.concat(archive));
  expect([...files].map(([name, data]) => [name, data.toString()])).toEqual([
    ["a", "hello"],
    ["b", long],
  ]);
  expect(() => tarFiles(Buffer.concat(archive).subarray(0, 2100))).toThrow("tar: b is cut off");
});
