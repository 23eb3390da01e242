/** How many samples carry which label, in each split. Pure. */
import { compareCodePoints, EIGHT_EMOTIONS } from "./classes.ts";
import { aestheticLabel, type Labels, SPLITS, type Split } from "./labels.ts";

export interface LabelCounts {
  samples: number;
  aes: { high: number; low: number; missing: number };
  emotions: Record<string, number>;
  emotionMissing: number;
}

export type CountsBySplit = Record<Split, LabelCounts>;

export function countLabels(samples: readonly (Labels & { split: Split })[]): CountsBySplit {
  const empty = (): LabelCounts => ({
    samples: 0,
    aes: { high: 0, low: 0, missing: 0 },
    emotions: Object.create(null), // a class may be called "constructor"
    emotionMissing: 0,
  });
  const counts: CountsBySplit = { train: empty(), val: empty(), test: empty() };
  for (const sample of samples) {
    const split = counts[sample.split];
    split.samples++;
    split.aes[aestheticLabel(sample) ?? "missing"]++;
    if (sample.emotion === null) split.emotionMissing++;
    else split.emotions[sample.emotion] = (split.emotions[sample.emotion] ?? 0) + 1;
  }
  return counts;
}

/** The counts as a table, one column a split and one of their sums. */
export function formatCounts(counts: CountsBySplit): string {
  const names = new Set(SPLITS.flatMap((split) => Object.keys(counts[split].emotions)));
  const rank = (name: string) => (EIGHT_EMOTIONS.includes(name) ? EIGHT_EMOTIONS.indexOf(name) : EIGHT_EMOTIONS.length);
  const emotions = [...names].sort((a, b) => rank(a) - rank(b) || compareCodePoints(a, b));
  const row = (title: string, count: (of: LabelCounts) => number) => {
    const values = SPLITS.map((split) => count(counts[split]));
    return [title, ...[...values, values.reduce((sum, value) => sum + value, 0)].map(String)];
  };
  return alignColumns([
    ["", ...SPLITS, "all"],
    row("samples", (of) => of.samples),
    row("aesthetics: high", (of) => of.aes.high),
    row("aesthetics: low", (of) => of.aes.low),
    row("aesthetics: none", (of) => of.aes.missing),
    ...emotions.map((name) => row(`emotion: ${name}`, (of) => of.emotions[name] ?? 0)),
    row("emotion: none", (of) => of.emotionMissing),
  ]);
}

/** Rows in columns, the first to the left, the others to the right. */
export function alignColumns(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: string[]) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
  return rows.map((row) => line(row).join("  ").trimEnd()).join("\n");
}
