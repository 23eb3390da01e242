import { SET_NAMES, type SetName } from "../../data/published.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes } from "../errors.ts";
import { choice, list } from "../kinds.ts";
import { computeOptions, json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import { formatJson } from "../text.ts";

interface CheckFlags {
  set: readonly (SetName | "none")[] | null;
  workers: number | null;
  json: boolean;
}

type Backend = Pick<typeof import("../../data/check.ts"), "checkManifests" | "formatCheck">;

export function checkCommand(
  load: () => Promise<Backend> = () => import("../../data/check.ts"),
): CommandSpec<CheckFlags> {
  return {
    name: "check",
    summary: "look through data sets: damaged files, missing labels, class counts, copies, leaks between splits",
    positionals: [{ syntax: "<manifest...>", help: "manifests; copies are looked for across all of them" }],
    options: {
      set: {
        kind: list(choice([...SET_NAMES, "none"] as const)),
        default: null,
        help: "the published set that each manifest is, for its counts (default: as it was imported)",
      },
      workers: computeOptions.workers,
      json,
    },
    examples: ["aenet data check photos/manifest.csv", "aenet data check iae.csv fi.csv ava.csv"],
    async run({ values }, terminal, manifests) {
      const { checkManifests, formatCheck } = await load();
      const progress = new Progress(terminal);
      const report = await checkManifests(manifests, {
        ...(values.set === null ? {} : { sets: values.set.map((name) => (name === "none" ? null : name)) }),
        ...(values.workers === null ? {} : { workers: values.workers }),
        onProgress: counter(progress, "read"),
      }).finally(() => progress.clear());
      terminal.out(values.json ? formatJson(report) : `${formatCheck(report)}\n`);
      return report.ok ? exitCodes.done : exitCodes.someFailed;
    },
  };
}
