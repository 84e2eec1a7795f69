import { type HaproxyConfig, socketPaths } from '../options/config.ts';
import { isHttp, mentionsIdleClose } from './build.ts';

/** Lines we add because synapse or traffic during reloads needs them, unless the user has decided about them. */
export interface AddedLines {
  readonly global: readonly string[];
  readonly defaults: readonly string[];
}

/** The variable by which we know what configuration a running HAProxy has loaded. */
export const generationVariable = 'SYNAPSE_GEN';

/** Which lines are missing from the user's `global` and `defaults`. The generation comes on top of these. */
export function addedLines(config: HaproxyConfig): AddedLines {
  const { global, defaults } = config;
  const has = (lines: readonly string[], pattern: RegExp): boolean => lines.some((line) => pattern.test(line));
  // Several processes with one file name their sockets by a variable of their environment: to add all to each would take
  // them away from each other.
  const ownWay = has(global, /^\s*stats\s+socket\s+\S*\$\{?\w/);
  const sockets =
    config.do_socket && !ownWay
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

function isSocketLine(line: string, path: string): boolean {
  const address = /^\s*stats\s+socket\s+(\S+)/.exec(line)?.[1];
  return address === path || address === `unix@${path}`;
}
