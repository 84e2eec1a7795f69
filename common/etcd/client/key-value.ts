import type { IEvent, IKeyValue } from 'etcd3/lib/rpc.js';

/** One key as etcd has it. Revisions and lease ids are etcd's 64-bit numbers as text; lease `0`: no lease. */
export interface Entry {
  readonly key: string;
  readonly value: Buffer;
  readonly modRevision: string;
  readonly createRevision: string;
  readonly lease: string;
}

/** Makes an entry of etcd's own form. */
export function toEntry(kv: IKeyValue): Entry {
  return {
    key: kv.key.toString(),
    value: kv.value,
    modRevision: kv.mod_revision,
    createRevision: kv.create_revision,
    lease: kv.lease,
  };
}

/** True when both are the same version of a key. With equal revisions they still differ between two histories. */
export function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.lease === b.lease &&
    a.value.equals(b.value)
  );
}

/** True when a key was written, false when it was deleted. The types are text, although etcd3 declares numbers. */
export function isPut({ type }: IEvent): boolean {
  return /^put$/i.test(type as string);
}

/** The range of one key alone. */
export function keyRange(key: string): KeyRange {
  return { key: Buffer.from(key), end: Buffer.alloc(0) };
}

/** etcd's range of all keys that start with `prefix`: from `key` up to, not including, `end`. */
export interface KeyRange {
  readonly key: Buffer;
  readonly end: Buffer;
}

/** The range of all keys that start with `prefix`; the empty prefix is every key. */
export function prefixRange(prefix: string): KeyRange {
  const key = Buffer.from(prefix);
  for (let index = key.length - 1; index >= 0; index -= 1) {
    const byte = key[index] as number;
    if (byte === 0xff) continue;
    const end = Buffer.from(key.subarray(0, index + 1));
    end[index] = byte + 1;
    return { key, end };
  }
  // etcd's API: `\0` as the end means all keys from the first on.
  return { key: key.length === 0 ? Buffer.from([0]) : key, end: Buffer.from([0]) };
}

/** A lease id in hexadecimal, as `etcdctl lease` prints it. */
export function hex(id: string): string {
  return BigInt(id).toString(16);
}
