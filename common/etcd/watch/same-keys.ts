import type { EtcdClient } from '../client/client.ts';
import type { Entry, KeyRange } from '../client/key-value.ts';
import { listLimits } from './timing.ts';

/**
 * True when a range of the cluster has exactly the keys that are known, by a linearizable read of one key: the number of keys
 * and the newest change are the same. Keys that are known and were changed, or that are new, would have a newer change; keys
 * that are gone would make them fewer. For members that do not say reliably how far a watch is.
 * @param known returns what is known when the answer has come
 * @returns the revision of the read; undefined when the keys differ, or may differ
 * @throws {EtcdError} when the range cannot be read
 */
export async function revisionOfSameKeys(
  client: EtcdClient,
  range: KeyRange,
  known: () => ReadonlyMap<string, Entry>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const answer = await client.call(
    (rpc) =>
      rpc.kv.range({
        key: range.key,
        range_end: range.end,
        limit: 1,
        keys_only: true,
        sort_order: 'Descend',
        sort_target: 'Mod',
      }),
    listLimits,
    signal,
  );
  const entries = known();
  const newest = Number(answer.kvs[0]?.mod_revision ?? 0);
  return Number(answer.count) === entries.size && newest === newestOf(entries)
    ? Number(answer.header.revision)
    : undefined;
}

function newestOf(entries: ReadonlyMap<string, Entry>): number {
  let newest = 0;
  for (const { modRevision } of entries.values()) newest = Math.max(newest, Number(modRevision));
  return newest;
}
