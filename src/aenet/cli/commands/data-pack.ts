import type { PackReport } from "../../data/pack.ts";
import { defaultPreprocessing, type ResizeMode, resizeModes } from "../../preprocessing.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required } from "../errors.ts";
import { choice, integer, text } from "../kinds.ts";
import { computeOptions, json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import type { Options } from "../settings.ts";
import { alignLeft, bytes, formatJson, shellWord } from "../text.ts";

interface PackFlags {
  out: string | null;
  imageSize: number;
  resize: ResizeMode;
  workers: number | null;
  json: boolean;
}

const options: Options<PackFlags> = {
  out: { kind: text("file"), default: null, help: "the pack to write, which --data then takes" },
  imageSize: {
    kind: integer(1),
    default: defaultPreprocessing.imageSize,
    help: "side of the square that the network will see, in pixels",
  },
  resize: {
    kind: choice(resizeModes),
    default: defaultPreprocessing.resize,
    help: "how an image is brought to that size",
  },
  workers: computeOptions.workers,
  json,
};

type Backend = Pick<typeof import("../../data/pack.ts"), "packManifest">;

export function packCommand(load: () => Promise<Backend> = () => import("../../data/pack.ts")): CommandSpec<PackFlags> {
  return {
    name: "pack",
    summary: "decode the images of a manifest once and for all, into a file that train and eval take by --data",
    positionals: [{ syntax: "<manifest>", help: "whose images to pack, all splits" }],
    options,
    examples: [
      "aenet data pack photos/manifest.csv --out photos.pack",
      "aenet train --data photos.pack --out runs/first",
    ],
    async run({ values }, terminal, [manifest]) {
      const out = required("--out", values.out, "the pack to write");
      const { packManifest } = await load();
      const progress = new Progress(terminal);
      const report = await packManifest(manifest!, {
        out,
        imageSize: values.imageSize,
        resize: values.resize,
        ...(values.workers === null ? {} : { workers: values.workers }),
        onProgress: counter(progress, "packed"),
        onMessage: (line) => progress.note(line),
      }).finally(() => progress.clear());
      terminal.out(values.json ? formatJson(report) : formatPack(report));
      if (!values.json) for (const { path, error } of report.damaged) progress.note(`damaged: ${path}: ${error}`);
      return report.damaged.length > 0 ? exitCodes.someFailed : exitCodes.done;
    },
  };
}

export function formatPack(report: PackReport): string {
  const { out, images, damaged, decodedSize, imageSize, resize } = report;
  const size = imageSize === defaultPreprocessing.imageSize ? "" : ` --image-size ${imageSize}`;
  const mode = resize === defaultPreprocessing.resize ? "" : ` --resize ${resize}`;
  return alignLeft([
    ["pack", `${out}, ${bytes(report.bytes)}`],
    ["images", `${images} of ${decodedSize}×${decodedSize}${damaged.length > 0 ? `, ${damaged.length} damaged` : ""}`],
    ["to train", `aenet train --data ${shellWord(out)}${size}${mode} --out DIR`],
  ]);
}
