import { timeoutSignal } from '../../async/timeout.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import { announcedAtOf } from '../../instance.ts';
import { createEtcdClient, type EtcdClient } from '../client/client.ts';
import { type Entry, hex, prefixRange } from '../client/key-value.ts';
import type { EtcdOptions } from '../client/options.ts';
import { list } from '../watch/list.ts';
import { type RecordRules, readEntry } from './record-rules.ts';
import { printable } from './records.ts';

/** One record as etcd has it now, for people. */
export interface InspectedRecord {
  /** Its key, fit for a terminal. */
  readonly where: string;
  /** The instance that it announces; null when it cannot be used. */
  readonly id: string | null;
  /** nerve's `instance_id`; empty when the record has none. */
  readonly name: string;
  /** Why it cannot be used; null when it can. */
  readonly reason: string | null;
  /** When the record became like this, ISO 8601, by the clock of the nerve that wrote it; null when it does not say. */
  readonly announced_at: string | null;
  /** The revisions at which it was first and last written. */
  readonly created: string;
  readonly revision: string;
  /** The lease's id in hexadecimal; null when the key has no lease. */
  readonly lease: string | null;
  /** The lease's TTL and what is left of it, in seconds; null when etcd did not say, or when the lease is gone. */
  readonly ttl: number | null;
  readonly left: number | null;
}

/** How records are inspected. */
export interface InspectOptions {
  readonly rules: RecordRules;
  /** Only keys that match this after the prefix. */
  readonly keys?: RegExp;
  /** The limit of the whole inspection. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/** etcd is asked for at most this many leases, each with a call of its own: people do not read more. */
const maxLeases = 200;

/**
 * Reads all records under a prefix once, each with its revisions and what is left of its lease. Changes nothing.
 * @throws when etcd does not answer in time, saying why
 */
export async function inspectRecords(
  etcd: EtcdOptions,
  prefix: string,
  options: InspectOptions,
): Promise<readonly InspectedRecord[]> {
  const { rules, keys, timeoutMs, log } = options;
  const end = timeoutSignal(timeoutMs);
  const done = new AbortController();
  const client = createEtcdClient(etcd, { log }, done.signal);
  try {
    const { entries } = await list(client, prefixRange(prefix), end);
    const found = [...entries.values()].filter(({ key }) => keys?.test(key.slice(prefix.length)) ?? true);
    const leases = await leasesOf(client, found, end);
    return found.map((entry) => recordOf(entry, rules, leases));
  } catch (error) {
    const reason = client.status.reason ?? reasonOf(error);
    throw new Error(end.aborted ? `etcd did not answer within ${timeoutMs} ms: ${reason}` : reason);
  } finally {
    done.abort();
  }
}

type Leases = ReadonlyMap<string, { readonly ttl: number; readonly left: number }>;

function recordOf(entry: Entry, rules: RecordRules, leases: Leases): InspectedRecord {
  const { key, value, createRevision: created, modRevision: revision } = entry;
  const lease = entry.lease === '0' ? null : hex(entry.lease);
  const known = leases.get(entry.lease);
  const rest = {
    announced_at: announcedAtOf(value),
    created,
    revision,
    lease,
    ttl: known?.ttl ?? null,
    left: known?.left ?? null,
  };
  try {
    const { id, name } = readEntry(entry, rules);
    return { where: printable(key), id, name, reason: null, ...rest };
  } catch (error) {
    return { where: printable(key), id: null, name: '', reason: reasonOf(error), ...rest };
  }
}

/** What is left of each lease. A lease that cannot be read does not hide the others. */
async function leasesOf(client: EtcdClient, entries: readonly Entry[], signal: AbortSignal): Promise<Leases> {
  const ids = [...new Set(entries.map(({ lease }) => lease))].filter((id) => id !== '0').slice(0, maxLeases);
  const found = new Map<string, { readonly ttl: number; readonly left: number }>();
  await Promise.all(
    ids.map(async (ID) => {
      try {
        const answer = await client.call((rpc) => rpc.lease.leaseTimeToLive({ ID }), { maxTries: 2 }, signal);
        // -1: the lease is gone.
        if (Number(answer.TTL) >= 0) found.set(ID, { ttl: Number(answer.grantedTTL), left: Number(answer.TTL) });
      } catch {
        // Its TTL is shown as unknown.
      }
    }),
  );
  return found;
}
