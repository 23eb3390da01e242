/** IAE's `Scores.h5` (or `scores.h5`): key `score`, [N, 11], ten ratings on {1, 4, 7, 10} and their total. */
import { Hdf5File, type Numbers } from "./hdf5.ts";

const RATERS = 10;
const RATINGS = [1, 4, 7, 10];

export interface IaeScores {
  file: string;
  count: number;
  /** The ratings of an image, by its index. */
  raters(index: number): number[];
  /** Indices whose 11th number is not the sum of the ten. */
  wrongTotals: number[];
}

/** @throws Hdf5Error for another key or shape, and for a rating that is none of the four. */
export async function readIaeScores(file: string): Promise<IaeScores> {
  const opened = await Hdf5File.open(file);
  try {
    const scores = opened.dataset("score", "scores");
    const [count = 0, width = 0] = scores.shape;
    if (scores.shape.length !== 2 || width !== RATERS + 1) {
      throw scores.error(`has shape [${scores.shape}]; [N, ${RATERS + 1}] is expected: ten ratings and their total`);
    }
    const values: Numbers = scores.rows(0, count);
    const wrongTotals: number[] = [];
    const raters = (index: number) => Array.from(values.subarray(index * width, index * width + RATERS));
    for (let index = 0; index < count; index++) {
      const ratings = raters(index);
      const wrong = ratings.findIndex((rating) => !RATINGS.includes(rating));
      if (wrong >= 0) {
        throw scores.error(
          `image ${index}, rater ${wrong + 1}: ${ratings[wrong]} is none of ${RATINGS.join(", ")}; --scores none leaves the ratings out`,
        );
      }
      if (ratings.reduce((sum, rating) => sum + rating, 0) !== values[index * width + RATERS]) wrongTotals.push(index);
    }
    return { file, count, raters, wrongTotals };
  } finally {
    opened.close();
  }
}
