import { randomUUID } from 'node:crypto';
import { visible, visibleLine } from '../visible.ts';

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

/** Text from outside must not end the row. */
function textOf(cell: Cell): string {
  return visibleLine(typeof cell === 'string' ? cell : cell.text);
}

/** The meaning of a piece of text. The words say it too, because pipes lose colours and not everybody sees them. */
export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong';

/** Adds the colour of a tone to a text in one line, where the output shows colours. */
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
export const plain: Style = (_, text) => visibleLine(text);

/** Begins a control sequence: ECMA-48, "CSI". */
const controlSequence = '\u001b[';

const styleWith =
  (begin: string): Style =>
  (tone, text) => {
    const [on, off] = codes[tone];
    return text === '' ? '' : `${begin}${on}m${visibleLine(text)}${begin}${off}m`;
  };

/** For terminals. */
export const coloured: Style = styleWith(controlSequence);

/** How a command writes: the style for its texts, and what makes them fit for the terminal in the end. */
export interface SafeOutput {
  readonly style: Style;
  /** Shows every character that a terminal would obey, except those of `style`. */
  readonly clean: (text: string) => string;
}

/**
 * Tells the colours of `style` from those that a text from outside may have in it: until the end, a mark that cannot be guessed
 * stands for them.
 */
export function safeOutput(style: Style): SafeOutput {
  if (style !== coloured) return { style, clean: visible };
  const mark = `\u001b${randomUUID()}`;
  return { style: styleWith(mark), clean: (text) => text.split(mark).map(visible).join(controlSequence) };
}

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
