/** Small forms of numbers and tables for people. Pure. */

/** 0.712 as "71.2 %"; a dash for null. */
export function percent(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(1)} %`;
}

/** Four digits; a dash for null. */
export function short(value: number | null): string {
  return value === null ? "–" : value.toPrecision(4);
}

/** 134217728 as "128 MiB". */
export function bytes(size: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${Number(size.toPrecision(4))} ${units[unit]}`;
}

/** Rows in columns: the first to the left, the others to the right. */
export function alignRight(rows: readonly (readonly string[])[]): string {
  return align(rows, (cell, width, column) => (column === 0 ? cell.padEnd(width) : cell.padStart(width)));
}

/** Rows in columns, all to the left. */
export function alignLeft(rows: readonly (readonly string[])[]): string {
  return align(rows, (cell, width) => cell.padEnd(width));
}

function align(rows: readonly (readonly string[])[], pad: (cell: string, width: number, column: number) => string) {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => pad(cell, widths[i]!, i))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** A word of a command line, quoted where a shell needs it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Two spaces of indentation; numbers parse back exactly. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** "1 step", "2 steps". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
