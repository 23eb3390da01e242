import type { ImportReport } from "../../data/import.ts";
import { type Fractions, parseFractions } from "../../data/split.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required, UsageError } from "../errors.ts";
import { integer, type Kind, text } from "../kinds.ts";
import { computeOptions, json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import type { Option, Options } from "../settings.ts";
import { formatJson } from "../text.ts";

interface ImportFlags {
  out: string | null;
  split: Fractions;
  seed: number;
  group: string | null;
  workers: number | null;
  json: boolean;
}

const fractions: Kind<Fractions> = {
  placeholder: "train,val,test",
  read(value) {
    try {
      return parseFractions(Array.isArray(value) ? value.join(",") : String(value));
    } catch (error) {
      throw new Error((error as Error).message.replace(/^split "?[^":]*"?: /, ""), { cause: error });
    }
  },
};

/** The shares of the splits, for everything that makes a data set. */
export const splitOption: Option<Fractions> = {
  kind: fractions,
  default: [0.7, 0.1, 0.2],
  help: "shares of the splits",
};

export const seedOption: Option<number> = { kind: integer(0), default: 0, help: "of everything random" };

const options: Options<ImportFlags> = {
  out: { kind: text("manifest"), default: null, help: "the manifest to write; how it was made goes beside it" },
  split: splitOption,
  seed: seedOption,
  group: { kind: text("column"), default: null, help: "csv: images with the same value there stay in one split" },
  workers: computeOptions.workers,
  json,
};

const kinds = ["folder", "csv", "oasis"] as const;

type Backend = Pick<
  typeof import("../../data/index.ts"),
  "importFolder" | "importCsv" | "importOasis" | "formatImport"
>;

export function importCommand(
  load: () => Promise<Backend> = () => import("../../data/index.ts"),
): CommandSpec<ImportFlags> {
  return {
    name: "import",
    summary: "write the manifest of photographs that are there",
    positionals: [
      { syntax: "<kind>", help: `${kinds.join(", ")}: folders named by emotion, a table, the OASIS set` },
      { syntax: "<source>", help: "the folder, or the table" },
    ],
    options,
    examples: [
      "aenet data import folder photos/ --out photos/manifest.csv --split 0.8,0.1,0.1",
      "aenet data import csv scores.csv --out manifest.csv --group photographer",
    ],
    async run({ values }, terminal, [kindName, source]) {
      const kind = kinds.find((name) => name === kindName);
      if (!kind) throw new UsageError(`data import ${kindName}: needs one of ${kinds.join(", ")}`);
      if (values.group !== null && kind !== "csv") throw new UsageError(`--group: is for csv, not for ${kind}`);
      const out = required("--out", values.out, "the manifest to write");
      const { formatImport, importCsv, importFolder, importOasis } = await load();
      const progress = new Progress(terminal);
      const common = {
        out,
        fractions: values.split,
        seed: values.seed,
        ...(values.workers === null ? {} : { workers: values.workers }),
        onProgress: counter(progress, "read"),
      };
      const importers: Record<typeof kind, () => Promise<ImportReport>> = {
        folder: () => importFolder(source!, common),
        csv: () => importCsv(source!, { ...common, ...(values.group === null ? {} : { group: values.group }) }),
        oasis: () => importOasis(source!, common),
      };
      const report = await importers[kind]().finally(() => progress.clear());
      terminal.out(values.json ? formatJson(report) : `${formatImport(report)}\n`);
      return report.damaged.length > 0 ? exitCodes.someFailed : exitCodes.done;
    },
  };
}
