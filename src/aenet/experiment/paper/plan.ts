/** The paper's experiment as a list of jobs: data, pre-training, tuning, training, freezing, and the readings for its tables. */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { AdapterChoice } from "../../../node/index.ts";
import { Random } from "../../../random.ts";
import { createArchitecture, tasksOf } from "../../architecture.ts";
import { configSha256 } from "../../config.ts";
import { EIGHT_EMOTIONS } from "../../data/classes.ts";
import { makeFolder } from "../../durable-file.ts";
import type { Environment } from "../../environment.ts";
import { type EvaluatedImage, evaluate } from "../../evaluate.ts";
import type { InitFlag } from "../../initialize.ts";
import { largestIndex } from "../../metrics.ts";
import { createNetwork } from "../../model.ts";
import { defaultTrainConfig, type TrainConfig } from "../../training/config.ts";
import { resumeTraining, type TrainEvents, train } from "../../training/train.ts";
import { averageAnswers, fusionHistoryOf, predictionsOf } from "../answers.ts";
import { type FrozenRun, readFrozen, readFrozenCheckpoint, readingId, recordReading, writeFrozen } from "../frozen.ts";
import { historyOf, parseMetrics } from "../history.ts";
import type { Contents } from "../keep-protocol.ts";
import { type MethodPlan, methodNamed, type NetworkPlan, type Pretraining, tasksOfMethod } from "../methods.ts";
import { type Experiment, type NetworkHistory, type ResultKey, writeRunResult } from "../results.ts";
import { seedOf } from "../streams.ts";
import { fusionOf, Interrupted, type Rates } from "../trainer.ts";
import type { Job, JobPlace, WorkFolder } from "../worklist.ts";
import {
  allIn,
  labelsOf,
  type PreparedData,
  samplesOf,
  splitAtRandom,
  withoutHeldOut,
  withoutTestSplit,
  writeData,
} from "./data.ts";
import { type GivenSet, type GivenWeights, samplesGiven, weightsGiven } from "./given-files.ts";

export interface PaperProtocol {
  /** Manifests or packs. */
  readonly data: string;
  readonly ava: string | null;
  readonly fi: string | null;
  readonly artphoto: string | null;
  /** Weights from ImageNet for S, and where A's and E's pre-training begin; null: none. */
  readonly initS: string | null;
  /** The same for the wide network. */
  readonly initWrn: string | null;
  /** As `data` says (published, or by group), or 70/10/20 at random by `seed`. */
  readonly split: "manifest" | "random";
  /** E's pre-training keeps what IAE holds out, as the paper's did. */
  readonly paperProtocol: boolean;
  readonly pack: boolean;
  /** Names of methods; all of them by default. */
  readonly methods: readonly string[];
  readonly seed: number;
  readonly seeds: number;
  readonly trials: number;
  /** Epochs of each, at most: training stops early as `aenet train` does. */
  readonly epochs: number;
  readonly tuneEpochs: number;
  readonly pretrainEpochs: number;
  /** Everything else of a training run. */
  readonly train: Pick<
    TrainConfig,
    "depth" | "baseChannels" | "imageSize" | "resize" | "batchSize" | "microBatch" | "augment" | "precision"
  >;
}

/** The commands: each does what those before it do, too. */
export type Stage = "pretrain" | "table1" | "table2";

export interface PaperContext {
  readonly folder: WorkFolder;
  readonly adapter: AdapterChoice;
  readonly tune?: boolean | undefined;
  readonly workers?: number | undefined;
  /** What the files that are given hold; each job that reads one sees to it that it is still that. */
  readonly contents: Contents;
  /** Which reading of a test set is due. */
  readonly readingOf: (set: TestSet) => number;
  onMessage?(line: string): void;
}

/** The paper's settings (section 3.3), which are the first that tuning tries. */
const paperRates: Rates = { lr: 1e-4, fusionLr: 1e-2, lambda: 0.25 };
/** The others are drawn from these, evenly in the logarithm. */
const trialRanges: Readonly<Record<keyof Rates, readonly [number, number]>> = {
  lr: [1e-5, 1e-2],
  fusionLr: [1e-3, 1e-1],
  lambda: [0.0625, 1],
};

/** Where methods are tested: cells of the results. */
const testSets = {
  iae: { title: "IAE, test split", stage: "table1", tasks: ["aes", "emo"] },
  ava: { title: "AVA, test list", stage: "table2", tasks: ["aes"] },
  artphoto: { title: "ArtPhoto, all images", stage: "table2", tasks: ["emo"] },
} as const;
export type TestSet = keyof typeof testSets;

interface TrainedNetwork {
  readonly arch: string;
  readonly parameters: number;
  readonly config_sha256: string;
  readonly checkpoint_sha256: string;
  /** Relative to the experiment's folder. */
  readonly checkpoint: string;
  readonly metrics: string;
  /** Its fusion or stitch weights after every epoch, if it has any. */
  readonly fusion: string | null;
  /** On the validation split, where its loss was lowest. */
  readonly val: { readonly aes: number | null; readonly emo: number | null };
}

interface TrainedMethod {
  readonly networks: readonly TrainedNetwork[];
  readonly settings: FrozenRun["settings"];
  readonly score: number;
}

export function trialRates(seed: number, trial: number): Rates {
  if (trial === 0) return paperRates;
  const random = new Random(seedOf(seed, "tuning"), "trial", trial);
  const draw = ([low, high]: readonly [number, number]) =>
    Number(Math.exp(random.uniform(Math.log(low), Math.log(high))).toPrecision(3));
  return { lr: draw(trialRanges.lr), fusionLr: draw(trialRanges.fusionLr), lambda: draw(trialRanges.lambda) };
}

export function describePaper({ seeds, methods }: PaperProtocol): Experiment {
  return {
    format: "aenet-experiment/1",
    title: "AENet on IAE, AVA and ArtPhoto",
    protocol: "docs/experiment.md",
    methods: methods.map(methodNamed).map(({ name, title, role, paper_row }) => ({ name, title, role, paper_row })),
    cells: (Object.keys(testSets) as TestSet[]).map((cell) => ({
      cell,
      title: testSets[cell].title,
      kind: "paired",
      seeds: range(seeds),
      folds: null,
    })),
    primary: [],
    alpha: 0.05,
    pilot: null,
  };
}

/** What a command tests on. */
export function testSetsOf(stage: Stage): TestSet[] {
  return stage === "pretrain" ? [] : stage === "table1" ? ["iae"] : ["iae", "ava", "artphoto"];
}

/** @throws Error naming the flag that a stage needs. */
export function paperPlan(protocol: PaperProtocol, stage: Stage, context: PaperContext): Job[] {
  const needed = { ava: protocol.ava, fi: protocol.fi, ...(stage === "table2" ? { artphoto: protocol.artphoto } : {}) };
  for (const [flag, value] of Object.entries(needed))
    if (value === null) throw new Error(`--${flag}: is missing; give the manifest of that set`);
  return new Plan(protocol, context).jobs(stage);
}

class Plan {
  readonly #protocol: PaperProtocol;
  readonly #context: PaperContext;
  readonly #methods: readonly MethodPlan[];

  constructor(protocol: PaperProtocol, context: PaperContext) {
    this.#protocol = protocol;
    this.#methods = protocol.methods.map(methodNamed);
    this.#context = context;
  }

  jobs(stage: Stage): Job[] {
    const { seeds, trials } = this.#protocol;
    const jobs: Job[] = [
      this.#data("iae"),
      this.#data("ava-train"),
      this.#data("fi"),
      this.#data("ava-fi"),
      this.#pretrain("a", "resnet50-aes", "ava-train", 0),
      this.#pretrain("e", "resnet50-emo", "fi", 1),
      this.#pretrain("ae", "ssnet", "ava-fi", 2),
    ];
    if (stage === "pretrain") return jobs;
    let lane = 0;
    for (const method of this.#methods)
      for (const trial of range(trials)) jobs.push(this.#trial(method, trial, lane++));
    jobs.push(this.#choose());
    lane = 0;
    for (const seed of range(seeds))
      for (const method of this.#methods) jobs.push(this.#training(method, seed, lane++));
    jobs.push(this.#freeze());
    if (stage === "table2") jobs.push(this.#data("ava-test"), this.#data("artphoto"));
    for (const set of testSetsOf(stage)) {
      lane = 0;
      for (const seed of range(seeds))
        for (const method of this.#methods) {
          if (testSets[set].tasks.some((task) => tasksOfMethod(method).includes(task)))
            jobs.push(this.#test(set, method, seed, lane));
          lane++;
        }
    }
    return jobs;
  }

  // Data

  #data(name: "iae" | "ava-train" | "fi" | "ava-fi" | "ava-test" | "artphoto"): Job {
    const { split, seed, paperProtocol, pack, train: options } = this.#protocol;
    const { folder, workers } = this.#context;
    const given = (set: GivenSet) => samplesGiven(this.#protocol, set, this.#context.contents);
    const { path } = folder;
    const packing = pack ? { imageSize: options.imageSize, resize: options.resize } : null;
    const write = (samples: Parameters<typeof writeData>[2], note: string) =>
      writeData(path, name, samples, note, packing);
    const make = {
      iae: async () => {
        const samples = await given("data");
        if (split === "manifest") return write(samples, "splits as in the manifest");
        return write(splitAtRandom(samples, seed), `70/10/20 at random, seed ${seed}`);
      },
      "ava-train": async () => {
        const samples = labelsOf("aes", await given("ava")).filter(({ split }) => split !== "test");
        return write(samples, "training list");
      },
      fi: async () => {
        if (paperProtocol) {
          const samples = withoutTestSplit(labelsOf("emo", await given("fi")));
          return write(samples, "all images, with what IAE holds out (--paper-protocol)");
        }
        // FI may be a pack; its images are compared as the files that it was made of.
        await writeData(path, "fi-given", await given("fi"), "", null);
        const [iae, whole] = [join(path, "data/iae.csv"), join(path, "data/fi-given.csv")];
        const { samples, excluded } = await withoutHeldOut(whole, iae, workers);
        const kept = withoutTestSplit(labelsOf("emo", samples));
        return write(kept, `all but ${excluded} image${excluded === 1 ? "" : "s"} of IAE's validation and test splits`);
      },
      "ava-fi": async () => {
        const both = [
          ...(await samplesOf(join(path, "data/ava-train.csv"))),
          ...(await samplesOf(join(path, "data/fi.csv"))),
        ];
        return write(both, "AVA's training list and FI");
      },
      "ava-test": async () => {
        const samples = labelsOf("aes", await given("ava")).filter(({ split }) => split === "test");
        return write(samples, "test list");
      },
      artphoto: async () => write(allIn("test", labelsOf("emo", await given("artphoto"))), "all images"),
    }[name];
    const needs = {
      iae: [],
      "ava-train": [],
      fi: ["data/iae"],
      "ava-fi": ["data/ava-train", "data/fi"],
      "ava-test": ["freeze"],
      artphoto: ["freeze"],
    }[name];
    return { id: `data/${name}`, needs, lane: 0, cost: 1, run: make };
  }

  // Training

  #pretrain(from: Pretraining, arch: NetworkPlan["arch"], data: string, lane: number): Job {
    const { pretrainEpochs, seed } = this.#protocol;
    return {
      id: `pretrain/${from}`,
      needs: [`data/${data}`],
      lane,
      cost: pretrainEpochs * costOf(arch) * (from === "ae" ? 2 : 1),
      run: async (place) => {
        const config: TrainConfig = {
          ...defaultTrainConfig,
          ...this.#protocol.train,
          arch,
          data: await this.#file(data),
          classes: EIGHT_EMOTIONS,
          init: await this.#weights("initS"),
          epochs: pretrainEpochs,
          seed: seedOf(seed, "init", "pretraining", from),
        };
        return this.#train(config, place, "run");
      },
    };
  }

  /** Trains a network in a run folder below the job's, or goes on with it. @throws Interrupted */
  async #train(config: TrainConfig, { folder, signal }: JobPlace, name: string): Promise<TrainedNetwork> {
    const { adapter, tune, workers } = this.#context;
    const path = join(folder, name);
    const settings = { adapter, tune, workers, signal };
    await makeFolder(folder);
    const fusion = `${path}-fusion.jsonl`;
    const events: TrainEvents = {
      onMessage: (line) => this.#context.onMessage?.(line),
      onEpochWeights(tensors, epochs) {
        const weights = fusionOf(tensors);
        if (Object.keys(weights).length > 0) appendFileSync(fusion, `${JSON.stringify({ epochs, weights })}\n`);
      },
    };
    const result = existsSync(join(path, "config.json"))
      ? await resumeTraining(path, {}, settings, events)
      : await train(config, { path, overwrite: true }, settings, events);
    if (result.reason === "interrupted") throw new Interrupted("interrupted");
    const checkpoint = join(path, "checkpoints/best.safetensors");
    const bytes = await readFile(checkpoint);
    const { arch, depth, baseChannels } = config;
    const relative = (file: string) => file.slice(this.#context.folder.path.length + 1);
    return {
      arch,
      parameters: createNetwork(createArchitecture(arch, EIGHT_EMOTIONS, { depth, baseChannels })).parameters.count,
      // Where files lie does not tell what was computed; what they hold is in the checkpoints they gave.
      config_sha256: configSha256({ ...config, data: "", init: "", initA: "", initS: "", initE: "" }),
      checkpoint_sha256: createHash("sha256").update(bytes).digest("hex"),
      checkpoint: relative(checkpoint),
      metrics: relative(join(path, "metrics.jsonl")),
      fusion: existsSync(fusion) ? relative(fusion) : null,
      val: await bestValidation(join(path, "metrics.jsonl")),
    };
  }

  /** Every network of a method, one after the other. */
  async #trainMethod(
    method: MethodPlan,
    rates: Rates,
    epochs: number,
    stream: readonly (string | number)[],
    place: JobPlace,
  ): Promise<TrainedMethod> {
    const networks: TrainedNetwork[] = [];
    for (const [i, network] of method.networks.entries()) {
      const member = method.networks.slice(0, i).filter(({ arch }) => arch === network.arch).length;
      const config: TrainConfig = {
        ...defaultTrainConfig,
        ...this.#protocol.train,
        ...(await this.#starts(network)),
        arch: network.arch,
        data: await this.#file("iae"),
        classes: EIGHT_EMOTIONS,
        freeze: network.freeze,
        epochs,
        ...rates,
        seed: seedOf(this.#protocol.seed, "init", ...stream, ...(member === 0 ? [] : [member])),
      };
      networks.push(await this.#train(config, place, `network-${i}`));
    }
    const mean = (task: "aes" | "emo") => {
      const given = networks.flatMap(({ val }) => (val[task] === null ? [] : [val[task]]));
      return given.length === 0 ? 0 : given.reduce((sum, value) => sum + value, 0) / given.length;
    };
    return {
      networks,
      settings: { lr: rates.lr, fusion_lr: rates.fusionLr, lambda: rates.lambda, epochs },
      score: (mean("aes") + mean("emo")) / 2,
    };
  }

  /** The files that a network's streams start from. */
  async #starts(network: NetworkPlan): Promise<Partial<TrainConfig>> {
    const names = { "--init": "init", "--init-a": "initA", "--init-s": "initS", "--init-e": "initE" } as const;
    const found: Record<string, string> = {};
    for (const [flag, from] of Object.entries(network.start) as [InitFlag, Pretraining][]) {
      const file =
        from === "s" || from === "w"
          ? await this.#weights(from === "s" ? "initS" : "initWrn")
          : resolve(
              this.#context.folder.path,
              (await this.#context.folder.read<TrainedNetwork>(`pretrain/${from}`)).checkpoint,
            );
      if (file !== null) found[names[flag]] = file;
    }
    return found;
  }

  #weights(name: GivenWeights): Promise<string | null> {
    return weightsGiven(this.#protocol, name, this.#context.contents);
  }

  #needsOf({ networks }: MethodPlan): string[] {
    const from = new Set(networks.flatMap(({ start }) => Object.values(start)));
    return ["data/iae", ...[...from].filter((name) => name !== "s" && name !== "w").map((name) => `pretrain/${name}`)];
  }

  #trial(method: MethodPlan, trial: number, lane: number): Job {
    const { tuneEpochs, seed } = this.#protocol;
    return {
      id: `tune/${method.name}-${trial}`,
      needs: this.#needsOf(method),
      lane,
      cost: tuneEpochs * costOfMethod(method),
      run: async (place) => {
        const rates = trialRates(seed, trial);
        try {
          const { score } = await this.#trainMethod(method, rates, tuneEpochs, ["tuning"], place);
          return { rates, score };
        } catch (error) {
          if ((error as Error).name !== "NonFiniteError") throw error;
          return { rates, score: 0 }; // diverged: never chosen
        }
      },
    };
  }

  #choose(): Job {
    const { trials, seed } = this.#protocol;
    const { folder } = this.#context;
    return {
      id: "choose",
      needs: this.#methods.flatMap(({ name }) => range(trials).map((trial) => `tune/${name}-${trial}`)),
      lane: 0,
      cost: 0.1,
      run: async () => {
        const choices: Record<string, { trial: number; rates: Rates; score: number }> = {};
        for (const { name } of this.#methods) {
          const scores: number[] = [];
          for (const trial of range(trials))
            scores.push((await folder.read<{ score: number }>(`tune/${name}-${trial}`)).score);
          const trial = largestIndex(scores); // the first of equals
          choices[name] = { trial, rates: trialRates(seed, trial), score: scores[trial]! };
        }
        return { choices };
      },
    };
  }

  #training(method: MethodPlan, seed: number, lane: number): Job {
    const { epochs } = this.#protocol;
    return {
      id: `seed-${seed}/train/${method.name}`,
      needs: ["choose", ...this.#needsOf(method)],
      lane,
      cost: epochs * costOfMethod(method),
      run: async (place) => {
        const { choices } = await this.#context.folder.read<{ choices: Record<string, { rates: Rates }> }>("choose");
        return this.#trainMethod(method, choices[method.name]!.rates, epochs, ["seed", seed], place);
      },
    };
  }

  // Freezing and reading

  #freeze(): Job {
    const { folder } = this.#context;
    const runs = range(this.#protocol.seeds).flatMap((seed) => this.#methods.map((method) => ({ seed, method })));
    const idOf = ({ seed, method }: (typeof runs)[number]) => `seed-${seed}/train/${method.name}`;
    return {
      id: "freeze",
      needs: runs.map(idOf),
      lane: 0,
      cost: 1,
      run: async () => {
        const frozen: FrozenRun[] = [];
        const needed = new Set(this.#methods.flatMap((method) => this.#needsOf(method)));
        const trained = await Promise.all(
          [...needed].filter((id) => id.startsWith("pretrain/")).map((id) => folder.read<TrainedNetwork>(id)),
        );
        for (const run of runs) {
          const { networks, settings } = await folder.read<TrainedMethod>(idOf(run));
          trained.push(...networks);
          frozen.push({
            method: run.method.name,
            cell: "iae",
            seed: run.seed,
            fold: null,
            settings,
            networks: networks.map(({ arch, parameters, checkpoint, config_sha256, checkpoint_sha256 }) => ({
              arch,
              parameters,
              checkpoint,
              config_sha256,
              checkpoint_sha256,
            })),
          });
        }
        await writeFrozen(folder.path, frozen, await Promise.all(trained.map((done) => this.#environment(done))));
        return { runs: frozen.length };
      },
    };
  }

  /** What a training recorded of where it began; undefined where it was begun before all of that was recorded. */
  async #environment({ metrics }: TrainedNetwork): Promise<Environment | undefined> {
    const file = join(this.#context.folder.path, dirname(metrics), "env.json");
    const { folder: _, ...environment } = JSON.parse(await readFile(file, "utf8")) as Environment & { folder: string };
    return "commit" in environment ? environment : undefined;
  }

  #test(set: TestSet, method: MethodPlan, seed: number, lane: number): Job {
    const { folder } = this.#context;
    const reading = this.#context.readingOf(set);
    const name = `seed-${seed}/test/${set}/${method.name}`;
    const data = { iae: "iae", ava: "ava-test", artphoto: "artphoto" }[set];
    return {
      id: readingId(name, reading),
      needs: ["freeze", `data/${data}`],
      lane,
      cost: 0.2 * costOfMethod(method),
      run: async () => {
        const frozen = (await readFrozen(folder.path)).runs.find(
          (run) => run.method === method.name && run.seed === seed,
        );
        if (!frozen) throw new Error(`frozen.json: has no ${method.name}, seed ${seed}`);
        const trained = await folder.read<TrainedMethod>(`seed-${seed}/train/${method.name}`);
        const tasks = tasksOfMethod(method).filter((task) => (testSets[set].tasks as readonly string[]).includes(task));
        const key = { method: method.name, cell: set, seed, fold: null, tasks };
        return recordReading(folder.path, name, reading, [key], () =>
          this.#read(set, key, method, frozen, trained, data),
        );
      },
    };
  }

  async #read(
    set: TestSet,
    key: ResultKey,
    method: MethodPlan,
    frozen: FrozenRun,
    trained: TrainedMethod,
    data: string,
  ): Promise<void> {
    const { folder, adapter, tune, workers } = this.#context;
    const { batchSize, microBatch, precision } = this.#protocol.train;
    const file = await this.#file(data);
    const answered = [...testSets[set].tasks];
    const networks = frozen.networks.filter(({ arch }) =>
      tasksOf(arch as NetworkPlan["arch"]).some((task) => (answered as string[]).includes(task)),
    );
    const images: EvaluatedImage[][] = [];
    let damaged = 0;
    for (const network of networks) {
      await readFrozenCheckpoint(folder.path, network);
      const report = await evaluate({
        checkpoint: join(folder.path, network.checkpoint),
        data: file,
        split: "test",
        batchSize: microBatch ?? batchSize,
        perImage: true,
        adapter,
        tune,
        workers,
        precision,
      });
      images.push([...report.images!]);
      damaged = report.errors.length;
    }
    const answers = averageAnswers(
      images.map((list) =>
        list.map((image) => ({
          aesLogit: answered.includes("aes" as never) ? image.aes_logit : null,
          emoLogits: answered.includes("emo" as never) && image.emo_logits ? Float32Array.from(image.emo_logits) : null,
          aes: null,
          emo: -1,
        })),
      ),
    );
    const samples = await samplesOf(file);
    const rowOf = new Map(samples.map(({ path }, row) => [path, row]));
    const rows = images[0]!.map(({ path }) => rowOf.get(path)!);
    const only = trained.networks.length === 1 ? trained.networks[0] : undefined;
    const history: NetworkHistory[] = [];
    // The other sets' rows would only show the same curves again.
    for (const { arch, metrics } of set === "iae" ? trained.networks : [])
      history.push({
        tasks: tasksOf(arch as NetworkPlan["arch"]),
        ...historyOf(parseMetrics(await readFile(join(folder.path, metrics), "utf8"))),
      });
    await writeRunResult(folder.path, {
      format: "aenet-run-result/1",
      ...key,
      networks: networks.map(({ checkpoint: _, ...network }) => network),
      pretraining: await this.#describePretraining(method),
      // Of the other sets the pre-training saw nothing; what it saw of IAE is told in words.
      paper_protocol: set === "iae" && this.#protocol.paperProtocol && usesFi(method),
      readings: this.#context.readingOf(set),
      settings: { ...frozen.settings, damaged },
      classes: EIGHT_EMOTIONS,
      predictions: predictionsOf(samples, rows, answers, EIGHT_EMOTIONS, { imageOf: (row) => samples[row]!.path }),
      history,
      fusion: set === "iae" && only?.fusion ? await readFusion(join(folder.path, only.fusion)) : null,
    });
  }

  /** What every row of the tables says of its pre-training. */
  async #describePretraining({ networks }: MethodPlan): Promise<string> {
    const { initS, initWrn } = this.#protocol;
    const { folder } = this.#context;
    const note = async (name: string) => (await folder.read<PreparedData>(`data/${name}`)).note;
    const imageNet = (file: string | null) =>
      file === null ? "none" : `given weights (${file.split(/[\\/]/).at(-1)})`;
    const from = new Set(networks.flatMap(({ start }) => Object.values(start)));
    const base = initS === null ? "" : `${imageNet(initS)}, then `;
    const words: Record<Pretraining, string> = {
      a: `A: ${base}AVA, ${await note("ava-train")}`,
      s: `S: ${imageNet(initS)}`,
      e: `E: ${base}FI, ${await note("fi")}`,
      ae: `${base}AVA, ${await note("ava-train")}, and FI, ${await note("fi")}`,
      w: imageNet(initWrn),
    };
    return (["a", "s", "e", "ae", "w"] as const)
      .filter((name) => from.has(name))
      .map((name) => words[name])
      .join("; ");
  }

  /** The absolute path of a prepared data set. */
  async #file(name: string): Promise<string> {
    const { folder } = this.#context;
    return resolve(folder.path, (await folder.read<PreparedData>(`data/${name}`)).file);
  }
}

function usesFi({ networks }: MethodPlan): boolean {
  return networks.some(({ start }) => Object.values(start).some((from) => from === "e" || from === "ae"));
}

/** By epoch; of an epoch that was told twice, as a resumed run does, the last counts. */
async function readFusion(file: string) {
  const byEpoch = new Map<number, Record<string, number>>();
  for (const line of (await readFile(file, "utf8")).split("\n").filter((text) => text.endsWith("}"))) {
    const { epochs, weights } = JSON.parse(line) as { epochs: number; weights: Record<string, number> };
    byEpoch.set(epochs, weights);
  }
  return fusionHistoryOf([...byEpoch].sort(([a], [b]) => a - b).map(([, fusion]) => ({ fusion })));
}

/** Validation accuracies where the loss was lowest, which `best` was taken from. */
async function bestValidation(metrics: string): Promise<TrainedNetwork["val"]> {
  const records = parseMetrics(await readFile(metrics, "utf8"));
  const epochs = records.filter((record) => record.type === "epoch");
  const losses = epochs.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
  const best = epochs[losses.indexOf(Math.min(...losses))];
  return { aes: best?.acc_aes ?? null, emo: best?.acc_emo ?? null };
}

/** Streams at work: what an epoch costs, in no unit. */
function costOf(arch: NetworkPlan["arch"]): number {
  return {
    aenet: 3,
    "aenet-fl": 3,
    csnet: 2,
    ssnet: 1,
    "resnet50-aes": 1,
    "resnet50-emo": 1,
    "wrn-aes": 3,
    "wrn-emo": 3,
  }[arch];
}

function costOfMethod({ networks }: MethodPlan): number {
  return networks.reduce((sum, { arch }) => sum + costOf(arch), 0);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
