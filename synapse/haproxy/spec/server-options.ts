import { argumentOf, valueProblem } from './server-keywords.ts';

/** A keyword of a server line with its values. */
export interface Option {
  readonly keyword: string;
  readonly values: readonly string[];
}

/** Splits the words of a server line into keywords with their values. */
export function parseOptions(text: string): readonly Option[] {
  const words = wordsOf(text);
  const options: Option[] = [];
  for (let index = 0; index < words.length; index++) {
    const keyword = words[index] as string;
    const value = argumentOf(keyword).kind === 'none' ? undefined : words[index + 1];
    if (value !== undefined) index += 1;
    options.push({ keyword, values: value === undefined ? [] : [value] });
  }
  return options;
}

/** The words again, separated by one space. */
export function formatOptions(options: readonly Option[]): string {
  return options.map(formatOption).join(' ');
}

/** The value of the last option of that name, as HAProxy takes it. */
export function lastValue(options: readonly Option[], keyword: string): string | undefined {
  return options.findLast((option) => option.keyword === keyword)?.values[0];
}

/** The options of a record's haproxy_server_options, by whether they are used. */
export interface Trusted {
  /** At most one for each keyword. */
  readonly options: readonly Option[];
  /** The options that are not used, each with the reason, for people. */
  readonly dropped: readonly string[];
}

/** The most words of a record that are used. HAProxy refuses a line of more than 64 words, and its service has some too. */
const mostWords = 32;
/** A keyword that is not in the table; the characters of the whole text are checked when the record is read. */
const longestKeyword = 64;
/** The most reasons that are kept for one record. */
const mostReasons = 8;

/**
 * Takes from the options of a record those that `trusted` (keywords, or '*') allows and whose values are within the limits of
 * `server-keywords.ts`: HAProxy refuses the whole file for one bad value, and repeated keywords have no clear meaning.
 */
export function filterOptions(text: string, trusted: ReadonlySet<string>): Trusted {
  const count = wordsOf(text).length;
  if (count > mostWords) {
    return { options: [], dropped: [`haproxy_server_options: ${count} words, at most ${mostWords} are used`] };
  }
  const given = parseOptions(text);
  const options: Option[] = [];
  const dropped: string[] = [];
  const seen = new Set<string>();
  for (const option of given) {
    const written = formatOption(option);
    if (seen.has(written)) continue;
    seen.add(written);
    const problem = problemOf(option, given, trusted);
    if (problem === undefined) options.push(option);
    else dropped.push(`haproxy_server_options: ${written}: ${problem}`);
  }
  return { options, dropped: dropped.slice(0, mostReasons) };
}

function problemOf(option: Option, given: readonly Option[], trusted: ReadonlySet<string>): string | undefined {
  const { keyword, values } = option;
  if (!trusted.has(keyword) && !trusted.has('*')) return 'not among haproxy.trust_server_options';
  if (keyword.length > longestKeyword) return `a keyword has at most ${longestKeyword} characters`;
  const written = formatOption(option);
  const other = given.find((each) => subjectOf(each) === subjectOf(option) && formatOption(each) !== written);
  if (other !== undefined) return `contradicts ${formatOption(other)}`;
  return valueProblem(argumentOf(keyword), values[0]);
}

/** What an option is about: `check` and `no-check` are about the same. */
function subjectOf({ keyword }: Option): string {
  return keyword.replace(/^no-/, '');
}

function formatOption({ keyword, values }: Option): string {
  return [keyword, ...values].join(' ');
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
