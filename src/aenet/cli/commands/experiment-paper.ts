import { availableParallelism } from "node:os";
import { join } from "node:path";
import { registeredProtocol } from "../../experiment/generated/protocol.ts";
import { methods } from "../../experiment/methods.ts";
import type { PaperProtocol, Stage } from "../../experiment/paper/plan.ts";
import { resizeModes } from "../../preprocessing.ts";
import { defaultTrainConfig } from "../../training/config.ts";
import type { CommandSpec } from "../command.ts";
import { type ExitCode, exitCodes, required, UsageError } from "../errors.ts";
import {
  type ExperimentFlags,
  experimentOptions,
  listJobs,
  requireFullPrecision,
  watchExperiment,
} from "../experiment-options.ts";
import { boolean, choice, integer, list, text } from "../kinds.ts";
import type { Options } from "../settings.ts";
import type { Terminal } from "../terminal.ts";

interface PaperFlags extends ExperimentFlags {
  data: string | null;
  ava: string | null;
  fi: string | null;
  artphoto: string | null;
  initS: string | null;
  initWrn: string | null;
  split: PaperProtocol["split"];
  paperProtocol: boolean;
  pack: boolean;
  methods: readonly string[];
  seed: number;
  seeds: number;
  trials: number;
  epochs: number;
  tuneEpochs: number;
  pretrainEpochs: number;
  depth: readonly number[];
  baseChannels: number;
  imageSize: number;
  resize: PaperProtocol["train"]["resize"];
  batchSize: number;
  microBatch: number | null;
  augment: boolean;
}

type Backend = Pick<typeof import("../../experiment/paper/run.ts"), "runPaper" | "listPaper">;
type FigureBackend = Pick<typeof import("../../experiment/write-figure1.ts"), "writeFigure1">;
type GeneratedBackend = Pick<typeof import("../../experiment/generated/run.ts"), "runGenerated" | "listGenerated">;

const dataGroup = "Data and weights:";
const group = "Protocol:";
const manifest = (help: string) => ({ kind: text("manifest"), default: null, help, group: dataGroup });
const weights = (help: string) => ({ kind: text("file"), default: null, help, group: dataGroup });

const options: Options<PaperFlags> = {
  data: manifest("IAE"),
  ava: manifest("AVA: its training list for A's pre-training, its test list for table 2"),
  fi: manifest("FI, for E's pre-training, without what IAE holds out"),
  artphoto: manifest("ArtPhoto, for table 2"),
  initS: weights("a ResNet50 from ImageNet: S's weights, and where all other pre-training begins (default: none)"),
  initWrn: weights("a wide ResNet50 from ImageNet, for WRN (default: none)"),
  ...experimentOptions,
  split: {
    kind: choice(["manifest", "random"]),
    default: "manifest",
    help: "IAE's splits: as imported (published, or by group), or 70/10/20 at random by --seed",
    group,
  },
  paperProtocol: { kind: boolean, default: false, help: "E's pre-training keeps what IAE holds out; marked", group },
  pack: { kind: boolean, default: false, help: "decode every data set once, into packs below --out", group },
  methods: {
    kind: list(
      choice(
        methods.map(({ name }) => name),
        "name",
      ),
    ),
    default: methods.map(({ name }) => name),
    help: "which are compared",
    group,
  },
  seed: { kind: integer(0), default: 0, help: "of everything random", group },
  seeds: { kind: integer(1), default: 1, help: "trainings of every method", group },
  trials: { kind: integer(1), default: 4, help: "settings tried for every method, the paper's first", group },
  epochs: { kind: integer(1), default: defaultTrainConfig.epochs, help: "of training, at most", group },
  tuneEpochs: { kind: integer(1), default: 20, help: "of a tuning trial, at most", group },
  pretrainEpochs: { kind: integer(1), default: defaultTrainConfig.epochs, help: "of pre-training, at most", group },
  depth: { kind: list(integer(1)), default: defaultTrainConfig.depth, help: "blocks in layer1 to layer4", group },
  baseChannels: { kind: integer(1), default: defaultTrainConfig.baseChannels, help: "channels of the stem", group },
  imageSize: { kind: integer(1), default: defaultTrainConfig.imageSize, help: "side that networks see, pixels", group },
  resize: { kind: choice(resizeModes), default: defaultTrainConfig.resize, help: "to that size", group },
  batchSize: { kind: integer(1), default: defaultTrainConfig.batchSize, help: "samples a step", group },
  microBatch: { kind: integer(1), default: null, help: "samples computed at a time", group },
  augment: { kind: boolean, default: true, help: "no random crop, no flip", group },
};

const summaries: Record<Stage, string> = {
  pretrain: "pre-train A on AVA, E on FI, and one trunk on both",
  table1: "pretrain, then tune and train every method on IAE, freeze, and read IAE's test split",
  table2: "table1, then test its frozen checkpoints on AVA and ArtPhoto",
};

export function paperCommand(
  stage: Stage,
  load: () => Promise<Backend> = () => import("../../experiment/paper/run.ts"),
): CommandSpec<PaperFlags> {
  const sets = `--data iae.csv --ava ava.csv --fi fi.csv${stage === "table2" ? " --artphoto artphoto.csv" : ""}`;
  return {
    name: stage,
    summary: summaries[stage],
    options,
    examples: [
      `aenet experiment ${stage} ${sets} --init-s resnet50.safetensors --out experiments/paper`,
      `aenet experiment ${stage} ${sets} --out /shared/paper --seeds 5 --shard 1/4`,
    ],
    run: ({ values }, terminal) => runStage(stage, values, terminal, load),
  };
}

interface AllFlags extends PaperFlags {
  generated: boolean;
}

/** Both tables and the figure; or, on generated scenes, the whole of the registered protocol. */
export function allCommand(
  load: () => Promise<Backend> = () => import("../../experiment/paper/run.ts"),
  loadFigure: () => Promise<FigureBackend> = () => import("../../experiment/write-figure1.ts"),
  loadGenerated: () => Promise<GeneratedBackend> = () => import("../../experiment/generated/run.ts"),
): CommandSpec<AllFlags> {
  return {
    name: "all",
    summary: "table1, table2 and fig1 in one; with --generated, the registered experiment on generated scenes",
    options: {
      ...options,
      generated: {
        kind: boolean,
        default: false,
        help: "on generated scenes, by the registered protocol: needs no data",
      },
    },
    examples: [
      "aenet experiment all --data iae.csv --ava ava.csv --fi fi.csv --artphoto artphoto.csv --out experiments/paper",
      "aenet experiment all --generated --out experiments/generated",
    ],
    async run({ values, given }, terminal) {
      if (values.generated) {
        requireFullPrecision(values);
        // Of the environment's variables some may be meant for other commands.
        for (const [key, name] of given)
          if (!(key in experimentOptions || key === "generated") && !name.startsWith("AENET_"))
            throw new UsageError(
              `${name}: --generated runs the registered protocol as it is; aenet experiment generated takes other settings`,
            );
        const { runGenerated, listGenerated } = await loadGenerated();
        if (values.dryRun) {
          listJobs(listGenerated(registeredProtocol), values, terminal);
          return exitCodes.done;
        }
        const out = required("--out", values.out, "the experiment's folder, new or to go on with");
        return watchExperiment(values, terminal, availableParallelism(), (settings, events) =>
          runGenerated({ protocol: registeredProtocol, out, again: values.again }, settings, events),
        );
      }
      const code = await runStage("table2", values, terminal, load);
      if (code !== exitCodes.done || values.dryRun) return code;
      const { writeFigure1 } = await loadFigure();
      const { files } = await writeFigure1({ data: values.data!, out: join(values.out!, "figures"), split: "all" });
      terminal.err(`${files.join("\n")}\n`);
      return code;
    },
  };
}

async function runStage(
  stage: Stage,
  values: PaperFlags,
  terminal: Terminal,
  load: () => Promise<Backend>,
): Promise<ExitCode> {
  const data = required("--data", values.data, "IAE's manifest");
  const protocol: PaperProtocol = {
    data,
    ava: values.ava,
    fi: values.fi,
    artphoto: values.artphoto,
    initS: values.initS,
    initWrn: values.initWrn,
    split: values.split,
    paperProtocol: values.paperProtocol,
    pack: values.pack,
    methods: values.methods,
    seed: values.seed,
    seeds: values.seeds,
    trials: values.trials,
    epochs: values.epochs,
    tuneEpochs: values.tuneEpochs,
    pretrainEpochs: values.pretrainEpochs,
    train: {
      depth: values.depth,
      baseChannels: values.baseChannels,
      imageSize: values.imageSize,
      resize: values.resize,
      batchSize: values.batchSize,
      microBatch: values.microBatch,
      augment: values.augment,
      precision: values.precision,
    },
  };
  const { runPaper, listPaper } = await load();
  if (values.dryRun) {
    listJobs(listPaper(protocol, stage), values, terminal, false); // what an epoch takes depends on the device
    return exitCodes.done;
  }
  const out = required("--out", values.out, "the experiment's folder, new or to go on with");
  // One process: a whole network fills a device; --jobs says otherwise.
  return watchExperiment(values, terminal, 1, (settings, events) =>
    runPaper({ protocol, stage, out, again: values.again }, settings, events),
  );
}
