/** Where a line of `listen` belongs, which is for the frontend and the backend together. */
export type Place = 'frontend' | 'backend' | 'both';

/**
 * Directives that HAProxy takes in a frontend but not in a backend (configuration manual 2.6, section 4.1). Longest
 * match on whole words. Directives of neither list go to both: HAProxy's own check judges them, not a list that may be old.
 */
const frontendOnly: readonly string[] = [
  'backlog',
  'bind',
  'capture',
  'clitimeout',
  'declare capture',
  'default_backend',
  'error-log-format',
  'log-format',
  'log-format-sd',
  'maxconn',
  'monitor',
  'monitor-net',
  'monitor-uri',
  'option accept-invalid-http-request',
  'option clitcpka',
  'option contstats',
  'option dontlog-normal',
  'option dontlognull',
  'option http-ignore-probes',
  'option http-use-proxy-header',
  'option idle-close-on-response',
  'option log-separate-errors',
  'option logasap',
  'option socket-stats',
  'option tcp-smart-accept',
  'option h1-case-adjust-bogus-client',
  'clitcpka-cnt',
  'clitcpka-idle',
  'clitcpka-intvl',
  'rate-limit',
  'tcp-request connection',
  'tcp-request session',
  'timeout client',
  'timeout client-fin',
  'timeout clitimeout',
  'timeout client-hs',
  'unique-id-format',
  'unique-id-header',
  'use_backend',
];

/** The same for directives that only a backend takes. */
const backendOnly: readonly string[] = [
  'appsession',
  'balance',
  'contimeout',
  'cookie',
  'default-server',
  'dispatch',
  'dynamic-cookie-key',
  'external-check',
  'fullconn',
  'hash-balance-factor',
  'hash-preserve-affinity',
  'hash-type',
  'http-check',
  'http-reuse',
  'http-send-name-header',
  'load-server-state-from-file',
  'max-keep-alive-queue',
  'max-session-srv-conns',
  'option abortonclose',
  'option accept-invalid-http-response',
  'option allbackups',
  'option allredisp',
  'option checkcache',
  'option external-check',
  'option h1-case-adjust-bogus-server',
  'option httpchk',
  'option lb-agent-chk',
  'option ldap-check',
  'option log-health-checks',
  'option mysql-check',
  'option persist',
  'option pgsql-check',
  'option prefer-last-server',
  'option redis-check',
  'option redispatch',
  'option smtpchk',
  'option spop-check',
  'option srvtcpka',
  'option ssl-hello-chk',
  'option tcp-check',
  'option tcp-smart-connect',
  'option transparent',
  'persist',
  'redisp',
  'redispatch',
  'retries',
  'retry-on',
  'server',
  'server-state-file-name',
  'server-template',
  'source',
  'srvtcpka-cnt',
  'srvtcpka-idle',
  'srvtcpka-intvl',
  'srvtimeout',
  'stick',
  'tcp-check',
  'tcp-response',
  'timeout check',
  'timeout connect',
  'timeout contimeout',
  'timeout queue',
  'timeout server',
  'timeout server-fin',
  'timeout srvtimeout',
  'timeout tunnel',
  'transparent',
  'use-server',
];

const places = new Map<string, Place>([
  ...frontendOnly.map((directive) => [directive, 'frontend'] as const),
  ...backendOnly.map((directive) => [directive, 'backend'] as const),
]);

/** The place of a `listen` line. Whitespace and letter case do not matter; `no option X` goes where `option X` goes. */
export function placeOf(line: string): Place {
  const words = line.trim().toLowerCase().split(/\s+/);
  if (words[0] === 'no' || words[0] === 'default') words.shift();
  const [first = '', second = ''] = words;
  return places.get(`${first} ${second}`) ?? places.get(first) ?? 'both';
}

/** The lines of `listen` that a frontend gets, unchanged and in order. */
export function frontendLines(listen: readonly string[]): readonly string[] {
  return listen.filter((line) => placeOf(line) !== 'backend');
}

/** The lines of `listen` that a backend gets, unchanged and in order. */
export function backendLines(listen: readonly string[]): readonly string[] {
  return listen.filter((line) => placeOf(line) !== 'frontend');
}
