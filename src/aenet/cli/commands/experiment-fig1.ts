import type { Figure1, HighAndLow } from "../../experiment/figure1.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required } from "../errors.ts";
import { choice, classNames, text } from "../kinds.ts";
import { json } from "../options.ts";
import type { Options } from "../settings.ts";
import { alignRight, formatJson, percent } from "../text.ts";

interface Fig1Flags {
  data: string | null;
  out: string | null;
  split: "all" | "train" | "val" | "test";
  classes: readonly string[] | null;
  json: boolean;
}

const options: Options<Fig1Flags> = {
  data: { kind: text("file"), default: null, help: "a manifest, or a pack of one" },
  out: {
    kind: text("folder"),
    default: null,
    help: "receives figure1.svg, .csv and .json, and scores.svg and .csv where there are scores",
  },
  split: { kind: choice(["all", "train", "val", "test"]), default: "all", help: "which images are counted" },
  classes: { kind: classNames, default: null, help: "the emotions and their order (default: the data set's)" },
  json,
};

type Backend = Pick<typeof import("../../experiment/write-figure1.ts"), "writeFigure1">;

export function fig1Command(
  load: () => Promise<Backend> = () => import("../../experiment/write-figure1.ts"),
): CommandSpec<Fig1Flags> {
  return {
    name: "fig1",
    summary: "draw the paper's Figure 1 from any manifest: aesthetics by emotion, and the scores' distribution",
    options,
    examples: ["aenet experiment fig1 --data iae.csv --out figures"],
    async run({ values }, terminal) {
      const data = required("--data", values.data, "a manifest");
      const out = required("--out", values.out, "the folder for the figures");
      const { writeFigure1 } = await load();
      const { split, classes } = values;
      const { figure, files } = await writeFigure1({ data, out, split, ...(classes && { classes }) });
      terminal.out(values.json ? formatJson({ ...figure, files }) : formatFigure(figure));
      if (!files.some((file) => file.endsWith("figure1.svg")))
        terminal.err("no image has both labels, so only the scores are drawn\n");
      if (!values.json) terminal.err(`${files.join("\n")}\n`);
      return exitCodes.done;
    },
  };
}

export function formatFigure({ classes, positive, negative, all, scores }: Figure1): string {
  const row = (name: string, { high, low, high_share }: HighAndLow) => [
    name,
    String(high),
    String(low),
    percent(high_share),
  ];
  const table = alignRight([
    ["emotion", "high", "low", "of high aesthetics"],
    ...classes.map((of) => row(of.emotion, of)),
    ...(positive && negative ? [row("positive", positive), row("negative", negative)] : []),
    row("all with an aesthetics label", all),
  ]);
  if (scores === null) return table;
  const { fit, explained_variance } = scores;
  const number = (value: number) => value.toFixed(3);
  return [
    `${table}\nscores of ${fit.n} images: mean ${number(fit.mean)}, deviation ${number(fit.deviation)}, `,
    `skewness ${number(fit.skewness)}, excess kurtosis ${number(fit.excessKurtosis)}\n`,
    `Gaussian fit: explains ${percent(explained_variance)} of the histogram's variance; `,
    `largest distance of the distribution functions ${number(fit.distance)}\n`,
  ].join("");
}
