import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { setMaxListeners } from 'node:events';
import { isIP, isIPv4, type LookupFunction } from 'node:net';
import { Semaphore } from '../async/semaphore.ts';
import { thisHost } from '../host.ts';
import { isAbsent } from './dns.ts';
import type { LookUpName } from './name-lookup.ts';

type Answer = (error: NodeJS.ErrnoException | null, found: string | LookupAddress[], family?: number) => void;
type LookUp = (name: string, options: LookupOptions, answer: Answer) => void;

/** How long one lookup may take, in milliseconds. Checks have deadlines of their own. */
const timeoutMs = 10_000;
/**
 * Calls of getaddrinfo under way at the same time. Each blocks one of the four threads with which Node.js also reads and
 * writes files, and cannot be cancelled. libuv runs two at a time, and others wait for these.
 */
const concurrentCalls = 2;

/**
 * A lookup for `node:net` that asks /etc/hosts and the DNS, and only for a name that neither has the system: it may know
 * others, such as those of mDNS or LDAP. A DNS that does not answer blocks no thread, and delays no other name.
 */
export function lookUpWith(lookUpName: LookUpName, askSystem: LookUp): LookUp {
  const calls = new Semaphore(concurrentCalls);
  const never = new AbortController().signal;
  // Each lookup under way listens to it.
  setMaxListeners(0, never);
  const ask = (name: string, options: LookupOptions): Promise<readonly LookupAddress[]> =>
    calls.run(
      () =>
        new Promise((resolve, reject) => {
          askSystem(name, { ...options, all: true }, (error, found) => {
            if (error === null) resolve(found as LookupAddress[]);
            else reject(error);
          });
        }),
    );
  const find = async (name: string, options: LookupOptions): Promise<readonly LookupAddress[]> => {
    if (isIP(name) !== 0) return [addressOf(name)];
    try {
      const { addresses } = await lookUpName(name, { nameservers: [], timeoutMs, prefer: 'both' }, never);
      const family = familyOf(options.family);
      const found = addresses.map(addressOf).filter((one) => family === 0 || one.family === family);
      if (found.length > 0) return found;
    } catch (error) {
      if (!isAbsent(error) && !isRefused(error)) throw error;
    }
    return ask(name, options);
  };
  return (name, options, answer) => {
    find(name, options).then(
      (found) => {
        const [first] = found;
        if (options.all === true) answer(null, [...found]);
        else answer(null, first?.address ?? '', first?.family);
      },
      (error) => answer(error, []),
    );
  };
}

function addressOf(address: string): LookupAddress {
  return { address, family: isIPv4(address) ? 4 : 6 };
}

/** `node:dns` takes families as numbers and as names. */
function familyOf(family: LookupOptions['family']): number {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : Number(family ?? 0);
}

/** No name server listens: this system may find names in another way. */
function isRefused(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
}

/** {@link lookUpWith} on this machine, one lookup at a time for each name: calls during a lookup get its answer. */
export const sharedLookup: LookupFunction = shareLookups(lookUpWith(thisHost.lookUpName, lookup as LookUp));

/** The addresses of a name, IPv4 first, by {@link sharedLookup}; an address is its own. @throws when there are none */
export function lookUpAll(name: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    sharedLookup(name, { all: true }, (error, found) => {
      if (error === null) resolve(found as LookupAddress[]);
      else reject(error);
    });
  });
}

/** Shares the answers of any lookup function; see {@link sharedLookup}. */
export function shareLookups(lookUp: LookUp): LookupFunction {
  const waiting = new Map<string, Answer[]>();
  return (name, options, answer) => {
    const { family, hints, all, order, verbatim } = options as LookupOptions & { readonly order?: string };
    const key = JSON.stringify([name, family, hints, all, order, verbatim]);
    const others = waiting.get(key);
    if (others !== undefined) {
      others.push(answer);
      return;
    }
    const answers = [answer];
    waiting.set(key, answers);
    lookUp(name, options, (...result) => {
      waiting.delete(key);
      for (const each of answers) each(...result);
    });
  };
}

/** The options of the agents of the AWS SDK that make it look up names by {@link sharedLookup}. */
export const lookupAgents = { httpAgent: { lookup: sharedLookup }, httpsAgent: { lookup: sharedLookup } } as const;
