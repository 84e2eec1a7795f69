import { type Backoff, backoffMs } from '../../common/async/backoff.ts';
import { compareText } from '../../common/compare.ts';
import { digest } from '../../common/digest.ts';

/** What is known of a host name. Immutable. */
export interface KnownName {
  /** The address in use; undefined: none was found yet. */
  readonly address: string | undefined;
  /** Why the last lookup failed, for people; null: it succeeded, or there was none yet. */
  readonly reason: string | null;
  /** Lookups that failed in a row. */
  readonly failures: number;
}

/** A name that was not looked up yet. */
export const unknownName: KnownName = { address: undefined, reason: null, failures: 0 };

/** An answer is used at least this long, in milliseconds, whatever its time to live. */
export const shortestUseMs = 10_000;
/** An answer is used at most this long, in milliseconds, whatever its time to live. */
export const longestUseMs = 300_000;
/** How long a name that failed waits for its next lookup. */
const retryBackoff: Backoff = { baseMs: 1_000, maxMs: 30_000 };

/** True while nothing is known of a name, not even that it cannot be looked up. */
export function isWaiting({ address, reason }: KnownName): boolean {
  return address === undefined && reason === null;
}

/**
 * The name after a lookup that found `addresses`. The address in use stays as long as it is among them. Another one is taken in
 * an order that depends on `seed`, so that hosts with different seeds share the load and each of them always takes the same.
 */
export function found(
  known: KnownName,
  name: string,
  { addresses, seed }: { readonly addresses: readonly string[]; readonly seed: string },
): KnownName {
  const stays = known.address !== undefined && addresses.includes(known.address);
  const address = stays ? known.address : firstOf(addresses, (one) => digest(`${seed} ${name} ${one}`));
  return { address, reason: null, failures: 0 };
}

/** The name after a lookup that failed. It keeps its last address, also when the DNS says that it does not exist. */
export function failed({ address, failures }: KnownName, reason: string): KnownName {
  return { address, reason, failures: failures + 1 };
}

/**
 * Milliseconds until the next lookup. Before the time to live is over, so that a slow answer leaves no gap, and with jitter, so
 * that names that came together are not looked up together. `random`: from 0 to 1.
 */
export function nextLookupMs({ failures }: KnownName, ttlSeconds: number, random: number): number {
  if (failures > 0) {
    return backoffMs(retryBackoff, failures - 1) * (0.5 + random / 2);
  }
  const useMs = Math.min(longestUseMs, Math.max(shortestUseMs, ttlSeconds * 1000));
  return useMs * 0.7 + useMs * 0.2 * random;
}

function firstOf(addresses: readonly string[], rank: (address: string) => string): string | undefined {
  const [first] = addresses.map((address) => [rank(address), address] as const).sort(([a], [b]) => compareText(a, b));
  return first?.[1];
}
