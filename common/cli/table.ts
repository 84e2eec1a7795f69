/** One cell: text, or text with its tone. */
export type Cell = string | { readonly text: string; readonly tone: Tone };

/** Aligns rows in columns, each as wide as its widest cell; without spaces at the ends of lines. */
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

/** A row of column titles. */
export function heading(titles: readonly string[]): readonly Cell[] {
  return titles.map((text) => ({ text, tone: 'strong' }));
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

/** The meaning of a piece of text. The words say it too, because pipes lose colours and not everybody sees them. */
export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong';

/** Adds the colour of a tone to a text, where the output shows colours. */
export type Style = (tone: Tone, text: string) => string;

/** ECMA-48, "select graphic rendition". */
const codes: Readonly<Record<Tone, readonly [on: number, off: number]>> = {
  good: [32, 39],
  warn: [33, 39],
  bad: [31, 39],
  dim: [2, 22],
  strong: [1, 22],
};

/** For pipes and files. */
export const plain: Style = (_, text) => text;

/** For terminals. */
export const coloured: Style = (tone, text) => {
  const [on, off] = codes[tone];
  return text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`;
};

/** What decides whether a program writes colours. */
export interface StyleOptions {
  /** `--color`: `auto` when not given. */
  readonly color: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: boolean;
}

/** Colours on a terminal, unless `NO_COLOR` (https://no-color.org) or `TERM=dumb` say otherwise. */
export function styleFor({ color, env, isTerminal }: StyleOptions): Style {
  if (color === 'always') return coloured;
  if (color === 'never' || !isTerminal || env.NO_COLOR || env.TERM === 'dumb') return plain;
  return coloured;
}
