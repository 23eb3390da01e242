/**
 * Weights lie in panels: a matrix [rows, columns] as stretches of 32 columns (the last one may be narrower), one behind the
 * other, each of them row by row. A product that runs along K for some columns so sweeps memory, however many columns there
 * are; rows that lie kilobytes apart would each miss the cache, where no prefetcher follows.
 *
 * Of a convolution, rows are taps and input channels, columns output channels. Counts are in vec4f of columns.
 */

/** Columns of a panel. */
const panelColumns = 32;
const panelVectors = panelColumns / 4;

/** Names or expressions of a matrix's rows and columns. */
interface MatrixSize {
  readonly rows: string;
  readonly columns4: string;
}

/** WGSL that declares where `column` lies: `inPanel<name>` in row 0, and `panelWidth<name>` further in each row. */
export const locateColumn = (name: string, column: string, { rows, columns4 }: MatrixSize): string => /* wgsl */ `
    let panel${name} = (${column}) & ~${panelVectors - 1}u;
    let panelWidth${name} = min(${columns4} - panel${name}, ${panelVectors}u);
    let inPanel${name} = panel${name} * ${rows} + (${column}) - panel${name};`;

/** WGSL that declares the `row` and the `column` of what lies at `place`. */
export const locatePlace = (place: string, { rows, columns4 }: MatrixSize): string => /* wgsl */ `
    let firstColumn = divide(${place}, ${rows} * ${panelVectors}u) * ${panelVectors}u;
    let inStretch = ${place} - firstColumn * ${rows};
    let stretchWidth = min(${columns4} - firstColumn, ${panelVectors}u);
    let row = divide(inStretch, stretchWidth);
    let column = firstColumn + inStretch - row * stretchWidth;`;

/** Calls `visit` with the row, the first column and the place of each stretch of columns in a row, all in elements. */
export function forEachStretch(
  rows: number,
  columns: number,
  visit: (row: number, column: number, count: number, place: number) => void,
): void {
  for (let panel = 0; panel < columns; panel += panelColumns) {
    const width = Math.min(columns - panel, panelColumns);
    for (let row = 0; row < rows; row++) visit(row, panel, width, panel * rows + row * width);
  }
}
