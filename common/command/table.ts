import { plain, type Style, type Tone } from './style.ts';

/** One cell: its text, or its text and what that is. */
export type Cell = string | { readonly text: string; readonly tone: Tone };

/** Lines of columns, each as wide as its widest cell; no spaces at the ends of lines. */
export function formatTable(rows: readonly (readonly Cell[])[], style: Style = plain): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, textOf(cell).length);
  }
  return rows.map((row) => `${lineOf(row, widths, style)}\n`).join('');
}

function lineOf(row: readonly Cell[], widths: readonly number[], style: Style): string {
  let last = row.length - 1;
  while (last >= 0 && textOf(row[last] ?? '').trim() === '') last -= 1;
  return row
    .slice(0, last + 1)
    .map((cell, i) => {
      const text = textOf(cell);
      const shown = i === last ? text.trimEnd() : text;
      const space = ' '.repeat(i === last ? 0 : (widths[i] ?? 0) - text.length);
      return `${typeof cell === 'string' ? shown : style(cell.tone, shown)}${space}`;
    })
    .join('  ');
}

/** The titles of columns. */
export function heading(titles: readonly string[]): readonly Cell[] {
  return titles.map((text) => ({ text, tone: 'strong' }));
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}
