/** Our side of every fixture: the same inputs through the engine, results by the references' names. */
import { type ArchitectureOptions, type ArchName, createArchitecture } from "../../src/aenet/architecture.ts";
import { Inference } from "../../src/aenet/inference.ts";
import { createNetwork } from "../../src/aenet/model.ts";
import { defaultPreprocessing } from "../../src/aenet/preprocessing.ts";
import { type StepOptions, TrainingStep } from "../../src/aenet/training/step.ts";
import { type Program, Tape, type Tensor } from "../../src/autograd/index.ts";
import type { Device } from "../../src/kernels/device.ts";
import {
  BatchNorm2d,
  Conv2d,
  type LearningRates,
  Linear,
  Parameters,
  ResNet,
  type ResNetOptions,
  Sgd,
  type TensorData,
} from "../../src/nn/index.ts";
import { type Fixture, type Given, type Results, readFixture, stateOf } from "./fixture.ts";
import { type OpCase, recorders } from "./recorders.ts";

type Found = Map<string, ArrayLike<number>>;

/** A fixture and how our side runs it. */
export interface Run {
  readonly name: string;
  readonly fixture: Fixture<unknown>;
  readonly results: (device: Device) => Promise<Results>;
}

function run<Settings>(name: string, results: (device: Device, fixture: Fixture<Settings>) => Promise<Results>): Run {
  const fixture = readFixture<Settings>(name);
  return { name, fixture, results: (device) => results(device, fixture) };
}

export const runs: readonly Run[] = [
  run("conv2d", runOps),
  run("ops", runOps),
  run("sgd", runSgd),
  run("bottlenecks", runBottlenecks),
  run("resnet", runResNet),
  run("aenet", runNetwork),
  run("aenet-by-channel-detached", runNetwork),
  run("csnet", runNetwork),
  run("ssnet", runNetwork),
  run("wrn-aes", runNetwork),
  run("wrn-emo", runNetwork),
  run("steps", runSteps),
  run("csnet-steps", runSteps),
];

const given = ({ inputs }: Fixture<unknown>, name: string): Given => {
  const tensor = inputs.get(name);
  if (!tensor) throw new Error(`the fixture has no ${name}`);
  return tensor;
};

/** Runs a program and reads tensors of it. */
async function readAll(program: Program, tensors: Iterable<[string, Tensor]>): Promise<Found> {
  program.run();
  const found: Found = new Map();
  for (const [name, tensor] of tensors) found.set(name, await program.read(tensor));
  return found;
}

const named = (tensors: Iterable<[string, TensorData]>, nameOf: (name: string) => string): [string, Float32Array][] =>
  [...tensors].map(([name, { data }]) => [nameOf(name), data]);

/** The results that the fixture has references for: to save room it leaves out some, and layers that were not run. */
const referenced = ({ references }: Fixture<unknown>, results: Results): Results =>
  new Map([...results].filter(([name]) => references.has(name)));

// Operations --------------------------------------------------------------------------------------------------------

async function runOps(device: Device, fixture: Fixture<{ cases: OpCase[] }>): Promise<Results> {
  const results: Found = new Map();
  for (const opCase of fixture.settings.cases) {
    for (const [name, values] of await runOp(device, fixture, opCase)) results.set(name, values);
  }
  return results;
}

const dtypes = { Float32Array: "f32", Int32Array: "i32", Uint8Array: "u8" } as const;

async function runOp(device: Device, fixture: Fixture<unknown>, opCase: OpCase): Promise<Found> {
  const { name, op, options, training, inputs } = opCase;
  const tape = new Tape(device, { training });
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([key, { layout, needsGrad }]) => {
      const { shape, data } = given(fixture, `${name}/${key}`);
      const dtype = dtypes[data.constructor.name as keyof typeof dtypes];
      return [key, tape.input(key, shape, { dtype, needsGrad, ...(layout && { layout }) })];
    }),
  );
  const recorder = recorders[op];
  if (!recorder) throw new Error(`${op}: there is no such operation here`);
  const y = recorder(tensors, options);
  const outputs = new Map([[`${name}/y`, y]]);
  const dy = fixture.inputs.has(`${name}/dy`) ? tape.input("dy", y.shape) : null;
  if (dy) tape.backward(y, dy);
  for (const [key, tensor] of Object.entries(tensors)) {
    if (tensor.needsGrad) outputs.set(`${name}/d(${key})`, tape.gradient(tensor)!);
  }
  const program = await tape.compile([...outputs.values()]);
  try {
    for (const [key, tensor] of Object.entries(tensors)) program.write(tensor, given(fixture, `${name}/${key}`).data);
    if (dy) program.write(dy, given(fixture, `${name}/dy`).data);
    return await readAll(program, outputs);
  } finally {
    program.destroy();
  }
}

// SGD ---------------------------------------------------------------------------------------------------------------

interface SgdSettings {
  rates: LearningRates;
  momentum: number;
  weightDecay: number;
  steps: number;
}

async function runSgd(device: Device, fixture: Fixture<SgdSettings>): Promise<Results> {
  const { rates, steps } = fixture.settings;
  const parameters = new Parameters();
  const place = { parameters, prefixes: [""] };
  new Conv2d(place, "conv1", { inChannels: 3, outChannels: 7, kernelSize: 3 });
  new BatchNorm2d(place, "bn1", 7);
  parameters.parameter({
    names: ["alpha_p", "alpha_s", "beta_p", "beta_s"].map((name) => `fusion.0.${name}`),
    shape: [4, 1],
    fileLayout: "plain",
    init: [0.9, 0.1, 0.9, 0.1],
    group: "fusion",
  });
  new Linear(parameters, "head.emo", 18, 5);
  await parameters.allocate(device, { training: true });
  const sgd = await Sgd.create(device, parameters, fixture.settings);
  try {
    const names = parameters.trainable.map(({ name }) => name);
    parameters.write(stateOf(fixture, names));
    for (let step = 1; step <= steps; step++) {
      const gradients = names.map((name): [string, TensorData] => {
        const { shape, data } = given(fixture, `step ${step} d(${name})`);
        return [name, { shape, data: data as Float32Array }];
      });
      parameters.write(new Map(gradients), "gradients");
      sgd.step(rates);
    }
    const values = [...(await parameters.read())].filter(([name]) => names.includes(name));
    return new Map([
      ...named(values, (name) => `${name} after`),
      ...named(await parameters.read("momenta"), (name) => `momentum of ${name}`),
    ]);
  } finally {
    sgd.destroy();
    parameters.destroy();
  }
}

// ResNet ------------------------------------------------------------------------------------------------------------

interface ResNetSettings {
  depth: number[];
  baseChannels: number;
  streams?: string[];
}

/** Both modes of a part of a ResNet: outputs, gradients of both, and the running statistics after one training step. */
async function runTrunk(
  device: Device,
  fixture: Fixture<ResNetSettings>,
  forward: (resnet: ResNet, x: Tensor) => Map<string, Tensor>,
): Promise<Results> {
  const { streams = [""], ...settings } = fixture.settings;
  const options: ResNetOptions = { ...settings, baseWidth: 64 };
  const x = given(fixture, "x");
  const results: Found = new Map();
  for (const training of [false, true]) {
    const mode = training ? "training" : "evaluation";
    const parameters = new Parameters();
    const prefixes = streams.map((stream) => (stream ? `${stream}.` : ""));
    const resnet = new ResNet({ parameters, prefixes }, options);
    await parameters.allocate(device, { training: true });
    parameters.write(stateOf(fixture, parameters.fileShapes.keys()));
    const tape = new Tape(device, { training });
    const image = tape.input("x", x.shape, { needsGrad: true });
    const outputs = forward(resnet, image);
    const last = [...outputs.values()].at(-1)!;
    const dy = tape.input("dy", last.shape);
    tape.backward(last, dy);
    const wanted = [...outputs].map(([name, tensor]): [string, Tensor] => [`${name} in ${mode}`, tensor]);
    wanted.push([`d(x) in ${mode}`, tape.gradient(image)!]);
    const program = await tape.compile(wanted.map(([, tensor]) => tensor));
    const sgd = await Sgd.create(device, parameters, { momentum: 0, weightDecay: 0 });
    try {
      program.write(image, x.data);
      program.write(dy, given(fixture, "dy").data);
      for (const [name, values] of await readAll(program, wanted)) results.set(name, values);
      for (const [name, values] of named(await parameters.read("gradients"), (name) => `d(${name}) in ${mode}`)) {
        results.set(name, values);
      }
      if (training) {
        sgd.trackStatistics(0);
        sgd.step({ base: 0, fusion: 0 });
        for (const [name, values] of named(await parameters.read(), (name) => `${name} after`)) {
          results.set(name, values);
        }
      }
    } finally {
      program.destroy();
      sgd.destroy();
      parameters.destroy();
    }
  }
  return referenced(fixture, results);
}

function runBottlenecks(device: Device, fixture: Fixture<ResNetSettings>): Promise<Results> {
  return runTrunk(device, fixture, (resnet, x) => new Map([["y", resnet.layer(2, resnet.layer(1, x))]]));
}

function runResNet(device: Device, fixture: Fixture<ResNetSettings>): Promise<Results> {
  return runTrunk(device, fixture, (resnet, image) => {
    let x = resnet.stem(image);
    const outputs = new Map([["stem", x]]);
    for (const layer of [1, 2, 3, 4]) {
      x = resnet.layer(layer, x);
      outputs.set(`layer${layer}`, x);
    }
    return outputs;
  });
}

// Networks ----------------------------------------------------------------------------------------------------------

interface NetworkSettings extends ArchitectureOptions {
  /** Default aenet. */
  arch?: ArchName;
  depth: number[];
  baseChannels: number;
  classes: number;
  imageSize: number;
  decodedSize: number;
  lambda: number;
}

interface StepsSettings extends NetworkSettings {
  rates: LearningRates;
  momentum: number;
  weightDecay: number;
}

function createFrom({ settings }: Fixture<NetworkSettings>) {
  const { arch = "aenet", imageSize, decodedSize, classes } = settings;
  const names = Array.from({ length: classes }, (_, i) => `class ${i}`);
  const network = createNetwork(createArchitecture(arch, names, settings));
  return { network, preprocessing: { ...defaultPreprocessing, imageSize }, decodedSize };
}

/** Batch `number` of a fixture's. */
function batchOf(fixture: Fixture<NetworkSettings>, number: number) {
  const images = given(fixture, "images").data as Uint8Array;
  const batchSize = given(fixture, "images").shape[0]!;
  const part = <T extends Float32Array | Int32Array>(name: string): T => {
    const { shape, data } = given(fixture, name);
    const length = data.length / shape[0]!;
    return data.slice(number * length, (number + 1) * length) as T;
  };
  const aesLabels = part<Float32Array>("aes labels");
  return {
    batchSize,
    images,
    crops: part<Int32Array>("crops"),
    aesTarget: aesLabels.map((label) => Math.max(label, 0)),
    aesMask: aesLabels.map((label) => Number(label >= 0)),
    emoTarget: part<Int32Array>("emo labels"),
  };
}

async function runNetwork(device: Device, fixture: Fixture<NetworkSettings>): Promise<Results> {
  const batch = batchOf(fixture, 0);
  const { batchSize } = batch;
  const evaluated = createFrom(fixture);
  const inference = await Inference.create(device, evaluated.network, { ...evaluated, batchSize });
  const state = stateOf(fixture, evaluated.network.parameters.fileShapes.keys());
  const results: Found = new Map();
  try {
    evaluated.network.parameters.write(state);
    const logits = await inference.run(batch.images, batch.crops);
    for (const task of ["aes", "emo"] as const) {
      const values = logits[task];
      if (values) results.set(`${task} logits in evaluation`, values);
    }
  } finally {
    inference.destroy();
    evaluated.network.parameters.destroy();
  }
  const { network, preprocessing, decodedSize } = createFrom(fixture);
  const { parameters } = network;
  const { lambda } = fixture.settings;
  const options: StepOptions = {
    batchSize,
    microBatch: batchSize,
    decodedSize,
    preprocessing,
    lambda,
    momentum: 0,
    weightDecay: 0,
  };
  const step = await TrainingStep.create(device, network, options);
  try {
    parameters.write(state);
    const losses = await step.submit(batch, { base: 0, fusion: 0 });
    for (const key of ["loss", "aes", "emo"] as const) {
      const value = losses[key];
      if (value !== null) results.set(`loss ${key}`, [value]);
    }
    for (const [name, values] of named(await parameters.read("gradients"), (name) => `d(${name})`)) {
      results.set(name, values);
    }
    const statistics = [...(await parameters.read())].filter(([name]) => name.includes("running_"));
    return referenced(fixture, new Map([...results, ...named(statistics, (name) => `${name} after`)]));
  } finally {
    step.destroy();
    parameters.destroy();
  }
}

async function runSteps(device: Device, fixture: Fixture<StepsSettings>): Promise<Results> {
  const { rates, lambda, momentum, weightDecay } = fixture.settings;
  const { network, preprocessing, decodedSize } = createFrom(fixture);
  const { parameters } = network;
  const { batchSize } = batchOf(fixture, 0);
  const step = await TrainingStep.create(device, network, {
    batchSize,
    microBatch: batchSize,
    decodedSize,
    preprocessing,
    lambda,
    momentum,
    weightDecay,
  });
  try {
    parameters.write(stateOf(fixture, parameters.fileShapes.keys()));
    const results: Found = new Map();
    const count = given(fixture, "crops").shape[0]!;
    for (let i = 0; i < count; i++) {
      const losses = await step.submit(batchOf(fixture, i), rates);
      for (const key of ["loss", "aes", "emo"] as const) results.set(`step ${i + 1} loss ${key}`, [losses[key]!]);
    }
    const after = named(await parameters.read(), (name) => `${name} after`);
    return referenced(fixture, new Map([...results, ...after]));
  } finally {
    step.destroy();
    parameters.destroy();
  }
}
