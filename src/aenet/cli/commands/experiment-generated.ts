import { availableParallelism } from "node:os";
import type { GeneratedProtocol } from "../../experiment/generated/protocol.ts";
import { registeredProtocol } from "../../experiment/generated/protocol.ts";
import type { CommandSpec } from "../command.ts";
import { type ExitCode, exitCodes, required, UsageError } from "../errors.ts";
import {
  type ExperimentFlags,
  experimentOptions,
  listJobs,
  requireFullPrecision,
  watchExperiment,
} from "../experiment-options.ts";
import { integer, list, number } from "../kinds.ts";
import type { Option } from "../settings.ts";

interface GeneratedFlags extends ExperimentFlags {
  seeds: number;
  exploratorySeeds: number;
  pilotSeeds: number;
  trials: number;
  rhos: readonly number[];
  trainSizes: readonly number[];
  epochs: readonly number[];
  valSize: number;
  testSize: number;
  pretrainSize: number;
  layoutEpochs: number;
  pretrainEpochs: number;
  imageSize: number;
  batchSize: number;
  depth: readonly number[];
  baseChannels: number;
  seed: number;
}

type Backend = Pick<typeof import("../../experiment/generated/run.ts"), "runGenerated" | "listGenerated">;

const registered = registeredProtocol;
const group = "Protocol (as registered in docs/experiment.md; what departs from it is another experiment):";
const count = (usual: number, help: string, least = 1): Option<number> => ({
  kind: integer(least),
  default: usual,
  help,
  group,
});

export function generatedCommand(
  load: () => Promise<Backend> = () => import("../../experiment/generated/run.ts"),
): CommandSpec<GeneratedFlags> {
  return {
    name: "generated",
    summary: "compare the paper's methods and four controls on generated scenes, by the registered protocol",
    options: {
      ...experimentOptions,
      seeds: count(registered.seeds, "pairs of the primary tests"),
      exploratorySeeds: count(registered.exploratorySeeds, "seeds of everything else"),
      pilotSeeds: count(registered.pilotSeeds, "pilot seeds whose differences tell what can be detected", 2),
      trials: count(registered.trials, "settings tried for every method"),
      rhos: {
        kind: list(number(0, 1)),
        default: registered.rhos,
        help: `correlations of the tasks; ${registered.primaryRho} is the primary cell's`,
        group,
      },
      trainSizes: {
        kind: list(integer(1)),
        default: registered.sizes.map(({ train }) => train),
        help: "training scenes; the last is the primary cell's",
        group,
      },
      epochs: {
        kind: list(integer(1)),
        default: registered.sizes.map(({ epochs }) => epochs),
        help: "over the scenes of each size",
        group,
      },
      valSize: count(registered.val, "validation scenes"),
      testSize: count(registered.test, "test scenes"),
      pretrainSize: count(registered.pretraining.train, "scenes of each pre-training"),
      layoutEpochs: count(
        registered.pretraining.layoutEpochs,
        "over those of the layouts, for S and the wide networks",
      ),
      pretrainEpochs: count(registered.pretraining.epochs, "over the others"),
      imageSize: count(registered.imageSize, "side of what the networks see, in pixels", 8),
      batchSize: count(registered.batchSize, "samples a step", 2),
      depth: { kind: list(integer(1)), default: registered.depth, help: "blocks in layer1 to layer4", group },
      baseChannels: count(registered.baseChannels, "channels of the stem"),
      seed: count(registered.seed, "of everything random", 0),
    },
    examples: [
      "aenet experiment generated --out experiments/generated",
      "aenet experiment generated --out /shared/generated --shard 1/3",
    ],
    async run({ values }, terminal): Promise<ExitCode> {
      requireFullPrecision(values);
      const protocol = protocolOf(values);
      const { runGenerated, listGenerated } = await load();
      if (values.dryRun) {
        listJobs(listGenerated(protocol), values, terminal);
        return exitCodes.done;
      }
      const out = required("--out", values.out, "the experiment's folder, new or to go on with");
      return watchExperiment(values, terminal, availableParallelism(), (settings, events) =>
        runGenerated({ protocol, out, again: values.again }, settings, events),
      );
    },
  };
}

function protocolOf(values: GeneratedFlags): GeneratedProtocol {
  const { trainSizes, epochs } = values;
  if (trainSizes.length === 0 || trainSizes.length !== epochs.length)
    throw new UsageError(
      `--train-sizes ${trainSizes.join(",")}: needs as many numbers as --epochs ${epochs.join(",")}, at least one`,
    );
  if (!values.rhos.includes(registered.primaryRho))
    throw new UsageError(`--rhos ${values.rhos.join(",")}: lacks ${registered.primaryRho}, the primary cell's`);
  return {
    ...registered,
    rhos: values.rhos,
    seed: values.seed,
    imageSize: values.imageSize,
    depth: values.depth,
    baseChannels: values.baseChannels,
    batchSize: values.batchSize,
    sizes: trainSizes.map((train, i) => ({ train, epochs: epochs[i]! })),
    val: values.valSize,
    test: values.testSize,
    pretraining: {
      ...registered.pretraining,
      train: values.pretrainSize,
      layoutEpochs: values.layoutEpochs,
      epochs: values.pretrainEpochs,
    },
    seeds: values.seeds,
    exploratorySeeds: values.exploratorySeeds,
    trials: values.trials,
    pilotSeeds: values.pilotSeeds,
  };
}
