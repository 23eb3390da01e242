// Builds what ships: the command line and the library's entries as ES modules, and their type declarations.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { build } from "esbuild";

const entries = {
  aenet: "src/aenet/cli/main.ts",
  "kernels/index": "src/kernels/index.ts",
  "autograd/index": "src/autograd/index.ts",
  "nn/index": "src/nn/index.ts",
  "aenet/index": "src/aenet/index.ts",
  "node/index": "src/node/index.ts",
};

/** As src/aenet/environment.ts has it for sources that are not built; null outside a checkout. */
function commit() {
  if (!existsSync(".git")) return null;
  const git = (...args) => execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return git("rev-parse", "HEAD") + (git("status", "--porcelain", "--", "src", "package-lock.json") ? "-dirty" : "");
  } catch {
    return null;
  }
}

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(source))),
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  sourcemap: true,
  define: { BUILD_COMMIT: JSON.stringify(commit()) },
  logLevel: "warning",
});
if (existsSync("dist/aenet.js")) chmodSync("dist/aenet.js", 0o755);
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], { stdio: "inherit" });
