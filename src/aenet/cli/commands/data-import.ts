import type { ImportReport } from "../../data/import.ts";
import { type Fractions, parseFractions } from "../../data/split.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required, UsageError } from "../errors.ts";
import { endable } from "../interrupt.ts";
import { choice, integer, type Kind, text } from "../kinds.ts";
import { computeOptions, json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import { flagOf, type Option, type Options } from "../settings.ts";
import { formatJson } from "../text.ts";

interface ImportFlags {
  out: string | null;
  split: Fractions;
  seed: number;
  group: string | null;
  splits: "published" | "random" | null;
  testList: string | null;
  images: string | null;
  scores: string | null;
  extract: string | null;
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
  group: {
    kind: text("column"),
    default: null,
    help: "csv, ava (challenge): images with the same value there stay in one split",
  },
  splits: {
    kind: choice(["published", "random"]),
    default: null,
    help: "iae, ava: the splits that are published with the set, or all drawn by --seed (default: published)",
  },
  testList: {
    kind: text("file"),
    default: null,
    help: "ava: ids of the test split (default: generic_test.jpgl there)",
  },
  images: { kind: text("folder"), default: null, help: "ava: where the images are (default: images there)" },
  scores: { kind: text("file|none"), default: null, help: "iae: the ratings (default: Scores.h5 there, if any)" },
  extract: { kind: text("folder"), default: null, help: "iae: write the images of the HDF5 file there, as PNG" },
  workers: computeOptions.workers,
  json,
};

const kinds = ["folder", "csv", "oasis", "iae", "ava", "fi", "artphoto"] as const;
type ImportKind = (typeof kinds)[number];

/** Options that only some kinds have. */
const only = {
  group: ["csv", "ava"],
  splits: ["iae", "ava"],
  testList: ["ava"],
  images: ["ava"],
  scores: ["iae"],
  extract: ["iae"],
} as const satisfies Partial<Record<keyof ImportFlags, readonly ImportKind[]>>;

type Backend = Pick<
  typeof import("../../data/index.ts"),
  | "importFolder"
  | "importCsv"
  | "importOasis"
  | "importIae"
  | "importAva"
  | "importFi"
  | "importArtPhoto"
  | "checkManifestOut"
  | "formatImport"
>;

export function importCommand(
  load: () => Promise<Backend> = () => import("../../data/index.ts"),
): CommandSpec<ImportFlags> {
  return {
    name: "import",
    summary: "write the manifest of photographs that are there",
    positionals: [
      {
        syntax: "<kind>",
        help: `${kinds.join(", ")}: folders named by emotion, a table, or a set in the form in which it is published`,
      },
      { syntax: "<source>", help: "the folder, the table, or IAE's HDF5 file" },
    ],
    options,
    examples: [
      "aenet data import folder photos/ --out photos/manifest.csv --split 0.8,0.1,0.1",
      "aenet data import csv scores.csv --out manifest.csv --group photographer",
      "aenet data import iae IAE/final_aes_emo.h5 --out iae.csv",
      "aenet data import ava AVA --out ava.csv --images /photographs/ava",
    ],
    async run({ values, given }, terminal, [kindName, source]) {
      const kind = kinds.find((name) => name === kindName);
      if (!kind) throw new UsageError(`data import ${kindName}: needs one of ${kinds.join(", ")}`);
      const own = Object.fromEntries(
        (Object.keys(only) as (keyof typeof only)[]).flatMap((key) => {
          const value = values[key];
          if (value === null) return [];
          const allowed: readonly ImportKind[] = only[key];
          if (allowed.includes(kind)) return [[key, value]];
          throw new UsageError(`${flagOf(key, options[key])}: is for ${allowed.join(" and ")}, not for ${kind}`);
        }),
      ) as { [K in keyof typeof only]?: NonNullable<ImportFlags[K]> };
      const out = required("--out", values.out, "the manifest to write");
      const data = await load();
      data.checkManifestOut(out, source!);
      const progress = new Progress(terminal);
      const settings = {
        out,
        ...(given.has("split") ? { fractions: values.split } : {}), // IAE's lists refuse shares, which they would not follow
        seed: values.seed,
        ...(values.workers === null ? {} : { workers: values.workers }),
        onProgress: counter(progress, "read"),
        ...own,
      };
      const importers: Record<ImportKind, (source: string, options: typeof settings) => Promise<ImportReport>> = {
        folder: data.importFolder,
        csv: data.importCsv,
        oasis: data.importOasis,
        iae: data.importIae,
        ava: data.importAva,
        fi: data.importFi,
        artphoto: data.importArtPhoto,
      };
      const announce = () => progress.note("interrupted; the same command goes on from here");
      const body = () => importers[kind](source!, settings);
      const report = await endable(announce, body).finally(() => progress.clear());
      terminal.out(values.json ? formatJson(report) : `${data.formatImport(report)}\n`);
      return report.damaged.length > 0 ? exitCodes.someFailed : exitCodes.done;
    },
  };
}
