/** The experiment on generated scenes as a list of jobs: pilot, tuning, pre-training, training, freezing, reading. */
import { join } from "node:path";
import type { Device } from "../../../kernels/device.ts";
import { parseSafetensors } from "../../../nn/index.ts";
import { Random } from "../../../random.ts";
import { type Architecture, type ArchName, createArchitecture, type Task, tasksOf } from "../../architecture.ts";
import { configSha256 } from "../../config.ts";
import { EIGHT_EMOTIONS } from "../../data/classes.ts";
import type { ImageSource } from "../../data/image-source.ts";
import type { Sample } from "../../data/manifest.ts";
import { type Environment, environmentOf } from "../../environment.ts";
import type { InitFlag } from "../../initialize.ts";
import { largestIndex } from "../../metrics.ts";
import { createNetwork } from "../../model.ts";
import { averageAnswers, fusionHistoryOf, historyOfTraces, predictionsOf } from "../answers.ts";
import {
  type FrozenNetwork,
  type FrozenRun,
  readFrozen,
  readFrozenCheckpoint,
  readingId,
  recordReading,
  writeFrozen,
} from "../frozen.ts";
import { basisOf, type MethodPlan, methods, type NetworkPlan, type Pretraining, tasksOfMethod } from "../methods.ts";
import { answersOf, nearestWidth, saveNetwork } from "../networks.ts";
import {
  cellName,
  type Experiment,
  type GeneratedCell,
  type PilotDifferences,
  type RunResult,
  writeExperiment,
  writeRunResult,
} from "../results.ts";
import { seedOf } from "../streams.ts";
import {
  Diverged,
  type EpochTrace,
  type Images,
  type Rates,
  type StartWeights,
  testNetwork,
  trainNetwork,
  trainUntilFinite,
  type Weights,
} from "../trainer.ts";
import type { Job, WorkFolder } from "../worklist.ts";
import { type GeneratedProtocol, primaryComparisons, primaryRhoOnly, registeredProtocol } from "./protocol.ts";
import { histogramFeatures, logisticAnswers, oracleAnswers } from "./references.ts";
import { labelScenes, layoutClasses, type SceneCounts, type SceneSet, sceneSet } from "./scenes.ts";

export interface PlanContext {
  readonly folder: WorkFolder;
  /** The process's one device, opened when it is first needed. */
  readonly device: () => Promise<Device>;
  /** The number of this reading of the test splits, from 1. */
  /** Images drawn at a time. */
  readonly workers?: number | undefined;
  readonly reading: number;
}

/** Scenes, start values and order of one repetition; pilot repetitions are tuned on and thrown away. */
interface Repetition {
  readonly kind: "pilot" | "seed";
  readonly index: number;
}

/** What training a method leaves in done.json. */
interface TrainedMethod {
  readonly networks: readonly (Omit<FrozenNetwork, "checkpoint"> & {
    readonly file: string;
    readonly steps: number;
    /** How often it diverged and was begun anew at half the rates. */
    readonly halvings: number;
    readonly epochs: readonly EpochTrace[];
  })[];
  readonly settings: FrozenRun["settings"];
  /** On the validation scenes. */
  readonly val: Accuracies;
  /** Absent in what was trained before it was recorded. */
  readonly environment?: Environment;
}

/** What a pre-training leaves in done.json, of what others read. */
interface Pretrained {
  readonly sha256: string;
  readonly halvings: number;
  readonly environment?: Environment;
}

interface Accuracies {
  readonly aes: number | null;
  readonly emo: number | null;
}

interface Choice {
  readonly trial: number;
  readonly rates: Rates;
  readonly score: number;
}

/** Nothing of a final seed is trained before its settings are chosen and the pilot has said what can be seen. */
const gateOf = ({ kind }: Repetition) => (kind === "seed" ? ["choose", "pilot"] : []);

const nameOf = ({ kind, index }: Repetition) => `${kind}-${index}`;

export function generatedPlan(protocol: GeneratedProtocol, context: PlanContext): Job[] {
  return new Plan(protocol, context).jobs();
}

/** What the reports need to know of the experiment. */
export function describeGenerated(protocol: GeneratedProtocol, pilot: Experiment["pilot"]): Experiment {
  const told = protocol.pilotSeeds >= 2 ? pilot : null; // one difference has no spread
  const registered = JSON.stringify(protocol) === JSON.stringify(registeredProtocol);
  const primary = primaryCell(protocol);
  return {
    format: "aenet-experiment/1",
    title: "AENet on generated scenes",
    protocol: registered ? "docs/experiment.md" : "docs/experiment.md, with other settings",
    methods: [
      ...methods.map(({ name, title, role, paper_row }) => ({ name, title, role, paper_row })),
      {
        name: "histogram",
        title: "logistic regression on colour histograms",
        role: "reference" as const,
        paper_row: null,
      },
      { name: "oracle", title: "oracle that knows the factors", role: "reference" as const, paper_row: null },
    ],
    cells: cellsOf(protocol).map((cell) => {
      const isPrimary = cellName(cell) === cellName(primary);
      return {
        cell,
        title: `ρ = ${cell.rho}, ${cell.size} training scenes`,
        kind: isPrimary ? ("primary" as const) : ("exploratory" as const),
        seeds: range(isPrimary ? protocol.seeds : protocol.exploratorySeeds),
        folds: null,
      };
    }),
    primary: comparisonsOf(primary),
    alpha: protocol.alpha,
    pilot: told,
  };
}

/** {@link describeGenerated} with the pilot that the folder has, if it has one. */
export async function describeFolder(protocol: GeneratedProtocol, folder: WorkFolder): Promise<Experiment> {
  const pilot = folder.isDone("pilot") ? (await folder.read<{ pilot: PilotDifferences[] }>("pilot")).pilot : null;
  return describeGenerated(protocol, pilot);
}

function primaryCell({ sizes, primaryRho }: GeneratedProtocol): GeneratedCell {
  return { rho: primaryRho, size: sizes.at(-1)!.train };
}

/** The primary cell first. */
function cellsOf(protocol: GeneratedProtocol): GeneratedCell[] {
  const primary = primaryCell(protocol);
  const all = [...protocol.sizes].reverse().flatMap(({ train }) => protocol.rhos.map((rho) => ({ rho, size: train })));
  return [primary, ...all.filter((cell) => cellName(cell) !== cellName(primary))];
}

function comparisonsOf(cell: GeneratedCell) {
  return primaryComparisons.flatMap(({ method, against }) =>
    (["aes", "emo"] as const).map((task) => ({ method, against, task, cell })),
  );
}

/** The settings of a trial, the same ones for every method. */
export function trialRates({ seed, firstTrial, trialRanges }: GeneratedProtocol, trial: number): Rates {
  if (trial === 0) return firstTrial;
  const random = new Random(seedOf(seed, "tuning"), "trial", trial);
  const draw = ([low, high]: readonly [number, number]) => {
    const value = Math.exp(random.uniform(Math.log(low), Math.log(high)));
    return Number(value.toPrecision(3));
  };
  return { lr: draw(trialRanges.lr), fusionLr: draw(trialRanges.fusionLr), lambda: draw(trialRanges.lambda) };
}

class Plan {
  readonly #protocol: GeneratedProtocol;
  readonly #context: PlanContext;
  readonly #sets = new Map<string, SceneSet>();
  /** WRN's base width, whose parameters are nearest to AENet's. */
  readonly #wideWidth: number;

  constructor(protocol: GeneratedProtocol, context: PlanContext) {
    this.#protocol = protocol;
    this.#context = context;
    this.#wideWidth = nearestWidth(protocol, EIGHT_EMOTIONS);
  }

  jobs(): Job[] {
    const { protocol, primary } = { protocol: this.#protocol, primary: primaryCell(this.#protocol) };
    const { seeds, exploratorySeeds, trials, tuningSeeds, pilotSeeds } = protocol;
    const jobs = new Map<string, Job>();
    const add = (job: Job) => jobs.set(job.id, job);

    const tuning = range(tuningSeeds).map((index): Repetition => ({ kind: "pilot", index }));
    const piloting = range(pilotSeeds).map((index): Repetition => ({ kind: "pilot", index: tuningSeeds + index }));
    for (const repetition of tuning)
      for (const method of methods) {
        for (const job of this.#pretraining(repetition, method, primary.rho)) add(job);
        for (const trial of range(trials)) add(this.#trial(repetition, method, primary, trial));
      }
    add(this.#choose(tuning, primary));
    const compared = [...new Set(primaryComparisons.flatMap(({ method, against }) => [method, against]))];
    for (const repetition of piloting)
      for (const method of methods.filter(({ name }) => (compared as string[]).includes(name))) {
        for (const job of this.#pretraining(repetition, method, primary.rho)) add(job);
        add(this.#training(repetition, method, primary));
        add(this.#pilotTest(repetition, method, primary));
      }
    add(this.#pilot(piloting, compared, primary));

    const trained: { repetition: Repetition; method: MethodPlan; cell: GeneratedCell }[] = [];
    for (const cell of cellsOf(protocol)) {
      const isPrimary = cellName(cell) === cellName(primary);
      for (const index of range(Math.max(seeds, exploratorySeeds)))
        for (const method of methods) {
          const isCompared = isPrimary && (compared as string[]).includes(method.name);
          if (index >= (isCompared ? seeds : exploratorySeeds)) continue;
          if (cell.rho !== protocol.primaryRho && primaryRhoOnly.includes(method.name)) continue;
          trained.push({ repetition: { kind: "seed", index }, method, cell });
        }
    }
    // Repetition by repetition, so that its scenes are drawn once; the primary cell's runs before the others'.
    const rank = ({ repetition, cell }: (typeof trained)[number]) =>
      (cellName(cell) === cellName(primary) ? 0 : 1000) + repetition.index;
    trained.sort((a, b) => rank(a) - rank(b));
    for (const { repetition, method, cell } of trained) {
      for (const job of this.#pretraining(repetition, method, cell.rho)) add(job);
      add(this.#training(repetition, method, cell));
    }
    add(this.#freeze(trained));
    for (const run of trained) add(this.#test(run));
    const tested = new Map(
      trained.map(({ repetition, cell }) => [`${repetition.index} ${cellName(cell)}`, { repetition, cell }]),
    );
    for (const { repetition, cell } of tested.values()) add(this.#references(repetition, cell));
    return [...jobs.values()];
  }

  // Pre-training

  #pretrainingId(repetition: Repetition, from: Pretraining, rho: number): string {
    const labelled = from === "e" || from === "ae"; // by emotions, which depend on ρ
    return `${nameOf(repetition)}/pretrain-${from}${labelled ? `-rho${rho}` : ""}`;
  }

  #pretraining(repetition: Repetition, method: MethodPlan, rho: number): Job[] {
    return pretrainingsOf(method).map((from) => this.#pretrain(repetition, from, rho));
  }

  /** What the pre-trainings of a method left. */
  #pretrained(repetition: Repetition, method: MethodPlan, rho: number): Promise<Pretrained[]> {
    const { folder } = this.#context;
    return Promise.all(
      pretrainingsOf(method).map((from) => folder.read<Pretrained>(this.#pretrainingId(repetition, from, rho))),
    );
  }

  #pretrain(repetition: Repetition, from: Pretraining, rho: number): Job {
    const { pretraining, seed, batchSize } = this.#protocol;
    const basis = basisOf(from);
    const arch = ({ s: "resnet50-emo", w: "wrn-emo", a: "resnet50-aes", e: "resnet50-emo", ae: "ssnet" } as const)[
      from
    ];
    const isLayout = basis === null;
    const epochs = isLayout ? pretraining.layoutEpochs : pretraining.epochs;
    const steps = ((from === "ae" ? 2 : 1) * pretraining.train * epochs) / batchSize;
    return {
      id: this.#pretrainingId(repetition, from, rho),
      needs: [...gateOf(repetition), ...(basis === null ? [] : [this.#pretrainingId(repetition, basis, rho)])],
      lane: repetition.index,
      files: ["weights.safetensors"],
      cost: steps * secondsAStep(arch) + (from === "ae" ? 0 : 0.001 * pretraining.train),
      run: async ({ folder, signal }) => {
        const architecture = this.#architecture(arch, isLayout ? layoutClasses : EIGHT_EMOTIONS);
        const start =
          basis === null ? [] : [await this.#startFrom("--init", this.#pretrainingId(repetition, basis, rho), basis)];
        const job = {
          architecture,
          data: this.#pretrainingImages(repetition, from, rho),
          rates: { lr: pretraining.lr, fusionLr: 0, lambda: 1 },
          budget: { epochs, batchSize },
          freeze: [],
          augment: !isLayout, // mirrored, a layout would be another one
          seeds: {
            init: seedOf(seed, "init", repetition.kind, repetition.index, "pretraining", from),
            order: seedOf(seed, "order", repetition.kind, repetition.index, "pretraining", from),
          },
          start,
          watch: null,
        };
        const device = await this.#context.device();
        const trained = await trainUntilFinite(device, job, signal);
        const { weights, steps, epochs: traces, halvings } = trained;
        const sha256 = await this.#save(join(folder, "weights.safetensors"), architecture, weights, steps);
        return { sha256, steps, epochs: traces, halvings, environment: environmentOf(device) };
      },
    };
  }

  #pretrainingImages(repetition: Repetition, from: Pretraining, rho: number): Images {
    const { pretraining } = this.#protocol;
    const counts = { train: pretraining.train, val: 0, test: 0 };
    const images = (role: "s" | "a" | "e", kind: "layout" | "aesthetics" | "emotion"): Images => {
      const set = this.#scenes(repetition, `pretraining ${role}`, counts);
      return { samples: labelScenes(set, kind, rho), source: set.images };
    };
    switch (from) {
      case "s":
      case "w":
        return images("s", "layout");
      case "a":
        return images("a", "aesthetics");
      case "e":
        return images("e", "emotion");
      case "ae":
        return concatenate(images("a", "aesthetics"), images("e", "emotion"));
    }
  }

  // Tuning, on the validation scenes of pilot seeds

  #trialId(repetition: Repetition, method: MethodPlan, trial: number): string {
    return `${nameOf(repetition)}/tune/${method.name}-${trial}`;
  }

  #trial(repetition: Repetition, method: MethodPlan, cell: GeneratedCell, trial: number): Job {
    return {
      id: this.#trialId(repetition, method, trial),
      needs: this.#starts(repetition, method, cell),
      lane: trial,
      cost: this.#cost(method, cell),
      run: async ({ signal }) => {
        const rates = trialRates(this.#protocol, trial);
        try {
          const { val } = await this.#trainMethod(repetition, method, cell, rates, null, signal);
          return { rates, val, score: scoreOf(val) };
        } catch (error) {
          if (!(error instanceof Diverged)) throw error;
          return { rates, val: { aes: null, emo: null }, score: 0 }; // diverged: never chosen
        }
      },
    };
  }

  #choose(tuning: readonly Repetition[], cell: GeneratedCell): Job {
    const { trials } = this.#protocol;
    return {
      id: "choose",
      needs: tuning.flatMap((repetition) =>
        methods.flatMap((method) => range(trials).map((trial) => this.#trialId(repetition, method, trial))),
      ),
      lane: 0,
      cost: 0.1,
      run: async () => {
        const choices: Record<string, Choice> = {};
        for (const method of methods) {
          const scores: number[] = [];
          for (const trial of range(trials)) {
            const found = await Promise.all(
              tuning.map((repetition) =>
                this.#context.folder.read<{ score: number }>(this.#trialId(repetition, method, trial)),
              ),
            );
            scores.push(found.reduce((sum, { score }) => sum + score, 0) / found.length);
          }
          const trial = largestIndex(scores); // the first of equals
          choices[method.name] = { trial, rates: trialRates(this.#protocol, trial), score: scores[trial]! };
        }
        return { cell, choices };
      },
    };
  }

  async #chosen(method: MethodPlan): Promise<Rates> {
    const { choices } = await this.#context.folder.read<{ choices: Record<string, Choice> }>("choose");
    return choices[method.name]!.rates;
  }

  // The pilot: what the design can detect

  #pilotTest(repetition: Repetition, method: MethodPlan, cell: GeneratedCell): Job {
    const training = this.#trainingId(repetition, method, cell);
    return {
      id: `${nameOf(repetition)}/test/${method.name}`,
      needs: [training],
      lane: repetition.index,
      cost: 2,
      run: async () => {
        const trained = await this.#context.folder.read<TrainedMethod>(training);
        const networks = trained.networks.map(({ file, ...network }) => ({
          ...network,
          checkpoint: join("jobs", training, file),
        }));
        const data = this.#images(repetition, cell);
        const { results } = await this.#answers(networks, data, "test");
        return accuraciesOf(
          data.samples.filter(({ split }) => split === "test"),
          averageAnswers(results),
        );
      },
    };
  }

  #pilot(piloting: readonly Repetition[], compared: readonly string[], cell: GeneratedCell): Job {
    const idOf = (repetition: Repetition, name: string) => `${nameOf(repetition)}/test/${name}`;
    return {
      id: "pilot",
      needs: piloting.flatMap((repetition) => compared.map((name) => idOf(repetition, name))),
      lane: 0,
      cost: 0.1,
      run: async () => {
        const accuracy = async (repetition: Repetition, name: string, task: Task) =>
          (await this.#context.folder.read<Accuracies>(idOf(repetition, name)))[task]!;
        const pilot: PilotDifferences[] = [];
        for (const comparison of comparisonsOf(cell)) {
          const differences: number[] = [];
          for (const repetition of piloting)
            differences.push(
              (await accuracy(repetition, comparison.method, comparison.task)) -
                (await accuracy(repetition, comparison.against, comparison.task)),
            );
          pilot.push({ ...comparison, differences });
        }
        await writeExperiment(this.#context.folder.path, describeGenerated(this.#protocol, pilot));
        return { pilot };
      },
    };
  }

  // Training, freezing, reading

  #trainingId(repetition: Repetition, { name }: MethodPlan, cell: GeneratedCell): string {
    return `${nameOf(repetition)}/train/${cellName(cell)}/${name}`;
  }

  #training(repetition: Repetition, method: MethodPlan, cell: GeneratedCell): Job {
    return {
      id: this.#trainingId(repetition, method, cell),
      needs: [...new Set(["choose", ...gateOf(repetition), ...this.#starts(repetition, method, cell)])],
      lane: repetition.index,
      cost: this.#cost(method, cell),
      files: method.networks.map((_, i) => `network-${i}.safetensors`),
      run: async ({ folder, signal }) =>
        this.#trainMethod(repetition, method, cell, await this.#chosen(method), folder, signal),
    };
  }

  #freeze(runs: readonly { repetition: Repetition; method: MethodPlan; cell: GeneratedCell }[]): Job {
    return {
      id: "freeze",
      needs: runs.map(({ repetition, method, cell }) => this.#trainingId(repetition, method, cell)),
      lane: 0,
      cost: 1,
      run: async () => {
        const frozen: FrozenRun[] = [];
        const environments: (Environment | undefined)[] = [];
        for (const { repetition, method, cell } of runs) {
          const id = this.#trainingId(repetition, method, cell);
          const { networks, settings, environment } = await this.#context.folder.read<TrainedMethod>(id);
          const pretrained = await this.#pretrained(repetition, method, cell.rho);
          environments.push(environment, ...pretrained.map((done) => done.environment));
          frozen.push({
            method: method.name,
            cell: cellName(cell),
            seed: repetition.index,
            fold: null,
            settings,
            networks: networks.map(({ arch, parameters, file, config_sha256, checkpoint_sha256 }) => ({
              arch,
              parameters,
              checkpoint: `jobs/${id}/${file}`,
              config_sha256,
              checkpoint_sha256,
            })),
          });
        }
        await writeFrozen(this.#context.folder.path, frozen, environments);
        return { runs: frozen.length };
      },
    };
  }

  #test({ repetition, method, cell }: { repetition: Repetition; method: MethodPlan; cell: GeneratedCell }): Job {
    const { folder, reading } = this.#context;
    const name = `${nameOf(repetition)}/test/${cellName(cell)}/${method.name}`;
    return {
      id: readingId(name, reading),
      needs: ["freeze", this.#trainingId(repetition, method, cell)],
      lane: repetition.index,
      cost: 2 * method.networks.length,
      run: async () => {
        const { runs } = await readFrozen(folder.path);
        const frozen = runs.find(
          (run) => run.method === method.name && run.cell === cellName(cell) && run.seed === repetition.index,
        );
        if (!frozen)
          throw new Error(`frozen.json: has no ${method.name} of ${cellName(cell)}, seed ${repetition.index}`);
        const trained = await folder.read<TrainedMethod>(this.#trainingId(repetition, method, cell));
        const pretrained = await this.#pretrained(repetition, method, cell.rho);
        const tasks = tasksOfMethod(method);
        const key = { method: method.name, cell, seed: repetition.index, fold: null, tasks };
        return recordReading(folder.path, name, reading, [key], async () => {
          const data = this.#images(repetition, cell);
          const { rows, results } = await this.#answers(frozen.networks, data, "test");
          const traces = trained.networks.map(({ epochs }) => epochs);
          const fusion = traces.length === 1 ? fusionHistoryOf(traces[0]!) : null;
          await this.#write(repetition, cell, {
            method: method.name,
            tasks,
            networks: frozen.networks.map(({ checkpoint: _, ...network }) => network),
            pretraining: describePretraining(method),
            settings: {
              ...frozen.settings,
              halvings: mostHalvings(trained.networks),
              pretraining_halvings: mostHalvings(pretrained),
            },
            predictions: predictionsOf(data.samples, rows, averageAnswers(results), EIGHT_EMOTIONS, {
              imageOf: (row) => row,
            }),
            history: trained.networks.map(({ arch, epochs }) => ({
              tasks: tasksOf(arch as ArchName),
              ...historyOfTraces(epochs, Number(frozen.settings.lambda)),
            })),
            fusion,
          });
        });
      },
    };
  }

  /** What networks have to beat, and what they cannot. */
  #references(repetition: Repetition, cell: GeneratedCell): Job {
    const { folder, reading } = this.#context;
    const name = `${nameOf(repetition)}/test/${cellName(cell)}/references`;
    const tasks: Task[] = ["aes", "emo"];
    const keys = ["histogram", "oracle"].map((method) => ({ method, cell, seed: repetition.index, fold: null, tasks }));
    return {
      id: readingId(name, reading),
      needs: ["freeze"],
      lane: repetition.index,
      cost: cell.size / 400,
      run: () =>
        recordReading(folder.path, name, reading, keys, async () => {
          const set = this.#targets(repetition);
          const { samples, source } = this.#images(repetition, cell);
          const features = await histogramFeatures(samples, source);
          const answers = {
            histogram: logisticAnswers(samples, features, EIGHT_EMOTIONS),
            oracle: oracleAnswers(samples, set.seed, cell.rho),
          };
          const rows = samples.flatMap(({ split }, row) => (split === "test" ? [row] : []));
          for (const [method, answered] of Object.entries(answers))
            await this.#write(repetition, cell, {
              method,
              tasks,
              networks: [],
              pretraining: "",
              settings: {},
              predictions: predictionsOf(samples, rows, answered, EIGHT_EMOTIONS, { imageOf: (row) => row }),
              history: [],
              fusion: null,
            });
        }),
    };
  }

  async #write(
    repetition: Repetition,
    cell: GeneratedCell,
    run: Omit<RunResult, "format" | "cell" | "seed" | "fold" | "paper_protocol" | "readings" | "classes">,
  ): Promise<void> {
    const { folder, reading } = this.#context;
    await writeRunResult(folder.path, {
      format: "aenet-run-result/1",
      method: run.method,
      cell,
      seed: repetition.index,
      fold: null,
      tasks: run.tasks,
      networks: run.networks,
      pretraining: run.pretraining,
      paper_protocol: false,
      readings: reading,
      settings: run.settings,
      classes: EIGHT_EMOTIONS,
      predictions: run.predictions,
      history: run.history,
      fusion: run.fusion,
    });
  }

  // Parts

  /** Trains every network of a method; where there is a folder, their checkpoints are written there. */
  async #trainMethod(
    repetition: Repetition,
    method: MethodPlan,
    cell: GeneratedCell,
    rates: Rates,
    folder: string | null,
    signal: AbortSignal,
  ): Promise<TrainedMethod> {
    const { seed, batchSize } = this.#protocol;
    const device = await this.#context.device();
    const data = this.#images(repetition, cell);
    const { epochs } = this.#protocol.sizes.find(({ train }) => train === cell.size)!;
    const settings = {
      lr: rates.lr,
      fusion_lr: rates.fusionLr,
      lambda: rates.lambda,
      epochs,
      batch_size: batchSize,
      // Of the first network; the same for every method of a repetition.
      scenes_seed: this.#targets(repetition).seed,
      init_seed: seedOf(seed, "init", repetition.kind, repetition.index),
      order_seed: seedOf(seed, "order", repetition.kind, repetition.index),
    };
    const networks: TrainedMethod["networks"][number][] = [];
    const results: Awaited<ReturnType<typeof testNetwork>>["results"][] = [];
    for (const [i, network] of method.networks.entries()) {
      const architecture = this.#architecture(network.arch, EIGHT_EMOTIONS);
      // The members of an ensemble differ in start values and order, too; all else is alike for every method.
      const member = method.networks.slice(0, i).filter(({ arch }) => arch === network.arch).length;
      const stream = (name: string) =>
        seedOf(seed, name, repetition.kind, repetition.index, ...(member === 0 ? [] : [member]));
      const seeds = { init: stream("init"), order: stream("order") };
      const start: StartWeights[] = [];
      for (const [flag, from] of Object.entries(network.start) as [InitFlag, Pretraining][])
        start.push(await this.#startFrom(flag, this.#pretrainingId(repetition, from, cell.rho), from));
      const budget = { epochs, batchSize };
      const watch = folder ? ("val" as const) : null; // a trial shows no curves
      const job = { architecture, data, rates, budget, freeze: network.freeze, augment: true, seeds, start, watch };
      // A setting that diverges in tuning is not chosen; later it has to end with something.
      const trained = folder
        ? await trainUntilFinite(device, job, signal)
        : { ...(await trainNetwork(device, job, signal)), halvings: 0 };
      const config = { ...settings, architecture, freeze: network.freeze, start: network.start, seeds, cell };
      const config_sha256 = configSha256(config as unknown as Record<string, unknown>);
      const file = `network-${i}.safetensors`;
      const checkpoint_sha256 = folder
        ? await this.#save(join(folder, file), architecture, trained.weights, trained.steps, config_sha256)
        : "";
      const parameters = createNetwork(architecture).parameters.count;
      networks.push({
        arch: network.arch,
        parameters,
        config_sha256,
        checkpoint_sha256,
        file,
        steps: trained.steps,
        halvings: trained.halvings,
        epochs: trained.epochs,
      });
      results.push((await testNetwork(device, architecture, trained.weights, data, "val", rates.lambda)).results);
    }
    const val = accuraciesOf(
      data.samples.filter(({ split }) => split === "val"),
      averageAnswers(results),
    );
    return { networks, settings, val, environment: environmentOf(device) };
  }

  #starts(repetition: Repetition, { networks }: MethodPlan, { rho }: GeneratedCell): string[] {
    const from = new Set(networks.flatMap(({ start }) => Object.values(start)));
    return [...from].map((pretraining) => this.#pretrainingId(repetition, pretraining, rho));
  }

  async #startFrom(flag: InitFlag, id: string, from: Pretraining): Promise<StartWeights> {
    const { folder } = this.#context;
    const { sha256 } = await folder.read<Pretrained>(id);
    const file = join("jobs", id, "weights.safetensors");
    const frozen = { arch: "", parameters: 0, config_sha256: "", checkpoint: file, checkpoint_sha256: sha256 };
    const { tensors } = parseSafetensors(await readFrozenCheckpoint(folder.path, frozen));
    return { flag, name: from, weights: tensors };
  }

  #save(file: string, architecture: Architecture, weights: Weights, step: number, config: string | null = null) {
    return saveNetwork(file, architecture, weights, { step, imageSize: this.#protocol.imageSize, config });
  }

  async #answers(networks: readonly FrozenNetwork[], data: Images, split: "val" | "test") {
    const architectureOf = (arch: string) => this.#architecture(arch, EIGHT_EMOTIONS);
    return answersOf(await this.#context.device(), this.#context.folder.path, networks, architectureOf, data, split);
  }

  #architecture(arch: string, classes: readonly string[]): Architecture {
    const { depth, baseChannels } = this.#protocol;
    const width = arch.startsWith("wrn") ? { baseWidth: this.#wideWidth } : {};
    return createArchitecture(arch, classes, { depth, baseChannels, ...width });
  }

  #targets(repetition: Repetition): SceneSet {
    const { sizes, val, test } = this.#protocol;
    return this.#scenes(repetition, "target", { train: Math.max(...sizes.map(({ train }) => train)), val, test });
  }

  #images(repetition: Repetition, { rho, size }: GeneratedCell): Images {
    const set = this.#targets(repetition);
    return { samples: labelScenes(set, "both", rho, size), source: set.images, workers: this.#context.workers };
  }

  /** A repetition's scenes for some use; those of the last few uses are kept. */
  #scenes({ kind, index }: Repetition, use: string, counts: SceneCounts): SceneSet {
    const key = `${kind} ${index} ${use}`;
    const set =
      this.#sets.get(key) ??
      sceneSet(seedOf(this.#protocol.seed, "scenes", kind, index, use), counts, this.#protocol.imageSize);
    this.#sets.delete(key);
    this.#sets.set(key, set); // the last used goes last
    if (this.#sets.size > 8) this.#sets.delete(this.#sets.keys().next().value!);
    return set;
  }

  #cost(method: MethodPlan, { size }: GeneratedCell): number {
    const { batchSize, sizes } = this.#protocol;
    const { epochs } = sizes.find(({ train }) => train === size)!;
    const steps = epochs * Math.max(1, Math.floor(size / batchSize));
    return method.networks.reduce((sum, { arch }: NetworkPlan) => sum + steps * secondsAStep(arch) + 1, 0);
  }
}

/** The pre-trainings that a method needs, in order. */
function pretrainingsOf({ networks }: MethodPlan): Pretraining[] {
  const direct = networks.flatMap(({ start }) => Object.values(start));
  return [...new Set(direct.flatMap((from) => [basisOf(from) ?? from, from]))];
}

/** Two sets of images behind each other. */
function concatenate(first: Images, second: Images): Images {
  const samples: Sample[] = [...first.samples, ...second.samples];
  const { imageSize, decodedSize } = first.source;
  const n = first.samples.length;
  const source: ImageSource = {
    imageSize,
    decodedSize,
    read: (row) => (row < n ? first.source.read(row) : second.source.read(row - n)),
  };
  return { samples, source };
}

function accuraciesOf(samples: readonly Sample[], answers: ReturnType<typeof averageAnswers>): Accuracies {
  const share = (right: (boolean | null)[]) => {
    const given = right.filter((value) => value !== null);
    return given.length === 0 ? null : given.filter(Boolean).length / given.length;
  };
  return {
    aes: share(answers.map(({ aes }, i) => (aes === null ? null : aes >= 0.5 === (samples[i]!.aesLabel === "high")))),
    emo: share(
      answers.map(({ emo }, i) => (emo === null ? null : EIGHT_EMOTIONS[largestIndex(emo)] === samples[i]!.emotion)),
    ),
  };
}

/** How often the one was begun anew at half the rates that was so most often; 0 for none. */
function mostHalvings(trainings: readonly { readonly halvings: number }[]): number {
  return Math.max(0, ...trainings.map(({ halvings }) => halvings));
}

/** By what settings are chosen: the mean of both tasks' accuracies. */
function scoreOf({ aes, emo }: Accuracies): number {
  return ((aes ?? 0) + (emo ?? 0)) / 2;
}

function describePretraining(method: MethodPlan): string {
  const words = {
    s: "layouts of scenes (a generic task)",
    w: "layouts of scenes (a generic task), in the wide network",
    a: "A: layouts, then aesthetics of other scenes",
    e: "E: layouts, then emotions of other scenes",
    ae: "layouts, then aesthetics and emotions of A's and E's scenes",
  };
  const used = new Set(method.networks.flatMap(({ start }) => Object.values(start)));
  return (["a", "s", "e", "ae", "w"] as const)
    .filter((from) => used.has(from))
    .map((from) => (from === "s" && used.size > 1 ? `S: ${words.s}` : words[from]))
    .join("; ");
}

/** Measured at 24×24, batch 64, base 8, one core of the two it was planned on; for the time left only. */
function secondsAStep(arch: string): number {
  const seconds: Record<string, number> = {
    aenet: 0.1,
    "aenet-fl": 0.1,
    csnet: 0.066,
    "wrn-aes": 0.06,
    "wrn-emo": 0.06,
  };
  return seconds[arch] ?? 0.036;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
