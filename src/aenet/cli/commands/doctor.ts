import type { AdapterChoice } from "../../../node/choice.ts";
import type { CommandSpec } from "../command.ts";
import { exitCodes } from "../errors.ts";
import { computeOptions, json } from "../options.ts";
import { formatJson } from "../text.ts";

interface DoctorFlags {
  adapter: AdapterChoice;
  json: boolean;
}

type Backend = Pick<typeof import("../../../node/doctor.ts"), "diagnose" | "formatDoctor">;

/** Fails where nothing can compute. */
export function doctorCommand(
  load: () => Promise<Backend> = () => import("../../../node/doctor.ts"),
): CommandSpec<DoctorFlags> {
  return {
    name: "doctor",
    summary: "what this machine offers: the adapter taken, what was passed over and why",
    options: { adapter: computeOptions.adapter, json },
    examples: ["aenet doctor --adapter lavapipe"],
    async run({ values }, terminal) {
      const { diagnose, formatDoctor } = await load();
      const report = await diagnose(values.adapter);
      terminal.out(values.json ? formatJson(report) : `${formatDoctor(report)}\n`);
      return report.ok ? exitCodes.done : exitCodes.failed;
    },
  };
}
