import type { Resolver } from 'node:dns/promises';
import { isIP, isIPv4 } from 'node:net';
import { onAbort } from '../async/abort.ts';
import { clock } from '../async/clock.ts';
import { withTimeout } from '../async/timeout.ts';
import type { Files } from '../host.ts';
import { absent, createResolver, type FoundAddresses, hasNoSuchRecords, isAbsent, lookUpAddress } from './dns.ts';

/** How a host name is looked up. */
export interface NameLookupOptions {
  /** `ADDRESS` or `ADDRESS:PORT`; empty: those of the system. */
  readonly nameservers: readonly string[];
  /** Milliseconds for the whole lookup. */
  readonly timeoutMs: number;
  /** Which addresses count when a name has both kinds; those of the other kind are not returned then. `both`: IPv4 first. */
  readonly prefer: 'ipv4' | 'ipv6' | 'both';
}

/**
 * Looks up the addresses of a host name.
 * @throws when there are none (with the code ENOTFOUND or ENODATA), and when the lookup failed or took too long
 */
export type LookUpName = (name: string, options: NameLookupOptions, signal: AbortSignal) => Promise<FoundAddresses>;

/** Where the system keeps what it knows of names. */
export interface NameFiles {
  readonly files: Pick<Files, 'read' | 'facts'>;
  /** hosts(5), default /etc/hosts. */
  readonly hostsPath?: string;
  /** resolv.conf(5), default /etc/resolv.conf. */
  readonly resolvConfPath?: string;
}

/** How long the entries of /etc/hosts are valid: they have no time to live. */
export const hostsTtlSeconds = 10;
/** At most this often the files are looked at again. */
const lookAgainMs = 1_000;
/** Resolvers that are kept for the next lookup: making one reads files and opens a channel, 0.1 ms. */
const keptResolvers = 64;

/**
 * Makes a lookup that finds what programs of the system find: `localhost`, the entries of /etc/hosts, and the DNS with the
 * search domains and name servers of /etc/resolv.conf. Other modules of nsswitch.conf (mDNS, LDAP) are not asked.
 *
 * It does not call getaddrinfo, as `dns.lookup` does: that blocks one of the four threads with which Node.js also reads and
 * writes files, for up to half a minute for each name that the DNS does not answer, and tells no time to live.
 */
export function createNameLookup({
  files,
  hostsPath = '/etc/hosts',
  resolvConfPath = '/etc/resolv.conf',
}: NameFiles): LookUpName {
  const hosts = createHostsLookup({ files, hostsPath });
  const search = new ParsedFile(files, resolvConfPath, parseSearch);
  const pool = new ResolverPool();
  return async (name, options, signal) => {
    const wanted = name.toLowerCase();
    const [local, rules] = await Promise.all([hosts(wanted), search.read()]);
    const known = preferred(local, options.prefer);
    if (known.length > 0) return { addresses: known, ttlSeconds: hostsTtlSeconds };
    const { timeoutMs, nameservers } = options;
    const ask = (stop: AbortSignal) =>
      pool.use({ nameservers, timeoutMs, version: rules }, stop, (resolver) =>
        lookUpFirst(resolver, candidatesOf(wanted, rules), options.prefer),
      );
    return await withTimeout(ask, { timeoutMs, what: `DNS lookup of ${name}` }, signal);
  };
}

/** The addresses that hosts(5) has for a name, and those of `localhost`; none: the DNS has to be asked. */
export type LookUpHosts = (name: string) => Promise<readonly string[]>;

/** Makes a lookup in the system's own list of names, which is read again when it has changed. */
export function createHostsLookup({ files, hostsPath = '/etc/hosts' }: NameFiles): LookUpHosts {
  const hosts = new ParsedFile(files, hostsPath, parseHosts);
  return async (name) => {
    const wanted = name.toLowerCase();
    return (await hosts.read()).get(wanted.replace(/\.$/, '')) ?? localAddresses(wanted);
  };
}

/** The search list of resolv.conf(5). */
export interface SearchRules {
  readonly domains: readonly string[];
  /** A name with fewer dots is tried with the domains first. */
  readonly ndots: number;
}

/** The names to ask for, in order, all of them complete. */
export function candidatesOf(name: string, { domains, ndots }: SearchRules): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const searched = domains.map((domain) => `${name}.${domain}`).filter((each) => each.length <= 253);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}

/** Reads resolv.conf(5): the last `search` or `domain` counts; the limits are those of glibc. */
export function parseSearch(text: string): SearchRules {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') {
      domains = words.map((word) => word.toLowerCase().replace(/\.$/, '')).filter((word) => word !== '');
    } else if (keyword === 'options') {
      const given = words.map((word) => /^ndots:(\d{1,2})$/.exec(word)?.[1]).findLast((value) => value !== undefined);
      if (given !== undefined) ndots = Math.min(15, Number(given));
    }
  }
  return { domains, ndots };
}

/** Reads hosts(5): name in lower case → addresses, in the order of the lines. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const entries = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0 || address.includes('%')) continue;
    for (const name of names.map((each) => each.toLowerCase())) {
      const known = entries.get(name);
      if (known === undefined) entries.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return entries;
}

/** Addresses that need no lookup (RFC 6761, section 6.3). */
function localAddresses(name: string): readonly string[] {
  return /^(?:.*\.)?localhost\.?$/.test(name) ? ['127.0.0.1', '::1'] : [];
}

function preferred(addresses: readonly string[], prefer: NameLookupOptions['prefer']): readonly string[] {
  if (prefer === 'both') return addresses.toSorted((a, b) => Number(isIPv4(b)) - Number(isIPv4(a)));
  const first = addresses.filter((address) => isIPv4(address) === (prefer === 'ipv4'));
  return first.length > 0 ? first : addresses;
}

/** The addresses of the first name that has any. That a lookup failed does not mean that its name has none. */
async function lookUpFirst(
  resolver: Resolver,
  names: readonly string[],
  prefer: NameLookupOptions['prefer'],
): Promise<FoundAddresses> {
  let last: unknown = absent('no name to look up');
  for (const name of names) {
    try {
      return await lookUpPreferred(resolver, name, prefer);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      last = error;
    }
  }
  throw last;
}

/** Asks for the other kind of addresses only when a name has none of the preferred kind: most names cost one question. */
async function lookUpPreferred(
  resolver: Resolver,
  name: string,
  prefer: NameLookupOptions['prefer'],
): Promise<FoundAddresses> {
  if (prefer === 'both') return lookUpBoth(resolver, name);
  const [first, second] = prefer === 'ipv4' ? (['a', 'aaaa'] as const) : (['aaaa', 'a'] as const);
  try {
    return await lookUpAddress(resolver, name, first);
  } catch (error) {
    // A name that does not exist (ENOTFOUND) has addresses of neither kind.
    if (!hasNoSuchRecords(error)) throw error;
    return await lookUpAddress(resolver, name, second);
  }
}

/** All addresses of a name. Some name servers fail when they are asked for IPv6: then those that were found are enough. */
async function lookUpBoth(resolver: Resolver, name: string): Promise<FoundAddresses> {
  const answers = await Promise.allSettled([lookUpAddress(resolver, name, 'a'), lookUpAddress(resolver, name, 'aaaa')]);
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
  if (found.length === 0) throw failures.find((error) => !isAbsent(error)) ?? failures[0];
  return {
    addresses: found.flatMap(({ addresses }) => addresses),
    ttlSeconds: Math.min(...found.map(({ ttlSeconds }) => ttlSeconds)),
  };
}

/** A small file that is read again when it has changed. A file that cannot be read counts as empty. */
class ParsedFile<Value> {
  readonly #files: NameFiles['files'];
  readonly #path: string;
  readonly #parse: (text: string) => Value;
  #identity: string | undefined;
  #value: Value;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(files: NameFiles['files'], path: string, parse: (text: string) => Value) {
    this.#files = files;
    this.#path = path;
    this.#parse = parse;
    this.#value = parse('');
  }

  async read(): Promise<Value> {
    if (clock.now() - this.#lookedAt >= lookAgainMs) {
      this.#looking ??= this.#look().finally(() => {
        this.#lookedAt = clock.now();
        this.#looking = undefined;
      });
      await this.#looking;
    }
    return this.#value;
  }

  async #look(): Promise<void> {
    try {
      const { identity } = await this.#files.facts(this.#path);
      if (identity === this.#identity) return;
      this.#value = this.#parse(await this.#files.read(this.#path));
      this.#identity = identity;
    } catch {
      // The same value as long as it stays so: a new one would count as a change.
      if (this.#identity !== undefined) this.#value = this.#parse('');
      this.#identity = undefined;
    }
  }
}

/** What a resolver was made for. `version`: another object when /etc/resolv.conf has changed. */
interface ResolverKind {
  readonly nameservers: readonly string[];
  readonly timeoutMs: number;
  readonly version: object;
}

/** Resolvers without a question under way. Each lookup has one for itself, so that it alone is cancelled. */
class ResolverPool {
  #kind: ResolverKind | undefined;
  #free: Resolver[] = [];

  async use<Result>(
    kind: ResolverKind,
    signal: AbortSignal,
    task: (resolver: Resolver) => Promise<Result>,
  ): Promise<Result> {
    if (!isSame(this.#kind, kind)) {
      this.#kind = kind;
      this.#free = [];
    }
    const resolver = this.#free.pop() ?? createResolver(kind.nameservers, kind.timeoutMs);
    const release = onAbort(signal, () => resolver.cancel());
    try {
      return await task(resolver);
    } finally {
      release();
      if (!signal.aborted && isSame(this.#kind, kind) && this.#free.length < keptResolvers) this.#free.push(resolver);
    }
  }
}

function isSame(a: ResolverKind | undefined, b: ResolverKind): boolean {
  return a?.version === b.version && a.timeoutMs === b.timeoutMs && a.nameservers.join() === b.nameservers.join();
}
