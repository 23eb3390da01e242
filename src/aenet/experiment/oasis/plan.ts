/** The paper's six methods on OASIS, cross-validated by theme: descriptive only. */
import { join } from "node:path";
import type { Device } from "../../../kernels/device.ts";
import { type Architecture, type ArchName, createArchitecture, tasksOf } from "../../architecture.ts";
import { configSha256 } from "../../config.ts";
import { FileImages } from "../../data/image-source.ts";
import type { OasisPhoto } from "../../data/import-oasis.ts";
import { type Environment, environmentOf } from "../../environment.ts";
import { createNetwork } from "../../model.ts";
import { averageAnswers, fusionHistoryOf, historyOfTraces, predictionsOf } from "../answers.ts";
import { type FrozenNetwork, type FrozenRun, readFrozen, readingId, recordReading, writeFrozen } from "../frozen.ts";
import { type MethodPlan, methods, tasksOfMethod } from "../methods.ts";
import { answersOf, nearestWidth, saveNetwork } from "../networks.ts";
import { type Experiment, writeRunResult } from "../results.ts";
import { seedOf } from "../streams.ts";
import { type EpochTrace, type Images, type Rates, trainUntilFinite } from "../trainer.ts";
import type { Job, WorkFolder } from "../worklist.ts";
import { foldSamples, foldsOf } from "./folds.ts";

export interface OasisProtocol {
  /** Of everything random. */
  readonly seed: number;
  readonly folds: number;
  readonly imageSize: number;
  readonly depth: readonly number[];
  readonly baseChannels: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** The same for every method: with so few photographs nothing is tuned. */
  readonly rates: Rates;
}

export const oasisProtocol: OasisProtocol = {
  seed: 2026,
  folds: 5,
  imageSize: 64,
  depth: [1, 1, 1, 1],
  baseChannels: 8,
  batchSize: 32,
  epochs: 12,
  rates: { lr: 0.03, fusionLr: 0.03, lambda: 1 },
};

export interface OasisContext {
  readonly folder: WorkFolder;
  readonly photos: readonly OasisPhoto[];
  readonly device: () => Promise<Device>;
  /** Images decoded at a time. */
  readonly workers?: number | undefined;
  readonly reading: number;
}

const classes = ["pleasant-aroused", "pleasant-calm", "unpleasant-aroused", "unpleasant-calm"];
const compared = methods.filter(({ role }) => role === "paper");

interface Trained {
  readonly networks: readonly (Omit<FrozenNetwork, "checkpoint"> & {
    /** How often it diverged and was begun anew at half the rates. */
    readonly halvings: number;
    readonly epochs: readonly EpochTrace[];
  })[];
  readonly settings: FrozenRun["settings"];
  readonly environment: Environment;
}

export function describeOasis({ folds }: OasisProtocol): Experiment {
  return {
    format: "aenet-experiment/1",
    title: "The paper's methods on OASIS, cross-validated by theme",
    protocol: "docs/experiment.md",
    methods: compared.map(({ name, title, role, paper_row }) => ({ name, title, role, paper_row })),
    cells: [{ cell: "oasis", title: "OASIS, each photograph tested once", kind: "descriptive", seeds: [0], folds }],
    primary: [],
    alpha: 0.05,
    pilot: null,
  };
}

export function oasisPlan(protocol: OasisProtocol, context: OasisContext): Job[] {
  const { folder, reading, photos } = context;
  const { seed, folds, imageSize, batchSize, epochs, rates, depth, baseChannels } = protocol;
  const foldOf = photos.length === 0 ? [] : foldsOf(photos, folds, seedOf(seed, "folds"));
  const wide = nearestWidth(protocol, classes);
  const architectureOf = (arch: string): Architecture =>
    createArchitecture(arch, classes, {
      depth,
      baseChannels,
      ...(arch.startsWith("wrn") ? { baseWidth: wide } : {}),
    });
  // Which photographs are trained on differs by fold, how they look does not: they are decoded once.
  let source: FileImages | null = null;
  const imagesOf = (fold: number): Images => {
    const samples = foldSamples(photos, foldOf, fold);
    source ??= new FileImages(samples, { imageSize, resize: "squash" });
    return { samples, source, workers: context.workers };
  };
  const trainingId = (fold: number, { name }: MethodPlan) => `fold-${fold}/train/${name}`;
  const runs = Array.from({ length: folds }, (_, fold) => compared.map((method) => ({ fold, method }))).flat();

  const training = ({ fold, method }: (typeof runs)[number]): Job => ({
    id: trainingId(fold, method),
    needs: [],
    lane: fold,
    cost: method.networks.reduce((sum, { arch }) => sum + epochs * secondsAnEpoch(arch), 0),
    files: method.networks.map((_, i) => `network-${i}.safetensors`),
    async run({ folder: path, signal }): Promise<Trained> {
      const data = imagesOf(fold);
      const device = await context.device();
      const networks: Trained["networks"][number][] = [];
      const settings = { lr: rates.lr, fusion_lr: rates.fusionLr, lambda: rates.lambda, epochs, batch_size: batchSize };
      for (const [i, { arch, freeze }] of method.networks.entries()) {
        const architecture = architectureOf(arch);
        const seeds = { init: seedOf(seed, "init", fold), order: seedOf(seed, "order", fold) };
        const budget = { epochs, batchSize };
        const trained = await trainUntilFinite(
          device,
          // There is no validation split, and the test split is read once and at the end.
          { architecture, data, rates, budget, freeze, augment: true, seeds, start: [], watch: "train" },
          signal,
        );
        const config = configSha256({ ...settings, architecture, freeze, seeds, fold } as unknown as Record<
          string,
          unknown
        >);
        networks.push({
          arch,
          parameters: createNetwork(architecture).parameters.count,
          config_sha256: config,
          checkpoint_sha256: await saveNetwork(join(path, `network-${i}.safetensors`), architecture, trained.weights, {
            step: trained.steps,
            imageSize,
            config,
          }),
          halvings: trained.halvings,
          epochs: trained.epochs,
        });
      }
      return { networks, settings, environment: environmentOf(device) };
    },
  });

  const freeze: Job = {
    id: "freeze",
    needs: runs.map(({ fold, method }) => trainingId(fold, method)),
    lane: 0,
    cost: 0.1,
    async run() {
      const frozen: FrozenRun[] = [];
      const environments: Environment[] = [];
      for (const { fold, method } of runs) {
        const { networks, settings, environment } = await folder.read<Trained>(trainingId(fold, method));
        environments.push(environment);
        frozen.push({
          method: method.name,
          cell: "oasis",
          seed: 0,
          fold,
          settings,
          networks: networks.map(({ epochs: _, halvings: __, ...network }, i) => ({
            ...network,
            checkpoint: `jobs/${trainingId(fold, method)}/network-${i}.safetensors`,
          })),
        });
      }
      await writeFrozen(folder.path, frozen, environments);
      return { runs: frozen.length };
    },
  };

  const test = ({ fold, method }: (typeof runs)[number]): Job => {
    const name = `fold-${fold}/test/${method.name}`;
    return {
      id: readingId(name, reading),
      needs: ["freeze", trainingId(fold, method)],
      lane: fold,
      cost: 1,
      async run() {
        const frozen = (await readFrozen(folder.path)).runs.find(
          (run) => run.method === method.name && run.fold === fold,
        );
        if (!frozen) throw new Error(`frozen.json: has no ${method.name} of fold ${fold}`);
        const trained = await folder.read<Trained>(trainingId(fold, method));
        const key = { method: method.name, cell: "oasis", seed: 0, fold, tasks: tasksOfMethod(method) };
        return recordReading(folder.path, name, reading, [key], async () => {
          const data = imagesOf(fold);
          const device = await context.device();
          const answered = await answersOf(device, folder.path, frozen.networks, architectureOf, data, "test");
          const traces = trained.networks.map(({ epochs }) => epochs);
          await writeRunResult(folder.path, {
            format: "aenet-run-result/1",
            ...key,
            networks: frozen.networks.map(({ checkpoint: _, ...network }) => network),
            pretraining: "",
            paper_protocol: false,
            readings: reading,
            settings: { ...frozen.settings, halvings: Math.max(...trained.networks.map(({ halvings }) => halvings)) },
            classes,
            predictions: predictionsOf(data.samples, answered.rows, averageAnswers(answered.results), classes, {
              imageOf: (row) => data.samples[row]!.path,
              groupOf: (row) => photos[row]!.group,
            }),
            history: trained.networks.map(({ arch, epochs }) => ({
              tasks: tasksOf(arch as ArchName),
              ...historyOfTraces(epochs, rates.lambda),
            })),
            fusion: traces.length === 1 ? fusionHistoryOf(traces[0]!) : null,
          });
        });
      },
    };
  };

  return [...runs.map(training), freeze, ...runs.map(test)];
}

/** Some 500 photographs at the protocol's size on one core; for the time left only. */
function secondsAnEpoch(arch: string): number {
  const seconds: Record<string, number> = { aenet: 5, "aenet-fl": 5, csnet: 3.4, "wrn-aes": 3, "wrn-emo": 3 };
  return seconds[arch] ?? 1.8;
}
