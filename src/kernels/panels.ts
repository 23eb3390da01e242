/**
 * Weights lie in panels: a matrix [rows, columns] as stretches of 32 columns (the last one may be narrower), one behind the
 * other. A product that runs along K for some columns so sweeps memory, however many columns there are; rows that lie
 * kilobytes apart would each miss the cache, where no prefetcher follows.
 *
 * A panel lies in blocks of 4×4, row of blocks by row of blocks, and a block row by row: one line of a cache. A forward
 * product's lane reads four rows of its four columns, an input gradient's four columns of its four rows: the same 64 bytes.
 *
 * Of a convolution, rows are taps and input channels, columns output channels; both come by fours. Places and counts of
 * columns are in vec4f.
 */

/** Columns of a panel. */
const panelColumns = 32;
const panelVectors = panelColumns / 4;

/** Names or expressions of a matrix's rows and columns. */
interface MatrixSize {
  readonly rows: string;
  readonly columns4: string;
}

/** WGSL that declares where `column` lies: `inPanel<name>` in row 0, and what `inRow` needs. */
export const locateColumn = (name: string, column: string, { rows, columns4 }: MatrixSize): string => /* wgsl */ `
    let panel${name} = (${column}) & ~${panelVectors - 1}u;
    let panelWidth${name} = min(${columns4} - panel${name}, ${panelVectors}u);
    let inPanel${name} = panel${name} * ${rows} + ((${column}) - panel${name}) * 4u;`;

/** WGSL for the place in `row` of a column that was located; behind a row that is a multiple of four, three more follow it. */
export const inRow = (name: string, row: string): string =>
  `inPanel${name} + ((${row}) & ~3u) * panelWidth${name} + ((${row}) & 3u)`;

/** The same for a row that is a multiple of four. */
export const inFourthRow = (name: string, row: string): string => `inPanel${name} + (${row}) * panelWidth${name}`;

/** WGSL that declares the `row` and the `column` of what lies at `place`. */
export const locatePlace = (place: string, { rows, columns4 }: MatrixSize): string => /* wgsl */ `
    let firstColumn = divide(${place}, ${rows} * ${panelVectors}u) * ${panelVectors}u;
    let inStretch = ${place} - firstColumn * ${rows};
    let ofFourRows = min(${columns4} - firstColumn, ${panelVectors}u) * 4u;
    let fourRows = divide(inStretch, ofFourRows);
    let row = fourRows * 4u + (inStretch & 3u);
    let column = firstColumn + ((inStretch - fourRows * ofFourRows) >> 2u);`;

/** Calls `visit` with the row, the first column and the place of each four columns in a row, all in elements. */
export function forEachFour(
  rows: number,
  columns: number,
  visit: (row: number, column: number, place: number) => void,
): void {
  for (let panel = 0; panel < columns; panel += panelColumns) {
    const width = Math.min(columns - panel, panelColumns);
    for (let row = 0; row < rows; row++) {
      const place = panel * rows + (row & ~3) * width + 4 * (row & 3);
      for (let column = 0; column < width; column += 4) visit(row, panel + column, place + 4 * column);
    }
  }
}
