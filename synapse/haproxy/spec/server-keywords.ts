import { formatDuration } from '../../../common/wording.ts';
import { readTimeMs } from './time.ts';

/** What follows a keyword of a server line, and which of it a record may ask for. */
export type Argument =
  | { readonly kind: 'none' }
  /** A whole number. */
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  /** A time in milliseconds; HAProxy's units are us, ms (the default), s, m, h and d. */
  | { readonly kind: 'time'; readonly minMs: number; readonly maxMs: number }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  /** A word without spaces. */
  | { readonly kind: 'word'; readonly pattern: RegExp; readonly allowed: string };

const none: Argument = { kind: 'none' };
const dayMs = 86_400_000;
const number = (min: number, max: number): Argument => ({ kind: 'number', min, max });
const time = (minMs: number, maxMs = dayMs): Argument => ({ kind: 'time', minMs, maxMs });
const choice = (...values: readonly string[]): Argument => ({ kind: 'choice', values });
/** The longest word that a record may give. */
const longestWord = 128;
const word: Argument = {
  kind: 'word',
  pattern: new RegExp(`^\\S{1,${longestWord}}$`),
  allowed: `must be a word of at most ${longestWord} characters`,
};
const value: Argument = {
  kind: 'word',
  pattern: new RegExp(`^[A-Za-z0-9_.:@+/=-]{1,${longestWord}}$`),
  allowed: `must be a word of at most ${longestWord} of A-Z a-z 0-9 _ . : @ + / = -`,
};

/** HAProxy checks a server at most this often for a record: more often, a record could use HAProxy to flood its host. */
const shortestCheckMs = 100;
/** Connections and requests. HAProxy takes 32-bit numbers; none of these means more than a million. */
const mostConnections = 1_000_000;
/** Checks in a row. */
const mostChecks = 1_000;
const port = number(1, 65_535);

/**
 * The keywords of a server line that are followed by a value, in HAProxy 2.6 to 3.4 (`haproxy -dKcfg` lists them; the values
 * are in section 5.2 of the configuration manual). Every other keyword stands alone. Within these limits, every version
 * that knows a keyword accepts it; where the limits are narrower than HAProxy's, they keep a record from doing harm.
 */
const keywords: ReadonlyMap<string, Argument> = new Map(
  Object.entries({
    'agent-inter': time(shortestCheckMs),
    'agent-port': port,
    cookie: value,
    downinter: time(shortestCheckMs),
    'error-limit': number(1, mostChecks),
    fall: number(1, mostChecks),
    fastinter: time(shortestCheckMs),
    'hash-key': choice('id', 'addr', 'addr-port'),
    // Signed 32 bits before 3.4.
    id: number(1, 2_147_483_647),
    'idle-ping': time(0),
    'init-state': choice('up', 'fully-up', 'down', 'fully-down'),
    inter: time(shortestCheckMs),
    'log-bufsize': number(1, mostConnections),
    'max-reuse': number(-1, mostConnections),
    maxconn: number(0, mostConnections),
    maxqueue: number(0, mostConnections),
    minconn: number(0, mostConnections),
    observe: choice('none', 'layer4', 'layer7'),
    'on-error': choice('fastinter', 'fail-check', 'sudden-death', 'mark-down'),
    'on-marked-down': choice('shutdown-sessions'),
    'on-marked-up': choice('shutdown-backup-sessions'),
    'pool-low-conn': number(0, mostConnections),
    'pool-max-conn': number(-1, mostConnections),
    'pool-purge-delay': time(0),
    port,
    'resolve-prefer': choice('ipv4', 'ipv6'),
    rise: number(1, mostChecks),
    shard: number(0, mostConnections),
    slowstart: time(0),
    'tcp-ut': time(0),
    verify: choice('none', 'required'),
    weight: number(0, 256),
    ws: choice('auto', 'h1', 'h2'),
    ...Object.fromEntries(
      (
        'addr agent-addr agent-send alpn ca-file cc check-alpn check-pool-conn-name check-proto check-sni ciphers ' +
        'ciphersuites client-sigalgs crl-file crt curves guid healthcheck init-addr interface ktls log-proto namespace ' +
        'npn pool-conn-name proto proxy-v2-options quic-cc-algo redir resolve-net resolve-opts resolvers sigalgs sni ' +
        'socks4 source ssl-max-ver ssl-min-ver tcp-md5sig track usesrc verifyhost'
      )
        .split(' ')
        .map((keyword) => [keyword, word]),
    ),
  }),
);

/** What follows a keyword: nothing unless HAProxy is known to expect a value. */
export function argumentOf(keyword: string): Argument {
  // The value of set-proxy-v2-tlv-fmt follows its parentheses.
  return keywords.get(keyword) ?? (keyword.startsWith('set-proxy-v2-tlv-fmt(') ? word : none);
}

/** The keywords that are followed by a value. */
export function keywordsWithValue(): Iterable<string> {
  return keywords.keys();
}

/** Why a record may not give this value; undefined when it may. `text`: undefined when there is none. */
export function valueProblem(argument: Argument, text: string | undefined): string | undefined {
  if (argument.kind === 'none') return text === undefined ? undefined : 'takes no value';
  if (text === undefined) return 'needs a value';
  switch (argument.kind) {
    case 'number': {
      const { min, max } = argument;
      const isUsable = /^-?[0-9]{1,10}$/.test(text) && Number(text) >= min && Number(text) <= max;
      return isUsable ? undefined : `must be a whole number from ${min} to ${max}`;
    }
    case 'time': {
      const { minMs, maxMs } = argument;
      const ms = readTimeMs(text);
      if (ms !== undefined && ms >= minMs && ms <= maxMs) return undefined;
      return `must be a time from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
    }
    case 'choice':
      return argument.values.includes(text) ? undefined : `must be ${argument.values.join(', ')}`;
    case 'word':
      return argument.pattern.test(text) ? undefined : argument.allowed;
  }
}
