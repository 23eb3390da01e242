/**
 * `npm run bench:smoke`, for CI: fails where a share of what the adapter can do, measured in the same run, lies below
 * its floor in targets.ts. Floors are generous and never times; a row counts with the best of some tries, as other work
 * on the machine can only slow it down.
 */
import { alignRight, percent } from "../src/aenet/cli/text.ts";
import { summarizeConvolutions } from "./convolutions.ts";
import { adapterNamed, type Context, profileStep, withCeilings, withDevice } from "./harness.ts";
import { measureCase, measureOptimizer, memoryCases } from "./memory-bound.ts";
import { convolutionTargetsOf, memoryTargetOf, stepFloorOf } from "./targets.ts";

const tries = 3;
/** Seconds that a measurement may take for its rounds. */
const seconds = 1.5;
const work = { arch: "resnet50-aes", batchSize: 4, imageSize: 64 };

interface Row {
  readonly name: string;
  readonly floor: number;
  /** The best so far. */
  share: number;
}

const context: Context = {
  adapter: adapterNamed(process.env.AENET_ADAPTER || "auto"),
  photographs: null,
  print: (text) => void process.stdout.write(text),
  note: (text) => void process.stderr.write(`  ${text}\n`),
};

if (await withDevice(context, async ({ hasTimestamps }) => hasTimestamps)) await smoke();
else context.print("bench:smoke is skipped: the adapter has no timestamps (timestamp-query)\n");

async function smoke(): Promise<void> {
  const rows = new Map<string, Row>();
  const below = () => [...rows.values()].filter(({ share, floor }) => !(share >= floor));
  const note = (name: string, floor: number, share: number | null) => {
    const row = rows.get(name) ?? { name, floor, share: 0 };
    row.share = Math.max(row.share, share ?? 0);
    rows.set(name, row);
  };
  for (let attempt = 1; attempt <= tries; attempt++) {
    await withCeilings(context, async (device, ceilings) => {
      const { kind } = device.platform;
      const { step, profile } = await profileStep(device, ceilings, work, seconds);
      const targets = convolutionTargetsOf(kind);
      for (const { name, peak_share } of summarizeConvolutions(profile)) note(name, targets[name].floor, peak_share);
      note("training step", stepFloorOf(kind), step.share_of_ceilings);
      const memory = await measureOptimizer(device, ceilings, seconds);
      for (const one of memoryCases.filter(({ smoke }) => smoke)) {
        memory.push(...(await measureCase(device, ceilings, one, seconds)));
      }
      for (const { name, copy_share } of memory) note(name, memoryTargetOf(kind).floor, copy_share);
    });
    if (below().length === 0) break;
    context.note(
      `try ${attempt} of ${tries}: below the floor: ${below()
        .map(({ name }) => name)
        .join(", ")}`,
    );
  }
  context.print(
    alignRight([
      ["of the ceiling", "best", "floor", ""],
      ...[...rows.values()].map((row) => [
        row.name,
        percent(row.share),
        percent(row.floor),
        row.share >= row.floor ? "" : "below",
      ]),
    ]),
  );
  if (below().length > 0) process.exitCode = 1;
}
