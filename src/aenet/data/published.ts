/** How many images of which class the data sets have by their publications, to hold what is found against. Pure. */
import { EIGHT_EMOTIONS } from "./classes.ts";
import { alignColumns, type CountsBySplit } from "./counts.ts";
import { SPLITS } from "./labels.ts";

export interface PublishedCounts {
  /** Who says so. */
  source: string;
  images?: number;
  aes?: { high: number; low: number };
  emotions?: Readonly<Record<string, number>>;
}

export interface PublishedSet {
  name: SetName;
  /** As many as there are statements, which need not agree. */
  counts: readonly PublishedCounts[];
  /** What is published in words only. */
  remark?: string;
}

export const SET_NAMES = ["iae", "ava", "fi", "artphoto"] as const;
export type SetName = (typeof SET_NAMES)[number];

/** Counts in the order of `EIGHT_EMOTIONS`: amusement, excitement, awe, contentment, disgust, anger, fear, sadness. */
function byEmotion(...counts: number[]): Record<string, number> {
  return Object.fromEntries(EIGHT_EMOTIONS.map((name, i) => [name, counts[i]!]));
}

const SETS: Readonly<Record<SetName, PublishedSet>> = {
  iae: {
    name: "iae",
    counts: [
      { source: "paper", images: 22086, aes: { high: 12641, low: 9445 } },
      { source: "archive's README", images: 22086, aes: { high: 12762, low: 9324 } },
    ],
    remark: "each emotion has more than 1,100 images by the paper",
  },
  // Murray, Marchesotti and Perronnin, CVPR 2012, say "over 250,000"; the number is that of the lines of their AVA.txt.
  ava: { name: "ava", counts: [{ source: "AVA.txt", images: 255530 }] },
  fi: {
    name: "fi",
    counts: [
      {
        source: "You et al. 2016",
        images: 23308,
        emotions: byEmotion(4942, 2963, 3151, 5374, 1658, 1266, 1032, 2922),
      },
    ],
  },
  artphoto: {
    name: "artphoto",
    counts: [
      {
        source: "Machajdik and Hanbury 2010",
        images: 806,
        emotions: byEmotion(101, 105, 102, 70, 70, 77, 115, 166),
      },
    ],
  },
};

/** What is published of a set, by the name of its importer; null for sets of one's own. */
export function publishedSet(name: string): PublishedSet | null {
  return SET_NAMES.includes(name as SetName) ? SETS[name as SetName] : null;
}

export interface CountComparison {
  what: string;
  found: number;
  /** By statement, in the set's order; null where it says nothing of this. */
  published: (number | null)[];
}

/** Every number that is published of the set beside the one that was found, over all splits. */
export function comparePublished(set: PublishedSet, counts: CountsBySplit): CountComparison[] {
  const sum = (count: (of: CountsBySplit["train"]) => number) =>
    SPLITS.reduce((total, split) => total + count(counts[split]), 0);
  const row = (what: string, found: number, said: (counts: PublishedCounts) => number | undefined) => ({
    what,
    found,
    published: set.counts.map((statement) => said(statement) ?? null),
  });
  return [
    row(
      "samples",
      sum((of) => of.samples),
      ({ images }) => images,
    ),
    row(
      "aesthetics: high",
      sum((of) => of.aes.high),
      ({ aes }) => aes?.high,
    ),
    row(
      "aesthetics: low",
      sum((of) => of.aes.low),
      ({ aes }) => aes?.low,
    ),
    ...EIGHT_EMOTIONS.map((name) =>
      row(
        `emotion: ${name}`,
        sum((of) => of.emotions[name] ?? 0),
        ({ emotions }) => emotions?.[name],
      ),
    ),
  ].filter(({ published }) => published.some((number) => number !== null));
}

/** The comparison as a table: a number, and by how much what was found differs from it. */
export function formatPublished(set: PublishedSet, counts: CountsBySplit): string {
  const cell = (published: number | null, found: number) => {
    if (published === null) return "";
    const difference = found - published;
    return `${published} ${difference === 0 ? "(same)" : `(${difference > 0 ? "+" : "−"}${Math.abs(difference)})`}`;
  };
  const table = alignColumns([
    [`against ${set.name} as published`, "found", ...set.counts.map(({ source }) => source)],
    ...comparePublished(set, counts).map(({ what, found, published }) => [
      what,
      String(found),
      ...published.map((number) => cell(number, found)),
    ]),
  ]);
  return set.remark === undefined ? table : `${table}\n${set.remark}`;
}
