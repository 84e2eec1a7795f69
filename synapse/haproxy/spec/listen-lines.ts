/** Where a line of `listen` belongs, which is for the frontend and the backend together. */
export type Place = 'frontend' | 'backend' | 'both';

/**
 * Directives that HAProxy takes in a frontend but not in a backend, or that may be in one place only, such as `id`
 * (configuration manuals 2.6 to 3.4, section 4.1). Longest match on whole words, of three words at most. Directives of
 * neither list go to both: HAProxy's own check judges them, not a list that may be old.
 */
const frontendOnly: readonly string[] = [
  'backlog',
  'bind',
  'capture',
  'clitimeout',
  'declare capture',
  'default_backend',
  'error-log-format',
  'force-be-switch',
  'guid',
  'http-request capture',
  'id',
  'log-format',
  'log-format-sd',
  'log-steps',
  'max-session-srv-conns',
  'maxconn',
  'monitor',
  'monitor-net',
  'monitor-uri',
  'option accept-invalid-http-request',
  'option accept-unsafe-violations-in-http-request',
  'option clitcpka',
  'option contstats',
  'option disable-h2-upgrade',
  'option dontlog-normal',
  'option dontlognull',
  'option http-drop-response-trailers',
  'option http-ignore-probes',
  'option http-use-proxy-header',
  'option httpslog',
  'option idle-close-on-response',
  'option log-separate-errors',
  'option logasap',
  'option socket-stats',
  'option tcp-smart-accept',
  'option h1-case-adjust-bogus-client',
  'clitcpka-cnt',
  'clitcpka-idle',
  'clitcpka-intvl',
  'quic-initial',
  'rate-limit',
  'ssl-f-use',
  'tcp-request connection',
  'tcp-request content switch-mode',
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
  'be-unpublished',
  'contimeout',
  'cookie',
  'default-server',
  'dispatch',
  'dynamic-cookie-key',
  'external-check',
  'force-persist',
  'fullconn',
  'hash-balance-factor',
  'hash-preserve-affinity',
  'hash-type',
  'http-check',
  'http-request set-timeout',
  'http-response set-timeout',
  'http-reuse',
  'http-send-name-header',
  'ignore-persist',
  'load-server-state-from-file',
  'max-keep-alive-queue',
  'option abortonclose',
  'option accept-invalid-http-response',
  'option accept-unsafe-violations-in-http-response',
  'option allbackups',
  'option allredisp',
  'option checkcache',
  'option external-check',
  'option h1-case-adjust-bogus-server',
  'option http-drop-request-trailers',
  'option http-pretend-keepalive',
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
  'stick-table',
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
  for (let count = 3; count > 0; count -= 1) {
    const place = places.get(words.slice(0, count).join(' '));
    if (place !== undefined) return place;
  }
  return 'both';
}

/**
 * The lines of `listen` that a frontend gets, in order. They are unchanged, unless `listen` has a table: that is in the
 * backend, and rules of the frontend get its name.
 */
export function frontendLines(listen: readonly string[], backend: string): readonly string[] {
  const lines = listen.filter((line) => placeOf(line) !== 'backend');
  const hasTable = listen.some((line) => /^\s*stick-table\s/i.test(line));
  return hasTable ? lines.map((line) => withTable(line, backend)) : lines;
}

/** Names the table in `track-sc0 src`, and in fetches such as `src_conn_rate`, where the line names none. */
function withTable(line: string, table: string): string {
  return line
    .replace(/(\strack-sc\d+\s+\S+)(?!\S|\s+table\s)/, `$1 table ${table}`)
    .replace(/(?<![\w.-])(src_(?!port\b|is_local\b)[a-z0-9_]+)(?![\w(])/g, `$1(${table})`);
}

/** The lines of `listen` that a backend gets, unchanged and in order. */
export function backendLines(listen: readonly string[]): readonly string[] {
  return listen.filter((line) => placeOf(line) !== 'frontend');
}
