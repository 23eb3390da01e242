import type { FoundImage } from "./import.ts";

/** What either form of IAE holds. */
export interface IaeSource {
  form: "hdf5" | "archive";
  images: FoundImage[];
  /** The number of each image, by which its ratings are found. */
  ids: number[];
  /** How many images ratings have to be there for, from 0. */
  count: number;
  /** Where the ratings are looked for. */
  folder: string;
  /** Files that no list names. */
  ignored: string[];
}
