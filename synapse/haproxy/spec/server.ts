import { sha1 } from '../../../common/digest.ts';
import type { Instance } from '../../../common/instance.ts';
import { isCookieOfServer, isOwnCookie } from '../../../common/server-cookie.ts';
import { isToStartDown, type OutputInstance, takenCookies } from '../../output.ts';
import { filterOptions, formatOptions, lastValue, type Option, parseOptions, type Trusted } from './server-options.ts';
import type { Server, ServerTemplate } from './types.ts';

/** HAProxy's weight of a server that has none (configuration manual, section 5.2 "weight"). */
const defaultWeight = 1;
const nothing: Trusted = { options: [], dropped: [] };
const made = new WeakMap<ServerTemplate, WeakMap<Instance, Server>>();

/** The server that an instance becomes. It is made once for each instance, so one change among thousands costs one server. */
export function serverOf(instance: OutputInstance, template: ServerTemplate): Server {
  let servers = made.get(template);
  if (servers === undefined) {
    servers = new WeakMap();
    made.set(template, servers);
  }
  let server = servers.get(instance);
  if (server === undefined) {
    server = makeServer(instance, template);
    servers.set(instance, server);
  }
  return server;
}

const closed = new WeakMap<Server, Server>();

/** The server of a drained instance in maintenance; the same object for the same server. */
export function closedServer(server: Server): Server {
  let made = closed.get(server);
  if (made === undefined) {
    made = { ...server, state: 'closed' };
    closed.set(server, made);
  }
  return made;
}

/** True when this instance has a server; one that is down has none. */
export function isServed(instance: Instance): boolean {
  return instance.state !== 'down';
}

/** The words of a server that only a new server or a reload can change: all but id, weight, maxconn and disabled. */
export function fixedWordsOf(words: string): string {
  const options = parseOptions(words);
  const alone = maxconnOf(options) !== null;
  return formatOptions(
    options.filter(
      ({ keyword }) =>
        keyword !== 'id' && keyword !== 'weight' && keyword !== 'disabled' && !(keyword === 'maxconn' && alone),
    ),
  );
}

/** A server's own `maxconn`; null where it has none, or a `minconn` too: HAProxy computes with both. */
export function maxconnOf(options: readonly Option[]): number | null {
  const text = lastValue(options, 'maxconn');
  if (text === undefined || !/^[0-9]{1,9}$/.test(text) || options.some(({ keyword }) => keyword === 'minconn'))
    return null;
  return Number(text);
}

function makeServer(instance: OutputInstance, template: ServerTemplate): Server {
  const { id: name, host, port, hostName = host } = instance;
  const asked =
    instance.serverOptions === undefined
      ? nothing
      : withoutOthersCookie(filterOptions(instance.serverOptions, template.trusted), instance);
  const given = expand(withAddresses(template.options, host), { host: hostName, port: String(port), name });
  const initState = lastValue([...parseOptions(given), ...asked.options], 'init-state');
  const own = template.withoutInitState && initState !== undefined ? squeeze(stripInitState(given)) : given;
  const ownOptions = parseOptions(own);
  const useRecord =
    instance.weight !== undefined &&
    (template.weights === 'always' ||
      (template.weights === 'default' && lastValue(ownOptions, 'weight') === undefined));
  const askedOptions = asked.options.filter(
    ({ keyword }) =>
      // synapse gives out the numbers, see ServerIds.
      keyword !== 'id' &&
      !(useRecord && keyword === 'weight') &&
      !(template.withoutInitState && keyword === 'init-state'),
  );
  const askedText = formatOptions(askedOptions);
  const options = (useRecord ? squeeze(stripWeight(own)) : own) + (askedText === '' ? '' : ` ${askedText}`);
  const all = [...ownOptions, ...asked.options];
  const askedId = lastValue(asked.options, 'id');
  const askedCookie = lastValue(asked.options, 'cookie') !== undefined;
  const cookie = askedCookie ? undefined : cookieOf(name, template.cookie);
  const backup = instance.backup && !all.some(({ keyword }) => keyword === 'backup');
  return {
    instance,
    name,
    address: `${host}:${port}`,
    named: !isAddress(host),
    state: instance.state === 'drain' ? 'drain' : 'ready',
    cookie,
    options,
    weight: useRecord ? (instance.weight ?? defaultWeight) : weightOf(all, template),
    maxconn: maxconnOf(all),
    weighted: useRecord,
    backup,
    startsDown:
      isToStartDown(instance) || (template.withoutInitState === true && /^(fully-)?down$/.test(initState ?? '')),
    askedId: askedId === undefined ? undefined : Number(askedId),
    rank: rankOf(name, template.seed),
    fixedWords: fixedWordsOf(
      [cookie === undefined ? '' : `cookie ${cookie}`, options, backup ? 'backup' : ''].join(' '),
    ),
    dropped: asked.dropped,
  };
}

/**
 * Refuses the cookie of another server: with it, a record would take that server's clients. It is one that synapse gives to
 * servers, or one for which the record of an older instance asks.
 */
function withoutOthersCookie({ options, dropped }: Trusted, instance: OutputInstance): Trusted {
  const whose = ({ keyword, values: [value = ''] }: Option): string | undefined => {
    if (keyword !== 'cookie') return undefined;
    const owner = instance[takenCookies]?.get(value);
    if (owner !== undefined) return `${owner} asks for it too, and was announced first`;
    if (!isCookieOfServer(value) || isOwnCookie(value, instance.id)) return undefined;
    return 'may be the cookie of another server';
  };
  const others = options.filter((option) => whose(option) !== undefined);
  if (others.length === 0) return { options, dropped };
  const reasons = others.map((option) => `haproxy_server_options: ${formatOptions([option])}: ${whose(option)}`);
  return { options: options.filter((option) => !others.includes(option)), dropped: [...dropped, ...reasons] };
}

/** Replaces %{host} where HAProxy reads an address: it would look a host name up whenever it loads its file. */
function withAddresses(text: string, address: string): string {
  if (!text.includes('%{host}')) return text;
  return text.replace(/(?<=(?:^|\s)(?:addr|agent-addr|socks4|source|usesrc)\s+\S*)%\{host\}/g, () => address);
}

/** Replaces %{host}, %{port}, %{name} and %%. Any other percent sign stays: a typing error must not stop a service. */
function expand(text: string, values: Readonly<Record<string, string>>): string {
  if (!text.includes('%')) return text;
  return text.replace(/%(?:%|\{(host|port|name)\})/g, (_, key: string | undefined) =>
    key === undefined ? '%' : (values[key] ?? ''),
  );
}

function cookieOf(name: string, method: ServerTemplate['cookie']): string | undefined {
  if (method === 'none' || method === 'dynamic') return undefined;
  return method === 'hash' ? sha1(name) : name;
}

function weightOf(options: readonly Option[], template: ServerTemplate): number {
  const text = lastValue(options, 'weight') ?? lastValue(parseOptions(template.inherited.join(' ')), 'weight');
  return text !== undefined && /^[0-9]{1,3}$/.test(text) ? Number(text) : defaultWeight;
}

/** Removes the weight from text, not from options: server_options keep the spelling and the spaces of the user. */
export function stripWeight(text: string): string {
  return text.replace(/(^|\s)weight\s+[0-9]+(?=\s|$)/g, '$1');
}

function stripInitState(text: string): string {
  return text.replace(/(^|\s)init-state\s+\S+(?=\s|$)/g, '$1');
}

/** Runs of spaces become one. */
export function squeeze(text: string): string {
  return text.replace(/ {2,}/g, ' ').trim();
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^[0-9.]+$/.test(host);
}

/** True when the host of a server line's `host:port` is a name: no address and no unix socket. */
export function isNamed(address: string): boolean {
  if (/^[/[]|@/.test(address)) return false;
  return !isAddress(address.replace(/:[0-9+-]*$/, ''));
}

/** True when two `host:port` are the same address: IPv6 has several spellings, and letter case does not matter in host names. */
export function sameAddress(a: string, b: string): boolean {
  return a === b || canonical(a) === canonical(b);
}

function canonical(address: string): string {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon);
  if (!host.includes(':')) return address.toLowerCase();
  try {
    return `${new URL(`http://[${host}]`).hostname}${address.slice(colon)}`;
  } catch {
    return address;
  }
}

/**
 * Puts servers in the order of their lines. The shuffle depends on the seed and each server's own name only: the same
 * set gives the same order, and a server that comes or goes moves no other.
 */
export function orderServers(servers: readonly Server[], order: ServerTemplate['order']): readonly Server[] {
  switch (order) {
    case 'asc':
      return [...servers].sort(byName);
    case 'desc':
      return [...servers].sort((a, b) => byName(b, a));
    case 'discovered':
      return servers;
    case 'shuffled':
      return [...servers].sort((a, b) => a.rank - b.rank || byName(a, b));
  }
}

/** The place of a name in the shuffle: FNV-1a, 32 bits, finished by murmur3's mixer so that similar names spread. */
export function rankOf(name: string, seed: string): number {
  let hash = 0x811c9dc5;
  for (const text of [seed, '/', name]) {
    for (let index = 0; index < text.length; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    }
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function byName(a: Server, b: Server): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
