import type { Log } from '../../../common/daemon/log.ts';
import { digest } from '../../../common/digest.ts';
import { isSocketLine } from '../options/check-config.ts';
import { type HaproxyConfig, orderSeed, socketPaths } from '../options/config.ts';
import { isProxyName, type ServiceHaproxyConfig } from '../options/service-config.ts';
import { modernize, rewriteSections } from './legacy-directives.ts';
import { backendLines, frontendLines } from './listen-lines.ts';
import type { BackendSpec, ServerTemplate } from './types.ts';

/** Balance algorithms that accept other servers and weights at run time, whatever else is set. */
const dynamicAlgorithms: ReadonlySet<string> = new Set(['roundrobin', 'leastconn', 'first', 'random']);

/**
 * The spec of one service. Undefined when the service is not to be in HAProxy: it is disabled, or its `haproxy` section is
 * missing or empty.
 * @throws when the service's name cannot be the name of a backend
 */
export function buildBackendSpec(
  service: string,
  config: ServiceHaproxyConfig | undefined,
  global: HaproxyConfig,
): BackendSpec | undefined {
  if (config === undefined || config.disabled || isEmpty(config)) return undefined;
  const backend = config.backend_name ?? service;
  if (!isProxyName(backend)) {
    throw new Error(`${JSON.stringify(backend)} cannot name a backend: allowed are A-Z a-z 0-9 - _ . :`);
  }
  if (config.port !== false && !isProxyName(service)) {
    throw new Error(`${JSON.stringify(service)} cannot name a frontend: allowed are A-Z a-z 0-9 - _ . :`);
  }
  const lines = modernize([...config.backend, ...backendLines(config.listen)]).lines;
  const defaults = global.defaults;
  const frontend = buildFrontend(config, backend, global);
  const servers = buildTemplate(config, lines, global);
  const fixed = new Set(lines.map((line) => /^\s*server\s+(\S+)/.exec(line)?.[1]).filter((name) => name !== undefined));
  const shared = global.shared_frontend === null ? [] : config.shared_frontend;
  // Another order of the server lines needs no reload, nor does another way to add servers.
  const { order: _order, seed: _seed, waitsForCookie: _waits, trusted, ...making } = servers;
  const suffix = global.frontend_suffix ?? '';
  const content = {
    backend,
    suffix: frontend && suffix,
    frontend,
    lines,
    shared,
    making,
    trusted: [...trusted].sort(),
  };
  return {
    service,
    backend,
    suffix,
    frontend,
    lines,
    shared,
    servers,
    fixed,
    dynamic: isDynamic(lines) ?? isDynamic(defaults) ?? true,
    fingerprint: digest(JSON.stringify(content)),
  };
}

function buildFrontend(
  config: ServiceHaproxyConfig,
  backend: string,
  global: HaproxyConfig,
): readonly string[] | undefined {
  if (config.port === false) return undefined;
  const address = config.bind_address ?? global.bind_address;
  const target = config.port === null ? address : `${address}:${config.port}`;
  const own = modernize([...config.frontend, ...frontendLines(config.listen, backend)]).lines;
  return [
    ...own,
    ...(isHttp(own) && !isHttp(global.defaults) && !mentionsIdleClose([...own, ...global.defaults])
      ? ['option idle-close-on-response']
      : []),
    ...modernize([`bind ${target}${config.bind_options === null ? '' : ` ${config.bind_options}`}`]).lines,
    `default_backend ${backend}`,
  ];
}

function buildTemplate(config: ServiceHaproxyConfig, lines: readonly string[], global: HaproxyConfig): ServerTemplate {
  const tcp = modeOf(lines) ?? modeOf(global.defaults) ?? 'tcp-by-default';
  const cookieLine = [...global.defaults, ...lines].findLast((line) => /^\s*cookie\s/.test(line));
  const weights = config.use_nerve_weights ?? global.use_nerve_weights;
  return {
    options: typeof config.server_options === 'string' ? config.server_options : '',
    cookie: tcp === 'tcp' ? 'none' : cookieKind(cookieLine, config),
    persistence: cookieLine !== undefined,
    waitsForCookie: config.wait_for_cookie,
    order: orderOf(config.backend_order),
    weights: weights === null ? 'default' : weights ? 'always' : 'never',
    trusted: new Set(global.trust_server_options),
    ...(global.knowsInitState === false && { withoutInitState: true as const }),
    seed: orderSeed(global),
    inherited: [...inheritedOf(global.defaults), ...inheritedOf(lines)],
  };
}

function cookieKind(line: string | undefined, config: ServiceHaproxyConfig): ServerTemplate['cookie'] {
  if (line !== undefined && /\sdynamic(\s|$)/.test(line)) return 'dynamic';
  return config.cookie_value_method === 'hash' ? 'hash' : 'name';
}

/** `services.X.haproxy: {}` adds nothing to HAProxy, as in SmartStack. */
function isEmpty(config: ServiceHaproxyConfig): boolean {
  return (
    config.port === false &&
    config.frontend.length === 0 &&
    config.backend.length === 0 &&
    config.listen.length === 0 &&
    config.shared_frontend.length === 0 &&
    config.backend_name === null &&
    (config.server_options === '' || config.server_options === null)
  );
}

function orderOf(order: string | null): ServerTemplate['order'] {
  if (order === 'asc' || order === 'desc') return order;
  return order === 'no_shuffle' ? 'discovered' : 'shuffled';
}

function inheritedOf(lines: readonly string[]): readonly string[] {
  return lines
    .map((line) => /^\s*default-server\s+(.*?)\s*$/.exec(line)?.[1])
    .filter((words): words is string => words !== undefined);
}

/** The last mode that these lines set; undefined when they set none. */
export function modeOf(lines: readonly string[]): string | undefined {
  return lines.map((line) => /^\s*mode\s+(\S+)/.exec(line)?.[1]).findLast((mode) => mode !== undefined);
}

/** True when these lines set `mode http`. */
export function isHttp(lines: readonly string[]): boolean {
  return modeOf(lines) === 'http';
}

/** True when these lines set this option or its opposite. */
export function mentionsIdleClose(lines: readonly string[]): boolean {
  return lines.some((line) => /^\s*(no\s+)?option\s+idle-close-on-response\b/.test(line));
}

/** Undefined when these lines set no algorithm. */
function isDynamic(lines: readonly string[]): boolean | undefined {
  const balance = lines.map((line) => /^\s*balance\s+([a-z0-9_-]+)/.exec(line)?.[1]).findLast((name) => name);
  if (balance === undefined) return undefined;
  if (dynamicAlgorithms.has(balance)) return true;
  return balance !== 'static-rr' && lines.some((line) => /^\s*hash-type\s+consistent\b/.test(line));
}

/** The lines that synapse adds for itself or for traffic during reloads, unless the user has decided otherwise. */
export interface AddedLines {
  readonly global: readonly string[];
  readonly defaults: readonly string[];
}

/** The variable in HAProxy's environment that names the configuration it has loaded. */
export const generationVariable = 'SYNAPSE_GEN';

/** The lines to add to the user's `global` and `defaults`, apart from the generation. */
export function addedLines(config: HaproxyConfig): AddedLines {
  const { global, defaults } = config;
  const has = (lines: readonly string[], pattern: RegExp): boolean => lines.some((line) => pattern.test(line));
  // Several processes with one file name their sockets by a variable of their environment: with all sockets in each process,
  // they would take them away from each other.
  const hasVariable = has(global, /^\s*stats\s+socket\s+\S*\$\{?\w/);
  const sockets =
    config.do_socket && !hasVariable
      ? socketPaths(config).filter((path) => !global.some((line) => isSocketLine(line, path)))
      : [];
  return {
    global: [
      ...sockets.map((path) => `stats socket ${path} mode 660 level admin`),
      // HAProxy closes our connection after 10 s by default, and serves 10 sessions.
      ...(has(global, /^\s*stats\s+timeout\s/) ? [] : ['stats timeout 1h']),
      ...(has(global, /^\s*stats\s+maxconn\s/) ? [] : ['stats maxconn 20']),
      // Bounds how long a worker with endless connections stays after a reload.
      ...(has(global, /^\s*hard-stop-after\s/) ? [] : ['hard-stop-after 15m']),
    ],
    defaults: [
      // Without it, clients on idle connections see resets at each reload.
      ...(isHttp(defaults) && !mentionsIdleClose(defaults) ? ['option idle-close-on-response'] : []),
      ...(has(defaults, /^\s*(no\s+)?option\s+redispatch\b/) ? [] : ['option redispatch']),
      // One host name that does not resolve must not keep HAProxy from starting.
      ...(has(defaults, /^\s*default-server\s.*\binit-addr\b/) ? [] : ['default-server init-addr last,libc,none']),
    ],
  };
}

/** Logs once which lines synapse adds to the user's own, and which it writes in another form. */
export function reportLines(config: HaproxyConfig, log: Log): void {
  const { global, defaults } = addedLines(config);
  for (const line of global) log.info('a line was added to the global section', { line });
  for (const line of defaults) log.info('a line was added to the defaults section', { line });
  for (const line of [...config.global, ...config.defaults]) {
    if (/^\s*(load-server-state-from-file\s+(global|local)|server-state-file(-base)?\s)/.test(line)) {
      log.warn('a state file brings back old weights and maintenance at each reload: remove this line', { line });
    }
  }
  const notes = [modernize(config.global), modernize(config.defaults), rewriteSections(config.extra_sections)];
  for (const note of notes.flatMap((each) => each.notes)) log.warn('an old form was rewritten', { note });
}
