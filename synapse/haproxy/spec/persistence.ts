/**
 * Whether lines of a backend send a client to a certain server although the server is drained.
 * - `none`: a drained server gets no new clients.
 * - `drain`: a drained server does; one in maintenance does not.
 * - `always`: even a server in maintenance does.
 */
export interface Persistence {
  readonly survives: 'none' | 'drain' | 'always';
  /** The line that says so; null for `none`. */
  readonly line: string | null;
}

const always = /^\s*(?:force-persist|option\s+persist)\b/;
/** Cookies, stick tables, RDP cookies and `use-server` (configuration manual, section 4.2). */
const whileDrained = /^\s*(?:cookie\s|stick\s+(?:on|match)\s|persist\s+rdp-cookie|use-server\s)/;

/** Reads it from the lines of the defaults and of the backend, and of the frontend: `force-persist` may stand there. */
export function persistenceOf(lines: readonly string[]): Persistence {
  const forced = lines.find((line) => always.test(line));
  if (forced !== undefined) return { survives: 'always', line: forced.trim() };
  const sticky = lines.find((line) => whileDrained.test(line));
  return sticky === undefined ? { survives: 'none', line: null } : { survives: 'drain', line: sticky.trim() };
}
