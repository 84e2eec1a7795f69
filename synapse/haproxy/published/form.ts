import { type Parameter, parameters } from './parameters.ts';

/**
 * The form of a line or of an option: words with `a|b` for alternatives, `NAME` for a parameter, `[…]` for words that may be left
 * out, and `NAME...` for one or more words. Groups that may be left out may come in any order.
 */
export interface Form {
  /** As it was written. */
  readonly text: string;
  /** The words in the order of the form; undefined when they do not have it. */
  read(words: readonly string[]): readonly string[] | undefined;
}

/** One word of a form. */
interface Word {
  readonly isRepeated: boolean;
  fits(word: string): boolean;
}

/** Words that come together. */
interface Group {
  readonly isOptional: boolean;
  readonly words: readonly Word[];
}

/** Compiles the text of a form. @throws when it names no known parameter, which is a mistake in this program */
export function compileForm(text: string): Form {
  const groups = [...text.matchAll(/\[([^\]]+)\]|\S+/g)].map(([whole, inner]): Group => {
    return { isOptional: inner !== undefined, words: (inner ?? whole).split(' ').map(compileWord) };
  });
  return { text, read: (words) => readGroups(groups, words) };
}

function compileWord(text: string): Word {
  const isRepeated = text.endsWith('...');
  const alternatives = text
    .replace(/\.\.\.$/, '')
    .split('|')
    .map(compileAlternative);
  return { isRepeated, fits: (word) => alternatives.some((fits) => fits(word)) };
}

/** Parameters have names of at least two capitals; everything else stands for itself. */
function compileAlternative(text: string): (word: string) => boolean {
  const used: Parameter[] = [];
  const pattern = text.replace(/[A-Z][A-Z_]+|[^A-Za-z0-9_-]/g, (part) => {
    if (!/^[A-Z]/.test(part)) return `\\${part}`;
    const parameter = parameters[part];
    if (parameter === undefined) throw new Error(`${text}: no parameter is called ${part}`);
    used.push(parameter);
    return `(${parameter.pattern})`;
  });
  const whole = new RegExp(`^${pattern}$`);
  return (word) => {
    const found = whole.exec(word);
    return found !== null && used.every(({ isAllowed }, index) => isAllowed?.(found[index + 1] ?? '') ?? true);
  };
}

function readGroups(groups: readonly Group[], words: readonly string[]): readonly string[] | undefined {
  const found: string[][] = groups.map(() => []);
  let at = 0;
  for (let index = 0; index < groups.length; ) {
    // All neighbours that may be left out: those that are there may be in any order.
    let end = index;
    while (groups[end]?.isOptional === true) end += 1;
    const isRequired = end === index;
    if (isRequired) end += 1;
    for (let next = index; next < end; ) {
      const taken = found[next]?.length === 0 ? wordsOf(groups[next], words, at) : 0;
      found[next]?.push(...words.slice(at, at + taken));
      at += taken;
      // After a group was found, the ones before it may follow.
      next = taken > 0 && !isRequired ? index : next + 1;
    }
    if (isRequired && found[index]?.length === 0) return undefined;
    index = end;
  }
  return at === words.length ? found.flat() : undefined;
}

/** How many of the words from `at` on are those of the group; 0 when they are not. */
function wordsOf(group: Group | undefined, words: readonly string[], at: number): number {
  let taken = 0;
  for (const { fits, isRepeated } of group?.words ?? []) {
    const isNext = (): boolean => {
      const word = words[at + taken];
      return word !== undefined && fits(word);
    };
    if (!isNext()) return 0;
    do taken += 1;
    while (isRepeated && isNext());
  }
  return taken;
}
