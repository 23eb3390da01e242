import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** Where an installed package lies, whether or not its `exports` name its package.json. */
export function packageFolder(name: string): string {
  for (let folder = dirname(require.resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).name === name) return folder;
  }
  throw new Error(`the folder of the package ${name} was not found`);
}

export function packageVersion(name: string): string {
  return JSON.parse(readFileSync(join(packageFolder(name), "package.json"), "utf8")).version;
}
