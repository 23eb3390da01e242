/**
 * Trains in a process of its own: argv[2] is a run's folder, argv[3] the configuration of a new run as JSON, or nothing
 * to go on with the run. Prints a line of JSON for the step that it goes on from, for every step and for the end.
 */
import type { TrainConfig } from "../../src/aenet/training/config.ts";
import { resumeTraining, type TrainEvents, train } from "../../src/aenet/training/train.ts";
import { settings } from "./settings.ts";

const [path, config] = process.argv.slice(2);
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const events: TrainEvents = {
  onMessage: (line) => {
    const from = /^resuming after step (\d+)$/.exec(line);
    if (from) say({ from: Number(from[1]) });
  },
  onStep: ({ step }) => say({ step }),
};
const result = config
  ? await train(JSON.parse(config) as TrainConfig, { path: path!, overwrite: true }, settings(), events)
  : await resumeTraining(path!, {}, settings(), events);
say({ end: result.steps });
