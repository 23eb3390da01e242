/** The same training in a process of its own, on the adapter that argv[2] names; prints the digests as JSON. */
import { openDevice, parseAdapterChoice } from "../../src/node/index.ts";
import { twentySteps } from "./twenty-steps.ts";

const device = await openDevice({ adapter: parseAdapterChoice(process.argv[2]!) });
console.log(JSON.stringify({ adapter: device.platform.kind, ...(await twentySteps(device)) }));
