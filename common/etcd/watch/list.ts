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
  return await withoutCompaction(() => listPages(client, { range, at: '0' }, signal));
}

/** A transaction may have this many operations, by default. */
const mostTogether = 100;

/**
 * Reads several ranges at one revision, which is linearizable: the first page of each in one transaction, so that small ranges
 * take one round trip.
 * @returns the listings, in the order of the ranges
 * @throws {EtcdError} when a page cannot be read
 */
export async function listTogether(
  client: EtcdClient,
  ranges: readonly KeyRange[],
  signal: AbortSignal,
): Promise<readonly Listing[]> {
  return await withoutCompaction(() => listTogetherOnce(client, ranges, signal));
}

async function listTogetherOnce(
  client: EtcdClient,
  ranges: readonly KeyRange[],
  signal: AbortSignal,
): Promise<readonly Listing[]> {
  const success = ranges.slice(0, mostTogether).map((range) => ({
    request_range: { key: range.key, ...endOf(range), limit: pageSize },
  }));
  const { header, responses } = await client.call((rpc) => rpc.kv.txn({ success }), listLimits, signal);
  const { revision } = header;
  return await Promise.all(
    ranges.map(async (range, index) => {
      const page = responses[index]?.response_range;
      // The pages of a transaction have no headers of their own.
      const first = page && { ...page, header };
      return { ...(await listPages(client, { range, at: revision, first }, signal)), revision: Number(revision) };
    }),
  );
}

/** A list to read from its first page on, or from the page after `first`. */
interface Pages {
  readonly range: KeyRange;
  /** The revision of the first page; `0` for the present one. */
  readonly at: string;
  readonly first?: IRangeResponse | undefined;
}

async function listPages(
  client: EtcdClient,
  { range, at, first: given }: Pages,
  signal: AbortSignal,
): Promise<Listing> {
  const entries = new Map<string, Entry>();
  let key = range.key;
  let first = given;
  for (let page = given; ; page = undefined) {
    const revision: string = at === '0' ? (first?.header.revision ?? '0') : at;
    const from = key;
    page ??= await client.call(
      (rpc) => rpc.kv.range({ key: from, ...endOf(range), limit: pageSize, revision }),
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

/** To etcd, an end that is there and empty means all keys from the first on. */
function endOf({ end }: KeyRange): { readonly range_end?: Buffer } {
  return end.length === 0 ? {} : { range_end: end };
}

/** Begins again, at a newer revision, when the revision of a list was compacted between two pages. */
async function withoutCompaction<Result>(read: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      if (attempt < maxAttempts && error instanceof EtcdError && isCompacted(error.details)) continue;
      throw error;
    }
  }
}
