/** Goes on with the run in the folder argv[2], a checkpoint a step, until it is killed; prints each step that is saved. */
import { RunFolder } from "../../src/aenet/training/run-folder.ts";
import { checkpointAt } from "./run-states.ts";

const run = await RunFolder.open(process.argv[2]!);
const size = Number(process.argv[3]);
const pair = await run.loadCheckpoint();
for (let step = (pair?.state.step ?? 0) + 1; ; step++) {
  run.log({ type: "step", step, epoch: 0, loss: 1 / step, loss_aes: null, loss_emo: null, lr: 1e-4, images_per_s: 7 });
  await run.saveCheckpoint(checkpointAt(step, size));
  process.stdout.write(`${step}\n`);
}
