import type { IRequestOp, ITxnRequest } from 'etcd3/lib/rpc.js';
import type { Range, StoredKeyValue } from './store.ts';
import type { Access, Demand } from './users.ts';

/** A key as gRPC carries it. */
export function toWire(kv: StoredKeyValue) {
  return {
    key: Buffer.from(kv.key),
    value: kv.value,
    create_revision: String(kv.createRevision),
    mod_revision: String(kv.modRevision),
    version: String(kv.version),
    lease: kv.lease,
  };
}

/** The range of a request. */
export function rangeOf({ key, range_end }: { readonly key: Buffer; readonly range_end?: Buffer }): Range {
  return { key: text(key), end: range_end === undefined ? '' : text(range_end) };
}

/** The text of a key. Keys of the simulation are ASCII. */
export function text(bytes: Buffer): string {
  return bytes.toString('latin1');
}

interface RangeRequest {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

/** A permission as `roleGrantPermission` carries it. */
export interface PermissionRequest extends RangeRequest {
  readonly permType: 'Read' | 'Write' | 'Readwrite';
}

/** What a permission allows. */
export function accessesOf(permission: PermissionRequest): readonly Access[] {
  const range = rangeOf(permission);
  const kinds = { Read: ['read'], Write: ['write'], Readwrite: ['read', 'write'] } as const;
  return kinds[permission.permType].map((kind) => ({ kind, range }));
}

/** What a call asks of its caller. */
export function demandOf(method: string, request: unknown): Demand {
  const access = (kind: Access['kind'], one: unknown): Access => ({ kind, range: rangeOf(one as RangeRequest) });
  if (method === 'range') return [access('read', request)];
  if (method === 'put' || method === 'deleteRange') return [access('write', request)];
  if (method === 'txn') {
    const { compare = [], success = [], failure = [] } = request as ITxnRequest;
    const one = ({ request_put: put, request_delete_range: gone, request_range: range }: IRequestOp): Access =>
      range != null ? access('read', range) : access('write', put ?? gone);
    return [...compare.map((guard) => access('read', guard)), ...[...success, ...failure].map(one)];
  }
  return method.startsWith('lease') || method === 'compact' ? [] : 'root';
}
