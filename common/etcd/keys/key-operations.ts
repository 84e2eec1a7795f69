import type { IEvent, IKeyValue, IRequestOp } from 'etcd3/lib/rpc.js';
import { reasonOf } from '../../daemon/log.ts';
import type { CallOptions } from '../client/call.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError, isDenied, isLeaseNotFound, isOutOfSpace, isPermanent, isRefused } from '../client/errors.ts';
import { isPut } from '../client/key-value.ts';
import {
  absentKey,
  type KeyEvent,
  type KeyRequest,
  type KeyVersion,
  type ObservedKey,
  type RequestFailure,
} from './owned-key.ts';
import { requestTimeoutMs } from './timing.ts';

/** The outcome of a request, as the key's lifecycle takes it. */
export type KeyAnswer = Extract<KeyEvent, { kind: 'read' | 'written' | 'overtaken' | 'failed' }>;

/** One try each: what became of a write must be known before the next one. */
const once: CallOptions = { maxTries: 1, totalMs: requestTimeoutMs };

/** Sends one request for one key. A failure is an answer too: never rejects. */
export async function sendRequest(
  client: EtcdClient,
  key: string,
  request: KeyRequest,
  signal: AbortSignal,
): Promise<KeyAnswer> {
  try {
    if (request.kind === 'read') return { kind: 'read', observed: await readKey(client, key, signal) };
    return await write(client, key, request, signal);
  } catch (error) {
    return { kind: 'failed', failure: failureOf(error) };
  }
}

async function readKey(client: EtcdClient, key: string, signal: AbortSignal): Promise<ObservedKey> {
  const answer = await client.call((rpc) => rpc.kv.range({ key: Buffer.from(key) }), once, signal);
  return observe(answer.kvs[0]);
}

/** A write that counts only while the key has the revision that the request names. */
async function write(
  client: EtcdClient,
  name: string,
  request: Exclude<KeyRequest, { kind: 'read' }>,
  signal: AbortSignal,
): Promise<KeyAnswer> {
  const key = Buffer.from(name);
  const { modRevision } = request;
  const answer = await client.call(
    (rpc) =>
      rpc.kv.txn({
        compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: modRevision }],
        success: [operationOf(key, request)],
        failure: [{ request_range: { key } }],
      }),
    once,
    signal,
  );
  if (!answer.succeeded) return { kind: 'overtaken', observed: observe(answer.responses[0]?.response_range.kvs[0]) };
  if (request.kind === 'delete') return { kind: 'written', observed: absentKey };
  const { value, lease } = request;
  return { kind: 'written', observed: { modRevision: answer.header.revision, value, lease } };
}

function operationOf(key: Buffer, request: Exclude<KeyRequest, { kind: 'read' }>): IRequestOp {
  if (request.kind === 'delete') return { request_delete_range: { key } };
  const value = Buffer.from(request.value);
  if (request.kind === 'putTombstone' && request.keepsLease) return { request_put: { key, value, ignore_lease: true } };
  return { request_put: { key, value, lease: request.lease } };
}

/** How a request failed, as the key's lifecycle takes it. */
export function failureOf(error: unknown): RequestFailure {
  const reason = reasonOf(error);
  // Not etcd's: nothing was sent.
  if (!(error instanceof EtcdError)) return { kind: 'rejected', reason };
  if (isLeaseNotFound(error)) return { kind: 'leaseNotFound', reason };
  if (isOutOfSpace(error.details)) return { kind: 'outOfSpace', reason };
  return { kind: isPermanent(error) || isRefused(error) ? 'rejected' : 'unanswered', reason };
}

/** Keys that one transaction reads; etcd allows 128 operations. */
const keysPerRead = 100;

/** Reads many keys, a hundred in each quorum round. Keys that may not be read are left out. */
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
      found.set(key, { revision, observed: observe(answer.responses[index]?.response_range.kvs[0]) });
    }
  };
  for (let from = 0; from < keys.length; from += keysPerRead) {
    const some = keys.slice(from, from + keysPerRead);
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

/** The version of a key that a watch event shows. */
export function versionOf(event: IEvent): KeyVersion {
  return { revision: Number(event.kv.mod_revision), observed: isPut(event) ? observe(event.kv) : absentKey };
}

function observe(kv: IKeyValue | undefined): ObservedKey {
  return kv === undefined ? absentKey : { modRevision: kv.mod_revision, value: kv.value.toString(), lease: kv.lease };
}
