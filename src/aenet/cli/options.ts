/** The options that several commands share. Pure. */
import { type AdapterChoice, adapterChoices } from "../../node/choice.ts";
import { boolean, choice, integer, type Kind } from "./kinds.ts";
import type { Option, Options } from "./settings.ts";

/** What every command that computes takes. */
export interface ComputeFlags {
  adapter: AdapterChoice;
  precision: "f32";
  tune: boolean;
  workers: number | null;
}

/** f16 is a word of the command line before it is one of the engine. */
const precision: Kind<"f32"> = {
  placeholder: "f32|f16",
  read(value) {
    if (value === "f32") return value;
    throw new Error(value === "f16" ? "is not available yet; f32 is" : "needs f32 (f16 is not available yet)");
  },
};

const group = "Computing:";

export const computeOptions: Options<ComputeFlags> = {
  adapter: {
    kind: choice(adapterChoices),
    default: "auto",
    help: "auto takes the first of gpu, lavapipe and swiftshader that opens",
    group,
  },
  precision: { kind: precision, default: "f32", help: "of activations and products; f16 is not available yet", group },
  tune: { kind: boolean, default: true, help: "take the kernels of the table instead of measuring some", group },
  workers: { kind: integer(1), default: null, help: "images decoded at a time", group },
};

export const batchSize: Option<number> = { kind: integer(1), default: 16, help: "images computed at a time", group };

export const json: Option<boolean> = { kind: boolean, default: false, help: "print JSON" };
