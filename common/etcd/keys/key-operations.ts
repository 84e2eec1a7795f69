import type { IEvent, IKeyValue, IRequestOp, ITxnResponse } from 'etcd3/lib/rpc.js';
import { reasonOf } from '../../daemon/log.ts';
import type { CallOptions, EtcdClient } from '../client/client.ts';
import { EtcdError, isDenied, isOutOfSpace, isPermanent, isRefused } from '../client/errors.ts';
import { isPut } from '../client/key-value.ts';

/** What etcd had under a key when it was last read or written; `modRevision` 0 is absent. */
export interface StoredKey {
  readonly modRevision: string;
  readonly value: string;
  readonly lease: string;
}

/** How a key shall be. */
export type DesiredKey =
  | { readonly kind: 'set'; readonly value: string }
  | { readonly kind: 'unset'; readonly farewell?: string };

/** One key: how it shall be, how it is, and what happened to it. */
export interface LeasedKey {
  readonly key: string;
  wanted: DesiredKey;
  /** Undefined: to be read. */
  known: StoredKey | undefined;
  /** We have written it: from now on a live owner who is not us is a conflict, not a predecessor. */
  claimed: boolean;
  /** A write went without an answer. What looks right may be overwritten by it, so that it has to be written anew. */
  doubtful: boolean;
  /** The lease under which a creation went without an answer: it may yet appear, for as long as that lease lives. */
  ghost: string | null;
}

/** Somebody else holds the key under a lease that lives. */
export class KeyConflict extends Error {
  override readonly name = 'KeyConflict';
}

const absent: StoredKey = { modRevision: '0', value: '', lease: '0' };

/** One try each: what became of a write must be known before the next one. */
const once: CallOptions = { maxTries: 1, totalMs: 2_000 };

/** Whose lease keys go under; null while there is none. */
export interface Ownership {
  readonly id: string | null;
  owns(lease: string): boolean;
}

/**
 * Takes one step towards how the key shall be: a read, or a write that only counts when the key still is what we know.
 * A write that arrives late, when the key has moved on, thus changes nothing.
 * @returns true when the key is as wanted
 * @throws {KeyConflict} when it belongs to somebody else; {EtcdError} when etcd did not do it
 */
export async function step(
  client: EtcdClient,
  state: LeasedKey,
  ownership: Ownership,
  signal: AbortSignal,
): Promise<boolean> {
  const { wanted } = state;
  if (state.known === undefined) {
    state.known = await read(client, state.key, signal);
    return false;
  }
  const { known } = state;
  const exists = known.modRevision !== '0';
  const foreign = exists && state.claimed && known.lease !== '0' && !ownership.owns(known.lease);
  if (wanted.kind === 'unset') {
    if (!exists || foreign) return true;
    if (wanted.farewell !== undefined && known.value !== wanted.farewell) {
      await sayFarewell(client, state, wanted.farewell, signal);
    } else await write(client, state, { request_delete_range: {} }, signal);
    return false;
  }
  const lease = ownership.id;
  if (lease === null) return false;
  if (known.lease === lease && known.value === wanted.value && !state.doubtful) return true;
  if (foreign) throw new KeyConflict(`key ${state.key}: held by another process under lease ${known.lease}`);
  await write(client, state, { request_put: { value: Buffer.from(wanted.value), lease } }, signal);
  return false;
}

/** An etcd that is full takes no farewell, but still lets keys be deleted. */
async function sayFarewell(client: EtcdClient, state: LeasedKey, farewell: string, signal: AbortSignal): Promise<void> {
  try {
    // Under whatever lease the key has: there may be none of ours just now.
    await write(client, state, { request_put: { value: Buffer.from(farewell), ignore_lease: true } }, signal);
  } catch (error) {
    if (!(error instanceof EtcdError && isOutOfSpace(error.details))) throw error;
    state.known ??= await read(client, state.key, signal);
    await write(client, state, { request_delete_range: {} }, signal);
  }
}

async function write(client: EtcdClient, state: LeasedKey, what: IRequestOp, signal: AbortSignal): Promise<void> {
  const { known = absent } = state;
  const key = Buffer.from(state.key);
  const put = what.request_put;
  const success: IRequestOp[] = put ? [{ request_put: { key, ...put } }] : [{ request_delete_range: { key } }];
  let answer: ITxnResponse;
  try {
    answer = await client.call(
      (rpc) =>
        rpc.kv.txn({
          compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: known.modRevision }],
          success,
          failure: [{ request_range: { key } }],
        }),
      once,
      signal,
    );
  } catch (error) {
    if (error instanceof EtcdError && !isPermanent(error) && !isRefused(error)) {
      state.known = undefined;
      state.doubtful = true;
      if (put?.lease !== undefined && known.modRevision === '0') state.ghost = String(put.lease);
    }
    throw error;
  }
  if (!answer.succeeded) {
    state.known = fromEtcd(answer.responses[0]?.response_range.kvs[0]);
    return;
  }
  state.claimed = true;
  state.doubtful = false;
  state.known = put
    ? {
        modRevision: answer.header.revision,
        value: String(put.value),
        lease: put.lease === undefined ? known.lease : String(put.lease),
      }
    : absent;
}

async function read(client: EtcdClient, key: string, signal: AbortSignal): Promise<StoredKey> {
  const answer = await client.call((rpc) => rpc.kv.range({ key: Buffer.from(key) }), once, signal);
  return fromEtcd(answer.kvs[0]);
}

/** A key as it was at one revision. */
export interface KeyVersion {
  readonly revision: number;
  readonly known: StoredKey;
}

/**
 * Reads many keys through one quorum round each hundred (etcd allows 128 operations in a transaction). Keys that may not
 * be read are left out.
 */
export async function readKeys(
  client: EtcdClient,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, KeyVersion>> {
  const found = new Map<string, KeyVersion>();
  const readSome = async (some: readonly string[]): Promise<void> => {
    const success = some.map((key) => ({ request_range: { key: Buffer.from(key) } }));
    const answer = await client.call((rpc) => rpc.kv.txn({ success }), {}, signal);
    const revision = Number(answer.header.revision);
    for (const [index, key] of some.entries()) {
      found.set(key, { revision, known: fromEtcd(answer.responses[index]?.response_range.kvs[0]) });
    }
  };
  for (let from = 0; from < keys.length; from += 100) {
    const some = keys.slice(from, from + 100);
    try {
      await readSome(some);
    } catch (error) {
      if (!isDenied(reasonOf(error))) throw error;
      // One key that may not be read must not hide the others.
      for (const key of some) {
        await readSome([key]).catch((reason) => {
          if (!isDenied(reasonOf(reason))) throw reason;
        });
      }
    }
  }
  return found;
}

/** What a watch tells of a key. */
export function fromEvent(event: IEvent): StoredKey {
  return isPut(event) ? fromEtcd(event.kv) : absent;
}

function fromEtcd(kv: IKeyValue | undefined): StoredKey {
  return kv === undefined ? absent : { modRevision: kv.mod_revision, value: kv.value.toString(), lease: kv.lease };
}
