/** The capabilities of one version of HAProxy at run time (management guide of each version, chapter 9.3). */
export interface Capabilities {
  /** `add server` without experimental mode. */
  readonly addServer: boolean;
  /** `wait srv-removable`, and a safe `del server`: in 2.x it crashes HAProxy while statistics are being read. */
  readonly canDeleteServer: boolean;
  /** Servers are deleted by default: Debian's 3.0 lacks fixes that 3.2 has. */
  readonly deleteServer: boolean;
  /** `cookie` on `add server`. */
  readonly dynamicCookie: boolean;
  /** Added servers need explicit pool options to reuse connections. */
  readonly poolOptions: boolean;
}

/** Keywords that only the file accepts. A server that needs one cannot be added at run time. */
export const fileOnlyKeywords: ReadonlySet<string> = new Set([
  'log-proto',
  'namespace',
  'non-stick',
  'redir',
  'socks4',
  'usesrc',
]);

/** Keywords that only the file accepts, and that have no effect on a server whose host is an address. */
export const droppableKeywords: ReadonlySet<string> = new Set([
  'init-addr',
  'resolve-net',
  'resolve-opts',
  'resolve-prefer',
  'resolvers',
  'stick',
]);

/** Reads `2.6.12-1+deb12u4` and the like. Unknown text counts as the oldest. */
export function capabilitiesOf(version: string): Capabilities {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  const number = Number(major) * 100 + Number(minor);
  return {
    addServer: number >= 206,
    canDeleteServer: number >= 300,
    deleteServer: number >= 302,
    dynamicCookie: number >= 300,
    poolOptions: number < 300,
  };
}
