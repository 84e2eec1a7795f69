/** What a piece of text is; always said in words too, because colours get lost in pipes and on some eyes. */
export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong';

/** Text as it may stand on the output at hand: with the colour of its tone, or as it is. */
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
