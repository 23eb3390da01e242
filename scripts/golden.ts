/**
 * `npm run golden`: the engine's errors beside PyTorch's, for the fixtures of test/golden, on the adapter at hand.
 *
 *   npm run golden -- [--adapter auto|gpu|lavapipe|swiftshader] [--all]
 *
 * A line for each fixture and kind of tensor with the worst of them; with `--all` a line for each tensor. Exits with 1
 * where one is beyond its bound.
 */
import { alignLeft } from "../src/aenet/cli/text.ts";
import { openDevice, parseAdapterChoice } from "../src/node/index.ts";
import { type Comparison, compare } from "../test/golden/fixture.ts";
import { imagenetRuns } from "../test/golden/imagenet.ts";
import { runs } from "../test/golden/runs.ts";
import { readFlags } from "./flags.ts";

const { values: flags } = readFlags("golden", {
  options: {
    adapter: { type: "string", default: process.env.AENET_ADAPTER || "auto" },
    all: { type: "boolean", default: false },
  },
});
const device = await openDevice({ adapter: parseAdapterChoice(flags.adapter) });

const digits = (value: number) => value.toExponential(1);
const rows = [["fixture", "tensors", "ours", "PyTorch", "bound", "the worst of them"]];
let beyond = 0;
for (const { name: file, fixture, results } of [...runs, ...imagenetRuns]) {
  const compared = compare(fixture, await results(device));
  beyond += compared.filter(({ error, bound }) => !(error <= bound)).length;
  const row = (what: string, { name, error, bound, reference }: Comparison) =>
    rows.push([file, what, digits(error), digits(reference.float32Error), digits(bound), name]);
  for (const kind of ["output", "loss", "gradient"] as const) {
    const ofKind = compared.filter(({ reference }) => reference.kind === kind);
    if (flags.all) for (const one of ofKind) row(kind, one);
    else if (ofKind.length > 0) {
      const worst = ofKind.reduce((a, b) => (a.error / a.bound >= b.error / b.bound ? a : b));
      row(`${ofKind.length} ${kind === "loss" ? "losses" : `${kind}s`}`, worst);
    }
  }
}
console.log(`${device.platform.description}; errors are ‖x − r‖₂ / ‖r‖₂ against PyTorch's float64`);
console.log(alignLeft(rows));
console.log(beyond === 0 ? "All are within their bounds." : `${beyond} are beyond their bounds.`);
process.exit(beyond === 0 ? 0 : 1);
