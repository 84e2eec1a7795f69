/** A keyword of a server line with its values. */
export interface Option {
  readonly keyword: string;
  readonly values: readonly string[];
}

/**
 * Server keywords that are followed by a value (configuration manual 2.6, section 5.2; newer ones added). Every other
 * keyword stands alone.
 */
const withValue: ReadonlySet<string> = new Set(
  (
    'addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni ciphers ' +
    'ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall fastinter guid hash-key id ' +
    'init-addr init-state inter log-bufsize log-proto max-reuse maxconn maxqueue minconn namespace npn observe ' +
    'on-error on-marked-down on-marked-up pool-conn-name pool-low-conn pool-max-conn pool-purge-delay port proto ' +
    'proxy-v2-options redir resolve-net resolve-opts resolve-prefer resolvers rise set-proxy-v2-tlv-fmt sigalgs ' +
    'slowstart sni socks4 source ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track usesrc verify verifyhost weight ws'
  ).split(' '),
);

/** Splits the words of a server line into keywords with their values. */
export function parseOptions(text: string): readonly Option[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const options: Option[] = [];
  for (let index = 0; index < words.length; index++) {
    const keyword = words[index] as string;
    const value = withValue.has(keyword) ? words[index + 1] : undefined;
    if (value !== undefined) index += 1;
    options.push({ keyword, values: value === undefined ? [] : [value] });
  }
  return options;
}

/** The words again, separated by one space. */
export function formatOptions(options: readonly Option[]): string {
  return options.map(({ keyword, values }) => [keyword, ...values].join(' ')).join(' ');
}

/** The value of the last option of that name, as HAProxy takes it. */
export function lastValue(options: readonly Option[], keyword: string): string | undefined {
  return options.findLast((option) => option.keyword === keyword)?.values[0];
}

/** The options of a record's haproxy_server_options, by whether they may be used. */
export interface Trusted {
  readonly options: readonly Option[];
  /** The options that may not be used, as they were written. */
  readonly refused: readonly string[];
}

const count = /^[0-9]{1,9}$/;
const time = /^[0-9]{1,9}(us|ms|s|m|h|d)?$/;
const word = /^[A-Za-z0-9_.:@+/=-]{1,128}$/;

/**
 * The checks for the values of the keywords that are trusted by default: HAProxy refuses the whole file for one bad value, so
 * no record may bring one in. Other keywords are trusted with any value, because a user listed them.
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

/** Splits the options of a record by whether `trusted` (keywords, or '*') allows them. */
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
