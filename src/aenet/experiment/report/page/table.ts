/** Tables that scroll by themselves where a page is narrow. Pure. */
import { type Child, element, type Markup } from "../markup.ts";

export interface Row {
  /** The row's name, and under it what is small. */
  readonly name: string;
  readonly under?: readonly string[];
  readonly cells: readonly Child[];
  readonly kind?: "leader" | "reference";
}

export function table(caption: string, columns: readonly string[], rows: readonly Row[]): Markup {
  return element(
    "div",
    { class: "table" },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          columns.map((column) => element("th", { scope: "col" }, column)),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map(({ name, under = [], cells, kind }) =>
          element(
            "tr",
            { class: kind ?? null },
            element(
              "th",
              { scope: "row" },
              name,
              under.map((line) => element("small", {}, line)),
            ),
            cells.map((cell) => element("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}

/** A figure with something smaller below it. */
export function withSmall(main: string, small: string | null): Child[] {
  return [main, small === null ? null : element("small", {}, small)];
}
