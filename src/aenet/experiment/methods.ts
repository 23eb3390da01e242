/** The methods that are compared: the paper's six, and controls that tell what makes the difference. Pure. */
import { type ArchName, type Task, tasksOf } from "../architecture.ts";
import type { InitFlag } from "../initialize.ts";
import type { Method } from "./results.ts";

/**
 * What a stream starts from. `s`: a generic task (ImageNet); `a`, `e`: that, then aesthetics or emotion; `ae`: that, then
 * both in one trunk, of the same images as `a` and `e`; `w`: the generic task in the wide network.
 */
export type Pretraining = "s" | "a" | "e" | "ae" | "w";

export interface NetworkPlan {
  readonly arch: ArchName;
  readonly start: Readonly<Partial<Record<InitFlag, Pretraining>>>;
  readonly freeze: readonly string[];
}

export interface MethodPlan extends Method {
  /** Networks that are trained by themselves; where several answer a task, their probabilities are averaged. */
  readonly networks: readonly NetworkPlan[];
}

const network = (arch: ArchName, start: NetworkPlan["start"], freeze: readonly string[] = []): NetworkPlan => ({
  arch,
  start,
  freeze,
});

/** AENet's own pre-training (section 3.1). */
const streams = { "--init-a": "a", "--init-s": "s", "--init-e": "e" } as const;

export const methods: readonly MethodPlan[] = [
  {
    name: "resnet50",
    title: "ResNet50, two single-task networks",
    role: "paper",
    paper_row: "resnet50",
    networks: [network("resnet50-aes", { "--init": "s" }), network("resnet50-emo", { "--init": "s" })],
  },
  {
    name: "wrn",
    title: "WRN, two single-task networks",
    role: "paper",
    paper_row: "wrn",
    networks: [network("wrn-aes", { "--init": "w" }), network("wrn-emo", { "--init": "w" })],
  },
  {
    name: "ssnet",
    title: "SSNet",
    role: "paper",
    paper_row: "ssnet",
    networks: [network("ssnet", { "--init": "s" })],
  },
  {
    name: "csnet",
    title: "CSNet",
    role: "paper",
    paper_row: "csnet",
    networks: [network("csnet", { "--init": "s" })],
  },
  {
    name: "aenet-fl",
    title: "AENet-FL",
    role: "paper",
    paper_row: "aenet-fl",
    networks: [network("aenet-fl", streams)],
  },
  {
    name: "aenet",
    title: "AENet",
    role: "paper",
    paper_row: "aenet",
    networks: [network("aenet", streams)],
  },
  {
    name: "csnet-matched",
    title: "CSNet with AENet's pre-training",
    role: "control",
    paper_row: null,
    networks: [network("csnet", { "--init-a": "a", "--init-e": "e" })],
  },
  {
    name: "ssnet-matched",
    title: "SSNet with AENet's pre-training",
    role: "control",
    paper_row: null,
    networks: [network("ssnet", { "--init": "ae" })],
  },
  {
    name: "aenet-frozen-fusion",
    title: "AENet, fusion weights frozen at 0.9 and 0.1",
    role: "control",
    paper_row: null,
    networks: [network("aenet", streams, ["fusion"])],
  },
  {
    name: "ensemble",
    title: "Three SSNets from A, S and E, averaged",
    role: "control",
    paper_row: null,
    networks: (["a", "s", "e"] as const).map((from) => network("ssnet", { "--init": from })),
  },
];

export function methodNamed(name: string): MethodPlan {
  const method = methods.find((candidate) => candidate.name === name);
  if (!method) throw new Error(`method ${name}: is none of ${methods.map(({ name }) => name).join(", ")}`);
  return method;
}

/** The tasks that a method answers, aesthetics first. */
export function tasksOfMethod({ networks }: Pick<MethodPlan, "networks">): Task[] {
  const answered = new Set(networks.flatMap(({ arch }) => tasksOf(arch)));
  return (["aes", "emo"] as const).filter((task) => answered.has(task));
}

/** What a pre-training itself starts from. */
export function basisOf(pretraining: Pretraining): Pretraining | null {
  return pretraining === "s" || pretraining === "w" ? null : "s";
}
