import type { CommandSpec } from "../command.ts";
import { exitCodes } from "../errors.ts";
import { computeOptions, json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import { formatJson } from "../text.ts";

interface CheckFlags {
  workers: number | null;
  json: boolean;
}

type Backend = Pick<typeof import("../../data/check.ts"), "checkManifests" | "formatCheck">;

export function checkCommand(
  load: () => Promise<Backend> = () => import("../../data/check.ts"),
): CommandSpec<CheckFlags> {
  return {
    name: "check",
    summary: "look through data sets: damaged files, missing labels, class counts, duplicates, leaks between splits",
    positionals: [{ syntax: "<manifest...>", help: "manifests; duplicates are looked for across all of them" }],
    options: { workers: computeOptions.workers, json },
    examples: ["aenet data check photos/manifest.csv"],
    async run({ values }, terminal, manifests) {
      const { checkManifests, formatCheck } = await load();
      const progress = new Progress(terminal);
      const report = await checkManifests(manifests, {
        ...(values.workers === null ? {} : { workers: values.workers }),
        onProgress: counter(progress, "read"),
      }).finally(() => progress.clear());
      terminal.out(values.json ? formatJson(report) : `${formatCheck(report)}\n`);
      return report.ok ? exitCodes.done : exitCodes.someFailed;
    },
  };
}
