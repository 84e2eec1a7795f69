import { formatOptions, type Option, parseOptions } from './keywords.ts';

/** What of a record's haproxy_server_options may be used. */
export interface Trusted {
  readonly options: readonly Option[];
  /** What was left out, as it was written. */
  readonly refused: readonly string[];
}

const count = /^[0-9]{1,9}$/;
const time = /^[0-9]{1,9}(us|ms|s|m|h|d)?$/;
const word = /^[A-Za-z0-9_.:@+/=-]{1,128}$/;

/**
 * What the values of the keywords trusted by default look like: HAProxy refuses the whole file for one bad value, so a
 * record must not bring one in. A keyword that is not here is trusted with any value, because a user listed it.
 */
const values: Readonly<Record<string, (value: string) => boolean>> = {
  weight: (value) => count.test(value) && Number(value) <= 256,
  maxconn: (value) => count.test(value),
  cookie: (value) => word.test(value),
  inter: isTime,
  fastinter: isTime,
  downinter: isTime,
  rise: isPositive,
  fall: isPositive,
  port: (value) => isPositive(value) && Number(value) <= 65_535,
  slowstart: (value) => time.test(value),
  id: (value) => isPositive(value) && Number(value) <= 2_147_483_647,
};

/** Splits the options that an announcer asks for by what `trusted` (keywords, or '*') allows. */
export function filterOptions(text: string, trusted: ReadonlySet<string>): Trusted {
  const options: Option[] = [];
  const refused: string[] = [];
  for (const option of parseOptions(text)) {
    if (isTrusted(option, trusted)) options.push(option);
    else refused.push(formatOptions([option]));
  }
  return { options, refused };
}

function isTrusted(option: Option, trusted: ReadonlySet<string>): boolean {
  if (!trusted.has(option.keyword) && !trusted.has('*')) return false;
  const check = Object.hasOwn(values, option.keyword) ? values[option.keyword] : undefined;
  if (check === undefined) return true;
  const [value] = option.values;
  return value !== undefined && check(value);
}

function isTime(value: string): boolean {
  return time.test(value) && /[1-9]/.test(value);
}

function isPositive(value: string): boolean {
  return count.test(value) && Number(value) >= 1;
}
