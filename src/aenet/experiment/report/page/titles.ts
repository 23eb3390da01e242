/** Names as readers know them. Pure. */
import { type Cell, cellName, type Experiment } from "../../results.ts";

export interface Titles {
  method(name: string): string;
  cell(cell: Cell): string;
}

export function titlesOf({ methods, cells }: Experiment): Titles {
  return {
    method: (name) => methods.find((method) => method.name === name)?.title ?? name,
    cell: (cell) => cells.find((planned) => cellName(planned.cell) === cellName(cell))?.title ?? cellName(cell),
  };
}
