import { type AdminConfig, splitListen } from '../../common/admin/options.ts';
import { joinPath, type Problem } from '../../common/config/config.ts';
import { originOf } from '../haproxy/configfile/line-origin.ts';
import type { HaproxyConfig } from '../haproxy/options/config.ts';
import { type BoundAddress, boundAddresses, type Collision, collisionOf } from '../haproxy/spec/bound-addresses.ts';
import { type ConfigLine, configLines } from '../haproxy/spec/config-lines.ts';
import { wantedText } from '../haproxy/wanted-text.ts';
import type { ServiceOutputConfig, ServiceState } from '../output.ts';

/** The parts of the configuration that say where this host listens. */
export interface ListeningParts {
  readonly haproxy: HaproxyConfig;
  readonly admin: Pick<AdminConfig, 'listen' | 'control_socket'>;
}

/** A listener, and the key of the configuration that it comes from. */
interface Bound {
  readonly address: BoundAddress;
  readonly key: string;
  /** Listeners of one section serve the same requests, so they may share an address. */
  readonly section: number | 'synapse' | 'master';
}

/**
 * Two listeners on one address: HAProxy opens both, and each connection goes to one of them at random. A problem for each listener
 * that has an address which an earlier one has too; both keys are named. Reads the file that synapse would write, so that all ways
 * to write a `bind` line count.
 */
export function sharedAddresses(
  { haproxy, admin }: ListeningParts,
  services: ReadonlyMap<string, { readonly config: ServiceOutputConfig }>,
): readonly Problem[] {
  const problems: Problem[] = [];
  // Without its template, the file is not known; that it cannot be read is another problem.
  if (!haproxy.do_writes || (haproxy.template_path !== null && haproxy.template === undefined)) return problems;
  const snapshot = new Map(
    [...services].map(([name, { config }]): [string, ServiceState] => [
      name,
      { name, config, instances: [], seenAt: 0 },
    ]),
  );
  const wanted = wantedText(haproxy, snapshot);
  for (const [name, reason] of wanted.portRefused) {
    problems.push({ path: joinPath(joinPath(joinPath('services', name), 'haproxy'), 'port'), message: reason });
  }
  const lines = configLines(wanted.text.text);
  const idle = disabledSections(lines);
  const bound = lines.flatMap((line): readonly Bound[] => {
    if (!isListening(line) || line.isConditional || idle.has(line.section)) return [];
    const addresses = boundAddresses(line.text);
    if (addresses.length === 0) return [];
    const facts = { config: haproxy, services: wanted.services };
    const key = originOf(line, wanted.text.locate(line.number), facts) ?? 'haproxy';
    return addresses.map((address) => ({ address, key, section: line.section }));
  });
  return [...problems, ...collisions([...ownListeners({ haproxy, admin }), ...bound])];
}

/** True for a line that opens a listener in every HAProxy that loads it. */
function isListening({ text, title }: ConfigLine): boolean {
  if (/^stats\s+socket\s/.test(text)) return title === 'global';
  return /^bind\s/.test(text) && /^(?:frontend|listen|peers|log-forward)\b/.test(title);
}

/** The sections that HAProxy does not start, because they or their `defaults` say `disabled`. */
function disabledSections(lines: readonly ConfigLine[]): ReadonlySet<number> {
  const disabled = new Set<number>();
  let byDefault = false;
  for (const { text, title, section } of lines) {
    const isDefaults = /^defaults\b/.test(title);
    if (text === title) {
      if (isDefaults) byDefault = false;
      else if (byDefault) disabled.add(section);
    } else if (text === 'disabled' && isDefaults) byDefault = true;
    else if (text === 'disabled') disabled.add(section);
    else if (text === 'enabled') disabled.delete(section);
  }
  return disabled;
}

/** What synapse itself and HAProxy's master listen on. */
function ownListeners({ haproxy, admin }: ListeningParts): readonly Bound[] {
  const bound = (address: string, key: string, section: 'synapse' | 'master'): readonly Bound[] =>
    boundAddresses(`bind ${address}`).map((each) => ({ address: each, key, section }));
  const { listen, control_socket } = admin;
  const hasPrefix = haproxy.global.some((line) => /^\s*unix-bind\s.*\bprefix\s/.test(line));
  return [
    ...(listen === false ? [] : bound(adminAddress(listen), 'admin.listen', 'synapse')),
    ...(typeof control_socket === 'string' ? bound(`unix@${control_socket}`, 'admin.control_socket', 'synapse') : []),
    ...(haproxy.master_socket_path === null || hasPrefix
      ? []
      : bound(`unix@${haproxy.master_socket_path}`, 'haproxy.master_socket_path', 'master')),
  ];
}

function adminAddress(listen: string): string {
  const { host, port } = splitListen(listen);
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Each listener that collides with an earlier one, and the first of those. */
function collisions(bound: readonly Bound[]): readonly Problem[] {
  const problems: Problem[] = [];
  const earlier = new EarlierListeners();
  for (const later of bound) {
    const found = earlier.firstThatCollides(later);
    earlier.add(later);
    if (found !== undefined) problems.push(problemOf(found.collision, found.bound, later));
  }
  return problems;
}

/** Listeners by port, so that thousands of services take no time. Ranges of ports are few. */
class EarlierListeners {
  readonly #byPort = new Map<string, Bound[]>();
  readonly #ranges: Bound[] = [];
  readonly #all: Bound[] = [];

  add(bound: Bound): void {
    const { address } = bound;
    this.#all.push(bound);
    if (address.firstPort !== address.lastPort) {
      this.#ranges.push(bound);
      return;
    }
    const key = keyOf(address);
    const same = this.#byPort.get(key);
    if (same === undefined) this.#byPort.set(key, [bound]);
    else same.push(bound);
  }

  firstThatCollides(later: Bound): { readonly bound: Bound; readonly collision: Collision } | undefined {
    const isRange = later.address.firstPort !== later.address.lastPort;
    const candidates = isRange ? this.#all : [...(this.#byPort.get(keyOf(later.address)) ?? []), ...this.#ranges];
    let carved: { readonly bound: Bound; readonly collision: Collision } | undefined;
    for (const bound of candidates) {
      if (bound.section === later.section) continue;
      const collision = collisionOf(bound.address, later.address);
      if (collision === 'carved') carved ??= { bound, collision };
      else if (collision !== undefined) return { bound, collision };
    }
    return carved;
  }
}

function keyOf({ transport, host, firstPort }: BoundAddress): string {
  return transport === 'tcp' ? String(firstPort) : `${transport} ${host}`;
}

function problemOf(collision: Collision, first: Bound, later: Bound): Problem {
  const path = later.key;
  const { text } = later.address;
  const other = `${first.address.text} of ${first.key}`;
  const isOwn = first.section === 'synapse';
  if (first.address.transport !== 'tcp') {
    return {
      path,
      message: `${text} is the socket ${other} too: only one of the two could be reached; give it another path`,
    };
  }
  if (isOwn) {
    const message = `${text} is also ${other}, where synapse itself listens: HAProxy and synapse cannot both start; choose another port`;
    return { path, message };
  }
  switch (collision) {
    case 'shared':
      return {
        path,
        message: `${text} is also ${other}: HAProxy would listen twice, and each connection would reach one of the two at random; choose another port or address`,
      };
    case 'covered':
      return {
        path,
        message: `${text} overlaps with ${other}: the same port would lead to one of the two on some addresses of this host, and to the other on the rest; choose another port, or addresses that do not overlap`,
      };
    case 'carved':
      return {
        path,
        message: `${text} overlaps with ${other}: connections to that one address reach only one of the two`,
        severity: 'warning',
      };
  }
}
