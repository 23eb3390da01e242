import { type ArchName, archNames } from "../../architecture.ts";
import type { ExportReport } from "../../onnx/export.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required } from "../errors.ts";
import { choice, classNames, integer, text } from "../kinds.ts";
import { json } from "../options.ts";
import type { Options } from "../settings.ts";
import { alignLeft, bytes, formatJson } from "../text.ts";

interface ExportFlags {
  checkpoint: string | null;
  onnx: string | null;
  json: boolean;
  imageSize: number | null;
  arch: ArchName | null;
  classes: readonly string[] | null;
}

const group = "Instead of what the checkpoint says:";

const options: Options<ExportFlags> = {
  checkpoint: { kind: text("file"), default: null, help: "the network, as train or others wrote it" },
  onnx: { kind: text("file"), default: null, help: "the ONNX file to write; one that is there is replaced" },
  json,
  imageSize: { kind: integer(1), default: null, help: "side of the square that the network sees", group },
  arch: { kind: choice(archNames, "name"), default: null, help: archNames.join(", "), group },
  classes: { kind: classNames, default: null, help: "the emotions in order", group },
};

type Backend = Pick<typeof import("../../onnx/export.ts"), "exportOnnx">;

export function exportCommand(
  load: () => Promise<Backend> = () => import("../../onnx/export.ts"),
): CommandSpec<ExportFlags> {
  return {
    name: "export",
    summary: "write a checkpoint for other runtimes",
    options,
    examples: ["aenet export --checkpoint runs/first/checkpoints/best.safetensors --onnx aenet.onnx"],
    async run({ values }, terminal) {
      const given = {
        checkpoint: required("--checkpoint", values.checkpoint),
        onnx: required("--onnx", values.onnx, "the file to write"),
      };
      const { exportOnnx } = await load();
      const report = await exportOnnx({
        ...given,
        imageSize: values.imageSize ?? undefined,
        arch: values.arch ?? undefined,
        classes: values.classes ?? undefined,
      });
      terminal.out(values.json ? formatJson(report) : formatExport(report));
      return exitCodes.done;
    },
  };
}

export function formatExport(report: ExportReport): string {
  const { onnx, arch, opset, image_size: size, classes, outputs } = report;
  const meaning: Record<string, string> = {
    aes_prob: "[N], the probability of high aesthetic quality",
    emo_prob: `[N, ${classes.length}], the probabilities of ${classes.join(", ")}`,
  };
  return alignLeft([
    [onnx, `${arch}, ONNX opset ${opset}, ${bytes(report.bytes)}`],
    ["  image", `[N, 3, ${size}, ${size}], RGB, normalised as the metadata's preprocess says`],
    ...outputs.map((name) => [`  ${name}`, meaning[name]!]),
  ]);
}
