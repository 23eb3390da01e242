/**
 * The platform below the engine in Node: Dawn, its drivers, and waiting without burning a core.
 */

export { type DeviceOptions, openDevice, openNullDevice, type TuneOptions } from "./adapter.ts";
export {
  type AdapterChoice,
  AdapterError,
  type AdapterKind,
  type Attempt,
  adapterChoices,
  parseAdapterChoice,
} from "./choice.ts";
export { type DoctorReport, diagnose, formatDoctor } from "./doctor.ts";
export { idle } from "./idle.ts";
