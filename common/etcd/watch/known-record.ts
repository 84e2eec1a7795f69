import type { IResponseHeader } from 'etcd3/lib/rpc.js';
import type { EtcdClient } from '../client/client.ts';
import { type Entry, sameEntry, toEntry } from '../client/key-value.ts';
import { headerTimeoutMs } from './timing.ts';

/** The newest change that is known below a prefix: what one key was at one revision. */
export interface KnownRecord {
  readonly key: string;
  readonly revision: number;
  /** Undefined: it was deleted. */
  readonly entry: Entry | undefined;
}

/** A key as the cluster has it now. */
export interface RecordAnswer {
  readonly header: IResponseHeader;
  /** Undefined: there is no such key. */
  readonly entry: Entry | undefined;
}

/**
 * Reads one key through a quorum, and with it how far the cluster is; from another member than `avoid` if there is one: a
 * member that was frozen can answer once from its past.
 * @throws {EtcdError} when no member answers
 */
export async function readRecord(
  client: EtcdClient,
  key: Buffer,
  { avoid }: { readonly avoid?: string },
  signal: AbortSignal,
): Promise<RecordAnswer> {
  const answer = await client.call(
    (rpc) => rpc.kv.range({ key, limit: 1 }),
    { totalMs: headerTimeoutMs, avoid },
    signal,
  );
  const kv = answer.kvs[0];
  return { header: answer.header, entry: kv && toEntry(kv) };
}

/**
 * True when what a key is now cannot have come after what is known of it: the cluster has another history, because it was
 * put back from a backup and has gone on from there. False proves nothing.
 */
export function contradicts({ revision, entry }: KnownRecord, now: Entry | undefined): boolean {
  if (now === undefined) return false;
  if (entry === undefined) return Number(now.createRevision) <= revision;
  return Number(now.modRevision) <= revision && !sameEntry(now, entry);
}
