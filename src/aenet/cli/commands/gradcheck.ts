import type { Measurement } from "../../../autograd/gradcheck/check.ts";
import type { openDevice } from "../../../node/index.ts";
import { type ArchName, archNames, createArchitecture, type FusionGranularity } from "../../architecture.ts";
import type { CheckedCase } from "../../gradcheck/index.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes, UsageError } from "../errors.ts";
import { boolean, choice, classNames, formatValue, integer, list, number } from "../kinds.ts";
import { type ComputeFlags, computeOptions, json } from "../options.ts";
import { counter, Progress } from "../progress.ts";
import { entriesOf, flagOf, type Options } from "../settings.ts";
import { alignLeft, alignRight, formatJson } from "../text.ts";

/** What only a network has. */
interface NetworkFlags {
  depth: readonly number[];
  baseChannels: number;
  baseWidth: number | null;
  fusionPoints: readonly number[];
  fusionGranularity: FusionGranularity;
  detachShared: boolean;
  classes: readonly string[];
  imageSize: number;
  batchSize: number;
  lambda: number;
  directions: number;
}

interface GradcheckFlags extends NetworkFlags, ComputeFlags {
  arch: ArchName | null;
  seed: number;
  tolerance: number | null;
  json: boolean;
}

const group = "Network, with --arch (small, so that two cores bear it):";

const networkOptions: Options<NetworkFlags> = {
  depth: { kind: list(integer()), default: [1, 1, 1, 1], help: "blocks in layer1 to layer4", group },
  baseChannels: { kind: integer(), default: 4, help: "channels of the stem", group },
  baseWidth: {
    kind: integer(),
    default: null,
    help: "width of the 3x3 convolutions in 64ths (default: 64, in wrn 132)",
    group,
  },
  fusionPoints: {
    kind: list(integer()),
    default: [0, 1, 2, 3, 4],
    help: "0 after the stem's max pool, K after layerK",
    group,
  },
  fusionGranularity: {
    kind: choice(["scalar", "channel"]),
    default: "scalar",
    help: "fusion weights by point, or by channel too",
    group,
  },
  detachShared: { kind: boolean, default: false, help: "the fusion layers give the shared stream no gradient", group },
  classes: { kind: classNames, default: ["awe", "anger", "fear"], help: "the emotions", group },
  imageSize: { kind: integer(1), default: 32, help: "side of the images", group },
  batchSize: {
    kind: integer(1),
    default: 8,
    help: "images; batch norm of fewer is too ill-conditioned for float32",
    group,
  },
  lambda: { kind: number(), default: 0.25, help: "weight of the emotion loss", group },
  directions: { kind: integer(1), default: 8, help: "random directions for each tensor", group },
};

const options: Options<GradcheckFlags> = {
  arch: { kind: choice(archNames, "name"), default: null, help: `a whole network: ${archNames.join(", ")}` },
  seed: { kind: integer(), default: 0, help: "of values, labels and directions" },
  tolerance: {
    kind: number(0),
    default: null,
    help: "largest relative error of a gradient (default: 1e-4, or what a case says for itself)",
  },
  json,
  ...networkOptions,
  ...computeOptions,
  tune: { ...computeOptions.tune, help: "taken as everywhere; nothing is measured here" },
  workers: { ...computeOptions.workers, help: "taken as everywhere; nothing is decoded here" },
  precision: { ...computeOptions.precision, kind: choice(["f32"]), help: "gradients are checked in f32 alone" },
};

interface Backend
  extends Pick<typeof import("../../gradcheck/index.ts"), "checkNames" | "checkCases" | "checkNetwork"> {
  readonly openDevice: typeof openDevice;
}

const backend = async (): Promise<Backend> => ({
  ...(await import("../../gradcheck/index.ts")),
  openDevice: (await import("../../../node/index.ts")).openDevice,
});

/** Rows of a table of the worst. */
const shown = 12;

/** Fails where a gradient is beyond its tolerance. */
export function gradcheckCommand(load: () => Promise<Backend> = backend): CommandSpec<GradcheckFlags> {
  return {
    name: "gradcheck",
    summary: "hold gradients on this adapter against float64 differences: ops, layers, whole networks",
    positionals: [{ syntax: "[op]", help: "an op or a layer (default: all of them)" }],
    options,
    examples: ["aenet gradcheck batchNorm", "aenet gradcheck --arch aenet --fusion-granularity channel"],
    async run({ values, given }, terminal, [name]) {
      const { arch, seed, tolerance } = values;
      const { checkNames, checkCases, checkNetwork, openDevice } = await load();
      if (name !== undefined && arch !== null) throw new UsageError(`--arch ${arch}: cannot go with the op ${name}`);
      if (name !== undefined && !checkNames.includes(name))
        throw new UsageError(`gradcheck ${name}: is no op or layer; there are ${checkNames.join(", ")}`);
      const stray = [...given].find(([key]) => arch === null && key in networkOptions);
      if (stray) throw new UsageError(`${stray[1]}: is of a network; it needs --arch`);
      const { baseWidth, ...rest } = values;
      const architecture =
        arch === null
          ? null
          : createArchitecture(arch, values.classes, { ...rest, ...(baseWidth !== null && { baseWidth }) });

      const progress = new Progress(terminal);
      const device = await openDevice({ adapter: values.adapter, tune: false });
      try {
        const checkSettings = { seed, tolerance };
        const checked = architecture
          ? [
              await checkNetwork(device, architecture, {
                ...values,
                ...checkSettings,
                onProgress: counter(progress, "tensors checked"),
              }),
            ]
          : await checkCases(device, name === undefined ? checkNames : [name], {
              ...checkSettings,
              onProgress: counter(progress, "cases checked"),
            });
        progress.clear();
        const adapter = device.platform.description;
        const passed = checked.every((found) => found.passed);
        const settings = { seed, tolerance, ...(architecture && { ...networkSettings(values), ...architecture }) };
        if (values.json) terminal.out(formatJson({ adapter, ...settings, passed, cases: checked }));
        else
          terminal.out(
            formatGradcheck(
              adapter,
              checked,
              describeSettings({ ...values, ...(architecture && { baseWidth: architecture.baseWidth }) }),
            ),
          );
        return passed ? exitCodes.done : exitCodes.failed;
      } finally {
        progress.clear();
        device.destroy();
      }
    },
  };
}

function networkSettings({ imageSize, batchSize, lambda, directions }: NetworkFlags) {
  return { imageSize, batchSize, lambda, directions };
}

/** The settings as flags. */
function describeSettings(values: GradcheckFlags): string {
  const keys = entriesOf(options).filter(
    ([key]) => ["seed", "tolerance"].includes(key) || (values.arch !== null && key in networkOptions),
  );
  return keys
    .flatMap(([key, option]) => {
      const value = values[key as keyof GradcheckFlags];
      if (value === null || value === false) return [];
      return [value === true ? flagOf(key, option) : `${flagOf(key, option)} ${formatValue(value)}`];
    })
    .join(" ");
}

const scientific = (error: number) => error.toExponential(1);

/** How the reference was taken, in a word or two. */
function describeMethod({ method, count, kinks }: Measurement): string {
  if (method === "values") return "values";
  return `${count} ${method}${kinks > 0 ? `, ${kinks} ${method === "directions" ? "redrawn" : "left out"}` : ""}`;
}

/** What was checked, the worst of it, and every failure. */
export function formatGradcheck(adapter: string, checked: readonly CheckedCase[], settings: string): string {
  const all = checked.flatMap((found) => found.measurements.map((measurement) => ({ ...measurement, found })));
  const gradients = all.filter(({ method }) => method !== "values");
  const share = ({ error, tolerance }: Measurement) => (Number.isFinite(error) ? error / tolerance : Number.MAX_VALUE);
  const worst = [...gradients].sort((a, b) => share(b) - share(a)).slice(0, shown);
  const redrawn = gradients.reduce((sum, { method, kinks }) => sum + (method === "directions" ? kinks : 0), 0);
  const left = gradients.reduce((sum, { method, kinks }) => sum + (method === "elements" ? kinks : 0), 0);
  const head = [
    ["adapter", adapter],
    ["settings", settings],
    ["error", "‖x − r‖ / ‖r‖ by tensor; r: float64 central differences, of elements or along random signs"],
  ];
  const table = alignLeft([
    ["error", "tolerance", "tensor", "against", ...(checked.length > 1 ? ["of"] : [])],
    ...worst.map((measurement) => [
      scientific(measurement.error),
      scientific(measurement.tolerance),
      measurement.tensor,
      describeMethod(measurement),
      ...(checked.length > 1 ? [measurement.found.name] : []),
    ]),
  ]);
  const failures = checked.flatMap(({ name, measurements, faults }) => [
    ...faults.map((fault) => `FAILED  ${name}: ${fault}\n`),
    ...measurements
      .filter(({ error, tolerance }) => !(error <= tolerance))
      .map(
        ({ tensor, error, tolerance }) =>
          `FAILED  ${name}: ${tensor} has the error ${scientific(error)}, the tolerance is ${scientific(tolerance)}\n`,
      ),
    ...measurements
      .filter(({ method, kinks, count }) => method === "elements" && kinks > count / 10)
      .map(({ tensor, kinks }) => `FAILED  ${name}: ${tensor} has ${kinks} elements at a kink\n`),
  ]);
  const images = checked.reduce((sum, { imagesRedrawn = 0 }) => sum + imagesRedrawn, 0);
  const kinks = [
    images > 0 && `images ${images} times redrawn`,
    redrawn > 0 && `${redrawn} directions redrawn`,
    left > 0 && `${left} elements left out`,
  ].filter(Boolean);
  const atKinks = `${kinks.join(", ") || "nothing redrawn"} at a kink`;
  const summary =
    `${gradients.length} gradients of ${checked.length === 1 ? checked[0]!.name : `${checked.length} cases`}, ` +
    `${atKinks}: ${failures.length === 0 ? "all within their tolerance" : `${failures.length} FAILED`}\n`;
  const overview = checked.length > 1 ? `${formatOverview(checked)}\n` : "";
  return `${alignLeft(head)}\n${overview}The worst gradients:\n${table}\n${failures.join("")}${summary}`;
}

/** A row for each op and layer. */
function formatOverview(checked: readonly CheckedCase[]): string {
  const names = [...new Set(checked.map((found) => found.of))];
  const largest = (measurements: readonly Measurement[]) =>
    measurements.length === 0 ? "–" : scientific(Math.max(...measurements.map(({ error }) => error)));
  return alignRight([
    ["of", "cases", "gradients", "largest error of outputs", "of gradients", "failed"],
    ...names.map((name) => {
      const own = checked.filter((found) => found.of === name);
      const measurements = own.flatMap((found) => found.measurements);
      const gradients = measurements.filter(({ method }) => method !== "values");
      return [
        name,
        String(own.length),
        String(gradients.length),
        largest(measurements.filter(({ method }) => method === "values")),
        largest(gradients),
        String(own.filter((found) => !found.passed).length),
      ];
    }),
  ]);
}
