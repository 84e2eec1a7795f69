import type { IRangeResponse } from 'etcd3/lib/rpc.js';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError, isCompacted } from '../client/errors.ts';
import { type Entry, type KeyRange, toEntry } from '../client/key-value.ts';
import { listLimits } from './timing.ts';

/** All keys of a range at one revision. */
export interface Listing {
  readonly clusterId: string;
  readonly revision: number;
  /** Raft's term when the list was read. */
  readonly term: string;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** Keys per page: reading a page blocks the event loop for about 10 ms at most. */
const pageSize = 1_000;
/** How often a list is begun again because its revision was compacted between two pages. */
const maxAttempts = 5;

/**
 * Reads a range page by page, all pages at the revision of the first, which is linearizable.
 * @throws {EtcdError} when a page cannot be read
 */
export async function list(client: EtcdClient, range: KeyRange, signal: AbortSignal): Promise<Listing> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await listOnce(client, range, signal);
    } catch (error) {
      // Compacted between two pages: begins again at a newer revision.
      if (attempt < maxAttempts && error instanceof EtcdError && isCompacted(error.details)) continue;
      throw error;
    }
  }
}

/**
 * Reads a range as it was at a revision, page by page.
 * @throws {EtcdError} when a page cannot be read, or the revision has been compacted
 */
export async function listAt(
  client: EtcdClient,
  range: KeyRange,
  revision: number,
  signal: AbortSignal,
): Promise<Listing> {
  const listing = await listOnce(client, range, signal, String(revision));
  return { ...listing, revision };
}

/** @param at the revision of the first page; `0` for the present one */
async function listOnce(client: EtcdClient, range: KeyRange, signal: AbortSignal, at = '0'): Promise<Listing> {
  const entries = new Map<string, Entry>();
  // To etcd, an end that is there and empty means all keys from the first on.
  const end = range.end.length === 0 ? {} : { range_end: range.end };
  let key = range.key;
  let first: IRangeResponse | undefined;
  for (;;) {
    const revision: string = at === '0' ? (first?.header.revision ?? '0') : at;
    const from = key;
    const page = await client.call(
      (rpc) => rpc.kv.range({ key: from, ...end, limit: pageSize, revision }),
      listLimits,
      signal,
    );
    first ??= page;
    if (page.header.cluster_id !== first.header.cluster_id) {
      throw new Error(
        `pages of one list came from two clusters, ${first.header.cluster_id} and ${page.header.cluster_id}`,
      );
    }
    for (const kv of page.kvs) {
      const entry = toEntry(kv);
      entries.set(entry.key, entry);
    }
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) break;
    key = Buffer.concat([last.key, Buffer.from([0])]);
  }
  const { cluster_id: clusterId, revision, raft_term: term } = first.header;
  return { clusterId, revision: Number(revision), term, entries };
}
