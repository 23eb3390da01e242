/** What a run says of its data before it begins: a misspelt column would else train a head on nothing, in silence. Pure. */
import { type Architecture, type Task, tasksOf } from "../architecture.ts";
import { eightEmotions } from "../data/classes.ts";
import { countLabels, type LabelCounts } from "../data/counts.ts";
import type { Manifest } from "../data/manifest.ts";

const labelNames = { aes: "aesthetics", emo: "emotion" } as const;

const labelled = ({ aes, samples, emotionMissing }: LabelCounts, task: Task): number =>
  task === "aes" ? aes.high + aes.low : samples - emotionMissing;

/** A line with the samples and labels of the splits that training reads, then a note for each thing that looks like a mistake. */
export function describeData(
  { samples, ignoredColumns }: Pick<Manifest, "samples" | "ignoredColumns">,
  { arch, classes }: Pick<Architecture, "arch" | "classes">,
): string[] {
  const counts = countLabels(samples);
  const tasks = tasksOf(arch);
  const told = (of: LabelCounts) => tasks.map((task) => `${labelNames[task]} ${labelled(of, task)}`).join(", ");
  const validation = counts.val.samples > 0 ? `, ${counts.val.samples} to validate on (${told(counts.val)})` : "";
  const lines = [`data: ${counts.train.samples} samples to train on (labels: ${told(counts.train)})${validation}`];
  for (const task of tasks) {
    const label = `${labelNames[task]} label`;
    if (labelled(counts.train, task) === 0) {
      lines.push(`note: no sample to train on has an ${label}: that head learns nothing`);
    } else if (counts.val.samples > 0 && labelled(counts.val, task) === 0) {
      lines.push(`note: no sample to validate on has an ${label}: there will be no best-${task}`);
    }
  }
  if (ignoredColumns.length > 0) lines.push(`note: columns without a meaning: ${ignoredColumns.join(", ")}`);
  const others = classes.filter((name) => !(eightEmotions as readonly string[]).includes(name));
  if (tasks.includes("emo") && others.length > 0 && others.length < classes.length) {
    const are = others.length === 1 ? "is none" : "are none";
    lines.push(
      `note: ${others.join(", ")} ${are} of the eight emotions, so the classes are these: ${classes.join(", ")}`,
    );
  }
  return lines;
}
