import type { TrainSettings } from "../../src/aenet/training/train.ts";
import { parseAdapterChoice } from "../../src/node/index.ts";

/** On AENET_ADAPTER's adapter, or the first that opens. */
export const settings = (more: Partial<TrainSettings> = {}): TrainSettings => ({
  adapter: parseAdapterChoice(process.env.AENET_ADAPTER || "auto"),
  workers: 2,
  ...more,
});
