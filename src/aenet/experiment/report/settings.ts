/** The settings that runs were trained with: what tuning chose, and how often it had to be halved. Pure. */
import type { RunResult } from "../results.ts";

/** Null for what a run does not tell. */
export interface Settings {
  readonly lr: number | null;
  /** Of fusion and stitch weights; without meaning for networks that have none. */
  readonly fusion_lr: number | null;
  /** Without meaning for networks of one task. */
  readonly lambda: number | null;
  /** How often a training diverged and was begun anew at half the rates, and the same of its pre-trainings. */
  readonly halvings: number | null;
  readonly pretraining_halvings: number | null;
}

/** Settings, and the seeds that were trained with them. */
export interface UsedSettings extends Settings {
  readonly seeds: readonly number[];
}

/** Settings that differ, each with its seeds, in the order of the runs; nothing of runs that tell none (references). */
export function settingsOf(runs: readonly RunResult[]): UsedSettings[] {
  const found = new Map<string, UsedSettings>();
  for (const { settings, seed } of runs) {
    const number = (name: string) => (typeof settings[name] === "number" ? settings[name] : null);
    const used: Settings = {
      lr: number("lr"),
      fusion_lr: number("fusion_lr"),
      lambda: number("lambda"),
      halvings: number("halvings"),
      pretraining_halvings: number("pretraining_halvings"),
    };
    if (Object.values(used).every((value) => value === null)) continue;
    const key = JSON.stringify(used);
    const seeds = found.get(key)?.seeds ?? [];
    found.set(key, { ...used, seeds: seeds.includes(seed) ? seeds : [...seeds, seed] });
  }
  return [...found.values()];
}

/** Whether two methods were trained alike; halvings are a training's, not a choice. */
export function haveSameRates(left: readonly Settings[], right: readonly Settings[]): boolean {
  const rates = (all: readonly Settings[]) => [
    ...new Set(all.map(({ lr, fusion_lr, lambda }) => JSON.stringify([lr, fusion_lr, lambda]))),
  ];
  return rates(left).sort().join() === rates(right).sort().join();
}

/** One line, such as "rate 0.05, fusion rate 0.02, λ 1; seed 3 begun anew at half the rates once". */
export function settingsText(settings: readonly UsedSettings[]): string {
  return settings.map((used) => `${ratesText(used)}${halvingsText(used, settings.length > 1)}`).join("; ");
}

function ratesText({ lr, fusion_lr, lambda }: Settings): string {
  return [
    ...(lr === null ? [] : [`rate ${lr}`]),
    ...(fusion_lr === null ? [] : [`fusion rate ${fusion_lr}`]),
    ...(lambda === null ? [] : [`λ ${lambda}`]),
  ].join(", ");
}

function halvingsText({ halvings, pretraining_halvings, seeds }: UsedSettings, severalSettings: boolean): string {
  const of = severalSettings ? ` (seed${seeds.length === 1 ? "" : "s"} ${seedsText(seeds)})` : "";
  const times = (count: number) => (count === 1 ? "once" : `${count} times`);
  return [
    of,
    ...(halvings ? [`, rates halved ${times(halvings)} as it diverged`] : []),
    ...(pretraining_halvings ? [`, in pre-training ${times(pretraining_halvings)}`] : []),
  ].join("");
}

/** 0, 1, 2, 3, 7 as "0–3, 7". */
export function seedsText(seeds: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const seed of [...seeds].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && seed === last[1] + 1) last[1] = seed;
    else runs.push([seed, seed]);
  }
  return runs
    .map(([first, last]) =>
      first === last ? `${first}` : last === first + 1 ? `${first}, ${last}` : `${first}–${last}`,
    )
    .join(", ");
}
