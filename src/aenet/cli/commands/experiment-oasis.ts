import { availableParallelism } from "node:os";
import type { CommandSpec } from "../command.ts";
import { exitCodes, required } from "../errors.ts";
import {
  type ExperimentFlags,
  experimentOptions,
  listJobs,
  requireFullPrecision,
  watchExperiment,
} from "../experiment-options.ts";
import { integer, list, text } from "../kinds.ts";
import type { Options } from "../settings.ts";

interface OasisFlags extends ExperimentFlags {
  data: string | null;
  epochs: number | null;
  imageSize: number | null;
  depth: readonly number[] | null;
  baseChannels: number | null;
}

type Backend = Pick<typeof import("../../experiment/oasis/run.ts"), "runOasis" | "listOasis"> &
  Pick<typeof import("../../experiment/oasis/plan.ts"), "oasisProtocol">;

const group = "Protocol (default: as in docs/experiment.md):";
const options: Options<OasisFlags> = {
  data: { kind: text("folder"), default: null, help: "with oasis.csv and oasis/" },
  ...experimentOptions,
  epochs: { kind: integer(1), default: null, help: "of every training", group },
  imageSize: { kind: integer(8), default: null, help: "side of what the networks see, in pixels", group },
  depth: { kind: list(integer(1)), default: null, help: "blocks in layer1 to layer4", group },
  baseChannels: { kind: integer(1), default: null, help: "channels of the stem", group },
};

const loadBackend = async (): Promise<Backend> => ({
  ...(await import("../../experiment/oasis/run.ts")),
  ...(await import("../../experiment/oasis/plan.ts")),
});

export function oasisCommand(load: () => Promise<Backend> = loadBackend): CommandSpec<OasisFlags> {
  return {
    name: "oasis",
    summary: "the paper's six methods on OASIS, small, cross-validated by theme: descriptive only",
    options,
    examples: ["aenet experiment oasis --data oasis --out experiments/oasis"],
    async run({ values }, terminal) {
      requireFullPrecision(values);
      const { runOasis, listOasis, oasisProtocol } = await load();
      const { epochs, imageSize, depth, baseChannels } = values;
      const given = Object.entries({ epochs, imageSize, depth, baseChannels }).filter(([, value]) => value !== null);
      const protocol = { ...oasisProtocol, ...Object.fromEntries(given) };
      if (values.dryRun) {
        listJobs(listOasis(protocol), values, terminal);
        return exitCodes.done;
      }
      const data = required("--data", values.data, "the folder of OASIS");
      const out = required("--out", values.out, "the experiment's folder, new or to go on with");
      return watchExperiment(values, terminal, availableParallelism(), (settings, events) =>
        runOasis({ data, protocol, out, again: values.again }, settings, events),
      );
    },
  };
}
